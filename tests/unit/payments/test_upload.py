"""Sending a payment file once: every step at which a sender can die, and what happens then."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pardna.payments.model import file_key
from pardna.payments.service import LEASE_SECONDS, UploadPaymentFile
from pardna.runtime.errors import Unavailable
from tests.fakes.attempts import MemoryAttempts
from tests.fakes.payments import Killed, MemoryDropboxes, MemoryFiles, OneBank
from tests.support.payments import TENANT, a_bank

BATCH = "PB00000000000001"
NAME = f"{BATCH}.xml"
CONTENT = b"<Document/>"


class World:
    """A sender, the bank's folders, and the time."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 9, tzinfo=UTC)
        self.boxes = MemoryDropboxes()
        files = MemoryFiles()
        files.put(file_key(TENANT, BATCH), CONTENT)
        self.attempts = MemoryAttempts(lambda: self.now)
        self.sender = UploadPaymentFile(OneBank(a_bank()), files, self.boxes, self.attempts)

    def upload(self, *, send_again: bool = False) -> str:
        return self.sender.upload(TENANT, BATCH, "ncb-main", send_again=send_again)

    def die_at(self, step: str, error: BaseException | None = None) -> None:
        def fail(at: str) -> None:
            if at == step:
                self.boxes.fail = lambda _: None
                raise error or Killed

        self.boxes.fail = fail

    def later(self) -> None:
        self.now += timedelta(seconds=LEASE_SECONDS + 1)

    @property
    def files_at_the_bank(self) -> int:
        return len(self.boxes.waiting) + len(self.boxes.done)


@pytest.fixture
def world() -> World:
    return World()


def test_a_file_is_sent_once(world: World) -> None:
    assert [world.upload() for _ in range(3)] == ["uploaded"] * 3
    assert world.boxes.completed_count == 1


@pytest.mark.parametrize("processed", [False, True], ids=["waiting", "taken"])
def test_killed_between_upload_and_record(world: World, processed: bool) -> None:
    world.die_at("after:complete")
    with pytest.raises(Killed):
        world.upload()
    if processed:
        world.boxes.process()
    with pytest.raises(Unavailable):
        world.upload()
    world.later()
    assert world.upload() == "uploaded"
    assert world.boxes.completed_count == 1


@pytest.mark.parametrize("step", ["after:put_part", "complete"])
def test_killed_before_the_rename_is_sent_again(world: World, step: str) -> None:
    world.die_at(step)
    with pytest.raises(Killed):
        world.upload()
    world.later()
    assert world.upload() == "uploaded"
    assert world.boxes.completed_count == 1


def test_killed_without_a_trace_is_for_a_person(world: World) -> None:
    world.die_at("put_part")
    with pytest.raises(Killed):
        world.upload()
    world.later()
    assert [world.upload(), world.upload()] == ["unclear", "unclear"]
    assert world.files_at_the_bank == 0
    assert world.upload(send_again=True) == "uploaded"
    assert world.upload(send_again=True) == "uploaded"
    assert world.boxes.completed_count == 1


def test_a_file_that_vanished_after_the_rename_is_for_a_person(world: World) -> None:
    world.die_at("after:complete")
    with pytest.raises(Killed):
        world.upload()
    world.boxes.waiting.clear()
    world.later()
    assert world.upload() == "unclear"
    assert world.files_at_the_bank == 0


def test_a_line_that_breaks_before_anything_was_sent_is_tried_again_at_once(world: World) -> None:
    for step in ("open", "find", "put_part", "after:put_part"):
        world.die_at(step, Unavailable("sftp.unavailable", "cut"))
        with pytest.raises(Unavailable):
            world.upload()
    assert world.upload() == "uploaded"
    assert world.boxes.completed_count == 1


def test_a_line_that_breaks_after_the_rename_is_looked_at(world: World) -> None:
    world.die_at("after:complete", Unavailable("sftp.unavailable", "cut"))
    with pytest.raises(Unavailable):
        world.upload()
    assert world.upload() == "uploaded"
    assert world.boxes.completed_count == 1


def test_a_line_that_breaks_after_the_rename_of_a_file_that_is_gone_is_for_a_person(
    world: World,
) -> None:
    world.die_at("after:complete", Unavailable("sftp.unavailable", "cut"))
    with pytest.raises(Unavailable):
        world.upload()
    world.boxes.waiting.clear()  # the bank took it to where we cannot look
    assert [world.upload(), world.upload()] == ["unclear", "unclear"]
    assert world.boxes.completed_count == 1


def test_another_file_under_our_name_is_for_a_person(world: World) -> None:
    world.boxes.done[NAME] = b"something else"
    assert world.upload() == "unclear"
    assert world.boxes.completed_count == 0


def test_a_second_sender_stands_back(world: World) -> None:
    world.attempts.begin(TENANT, f"upload:{BATCH}", LEASE_SECONDS)
    with pytest.raises(Unavailable, match="in_progress"):
        world.upload()
    assert world.files_at_the_bank == 0
