"""Uploads: announced, received if they are what was announced, shown; and who may not."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from pardna.ingestion import upload as module
from pardna.ingestion.model import RawKey, sha256
from pardna.ingestion.upload import ReceiveUpload, ShowUpload, StartUpload
from pardna.ingestion.upload_model import Upload, UploadState
from pardna.runtime.errors import InvalidInput, NotFound
from pardna.transactions.ports import Batch, Delivery, DeliveryStatus
from tests.fakes.ingestion import (
    MemoryArrivals,
    MemoryLinks,
    MemoryRawStore,
    MemorySources,
    MemoryUploads,
)
from tests.fakes.transactions import MemoryTransactionStore
from tests.support.counted import counted, forget_counts
from tests.support.ingestion import NOON, TENANT, a_bank_source

DATA = b"date,amount\n2026-01-31,1.00\n"


class World:
    def __init__(self) -> None:
        self.raw = MemoryRawStore()
        self.arrivals = MemoryArrivals(self.raw)
        self.uploads = MemoryUploads()
        self.store = MemoryTransactionStore()
        self.now = NOON
        numbers = itertools.count(1)
        sources = MemorySources(
            a_bank_source(source_id="bns", channels=("upload",), sftp=None),
            a_bank_source(source_id="ncb"),
            a_bank_source(source_id="off", channels=("upload",), sftp=None, enabled=False),
        )
        self.starter = StartUpload(
            sources, self.uploads, MemoryLinks(), lambda: self.now, lambda: f"{next(numbers):032x}"
        )
        self.receiver = ReceiveUpload(self.uploads, self.arrivals, lambda: self.now)
        self.shower = ShowUpload(self.uploads, self.store, lambda: self.now)

    def start(self, size: int = len(DATA), sha: str = "", name: str = "a.csv") -> Upload:
        upload, link = self.starter.start(TENANT, "sub-1", "bns", name, size, sha)
        assert link.fields["key"] == upload.key
        return upload

    def send(self, upload: Upload, data: bytes = DATA) -> Upload | None:
        self.arrivals.put(upload.key, data)
        return self.receiver.receive(upload.key)

    def status(self, upload: Upload) -> Any:
        return self.shower.show(TENANT, "bns", upload.upload_id)["status"]

    def parsed(self, upload: Upload, status: DeliveryStatus, data: bytes = DATA) -> None:
        problems = ({"code": "row.date", "position": "row 2", "reason": "no date", "severity": "error"},)  # fmt: skip
        delivery = Delivery("bns", "upload", upload.name, sha256(data), NOON, status, "csv", 7, problems)  # fmt: skip
        self.store.record(TENANT, "system:test", Batch("c-1", delivery))


def test_an_upload_goes_from_awaiting_to_its_result() -> None:
    world = World()
    upload = world.start(sha=sha256(DATA))
    assert world.status(upload) == "awaiting"
    world.send(upload)
    assert world.status(upload) == "parsing"
    data, receipt = world.raw.get(RawKey(TENANT, sha256(DATA)))
    assert (data, receipt.source_id, receipt.channel, receipt.name) == (DATA, "bns", "upload", "a.csv")  # fmt: skip
    world.parsed(upload, DeliveryStatus.QUARANTINED)
    shown = world.shower.show(TENANT, "bns", upload.upload_id)
    assert shown["status"] == "quarantined"
    assert shown["entries_count"] == 7
    assert shown["problems"][0]["code"] == "row.date"


@pytest.mark.parametrize("status", list(DeliveryStatus))
def test_every_result_is_shown(status: DeliveryStatus) -> None:
    world = World()
    upload = world.start()
    world.send(upload)
    world.parsed(upload, status)
    assert world.status(upload) == status.value


def test_a_link_that_nobody_used_expires() -> None:
    world = World()
    upload = world.start()
    world.now = NOON + timedelta(seconds=901)
    assert world.status(upload) == "expired"


@pytest.mark.parametrize(
    ("size", "sha", "code"),
    [(len(DATA) - 1, "", "upload.size"), (len(DATA) + 1, "", "upload.size"), (len(DATA), "0" * 64, "upload.hash")],
)  # fmt: skip
def test_bytes_that_were_not_announced_are_refused_and_never_read(
    size: int, sha: str, code: str
) -> None:
    world = World()
    upload = world.start(size, sha)
    forget_counts()
    world.send(upload)
    shown = world.shower.show(TENANT, "bns", upload.upload_id)
    assert (shown["status"], shown["problems"][0]["code"]) == ("refused", code)
    assert world.raw.objects == {}
    assert counted("UploadRefused") == 1


def test_the_same_event_again_changes_nothing_and_a_link_counts_once() -> None:
    world = World()
    upload = world.start()
    first = world.send(upload)
    assert world.receiver.receive(upload.key) == first
    forget_counts()
    other = DATA.replace(b"1.00", b"9.99")
    assert world.send(upload, other) == first
    assert counted("UploadRepeated") == 1
    assert len(world.raw.objects) == 1


def test_the_same_file_twice_is_kept_once_and_shown_as_what_it_is() -> None:
    world = World()
    first, second = world.start(), world.start(name="b.csv")
    for upload in (first, second):
        world.send(upload)
    assert [bool(RawKey.parse(k).receipt) for k in sorted(world.raw.objects)] == [False, True]
    world.parsed(first, DeliveryStatus.ACCEPTED)
    world.parsed(second, DeliveryStatus.DUPLICATE)
    shown = world.shower.show(TENANT, "bns", second.upload_id)
    assert shown["status"] == "duplicate"
    assert shown["same_as"]["name"] == "a.csv"
    assert shown["same_as"]["status"] == "accepted"
    third = world.start()
    world.send(third)
    assert world.status(third) == "accepted"


def test_what_nobody_announced_is_counted_and_left() -> None:
    world = World()
    forget_counts()
    upload = world.start()
    forged = upload.key.replace("/bns/", "/ncb/")
    for key in (forged, f"uploads/{TENANT}/bns/{'f' * 32}", upload.key):
        if key != upload.key:
            world.arrivals.put(key, DATA)
        assert world.receiver.receive(key) is None
    assert counted("UploadUnknown") == 3
    assert world.raw.objects == {}
    for key in ("uploads/x", "mail/a/b/c", f"uploads/{TENANT}/bns/../{'0' * 32}"):
        with pytest.raises(InvalidInput):
            world.receiver.receive(key)


def test_another_tenants_upload_and_source_are_not_there() -> None:
    world = World()
    upload = world.start()
    with pytest.raises(NotFound):
        world.shower.show("kgn-two", "bns", upload.upload_id)
    with pytest.raises(NotFound):
        world.shower.show(TENANT, "ncb", upload.upload_id)
    with pytest.raises(NotFound):
        world.starter.start("kgn-two", "sub-1", "bns", "a.csv", 1)
    moved = upload.key.replace(TENANT, "kgn-two")
    world.arrivals.put(moved, DATA)
    assert world.receiver.receive(moved) is None


@pytest.mark.parametrize("source_id", ["ncb", "off"])
def test_a_source_that_takes_no_uploads_gives_no_link(source_id: str) -> None:
    with pytest.raises(InvalidInput):
        World().starter.start(TENANT, "sub-1", source_id, "a.csv", 1)


class Killed(BaseException):
    """A process that ends here."""


def test_killed_at_each_write_the_next_try_ends_where_an_unharmed_one_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    boundaries = ((MemoryArrivals, "hand_over"), (MemoryUploads, "settle"))
    for (port, name), after in itertools.product(boundaries, (False, True)):
        world = World()
        upload = world.start()
        world.arrivals.put(upload.key, DATA)
        real: Callable[..., Any] = getattr(port, name)

        def dies(self: Any, *given: Any, real: Any = real, after: bool = after) -> Any:
            if after:
                real(self, *given)
            raise Killed

        with monkeypatch.context() as patched:
            patched.setattr(port, name, dies)
            with pytest.raises(Killed):
                world.receiver.receive(upload.key)
        settled = world.receiver.receive(upload.key)
        assert settled is not None
        assert settled.state is UploadState.RECEIVED
        assert len(world.raw.objects) == 1


def test_every_write_of_receiving_is_on_the_list() -> None:
    source = inspect.getsource(module.ReceiveUpload)
    assert source.count("# boundary") == 2
    assert "1. " in (module.__doc__ or "")
    assert "2. " in (module.__doc__ or "")
    assert "3. " not in (module.__doc__ or "")
