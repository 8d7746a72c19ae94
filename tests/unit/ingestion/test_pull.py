"""Pulling files: once each, whole ones only, and what happens when servers do not play along."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pardna.ingestion.fetch import FetchFile
from pardna.ingestion.pull import PullFiles, wanted
from pardna.ingestion.retry import Retry
from pardna.runtime.errors import NotFound, Unavailable, UntrustedHost
from tests.fakes.ingestion import MemoryArrivals, MemoryFolder, MemoryRawStore, MemorySources
from tests.support.counted import counted, forget_counts
from tests.support.ingestion import NOON, TENANT, a_bank_source

#: Bytes of a piece here, so that small files are large ones.
PIECE = 8
DOWN = Unavailable("sftp.unavailable", "down")


def puller(
    folder: MemoryFolder,
    raw: MemoryRawStore,
    pauses: list[float],
    arrivals: MemoryArrivals | None = None,
    **place: object,
) -> PullFiles:
    retry = Retry(attempts=4, base_seconds=1, sleep=pauses.append, fraction=lambda: 1.0)
    kept = arrivals or MemoryArrivals(raw)
    fetcher = FetchFile(raw, kept, kept, lambda: NOON, piece=PIECE)
    bank = a_bank_source()
    assert bank.sftp is not None
    source = replace(bank, sftp=replace(bank.sftp, **place))  # type: ignore[arg-type]
    return PullFiles(MemorySources(source), folder, fetcher, retry, lambda _: None)


def test_any_number_of_pulls_has_one_effect() -> None:
    raw = MemoryRawStore()
    folder = MemoryFolder({"a.xml": b"a", "b.xml": b"b", "same-as-a.xml": b"a"})
    first = puller(folder, raw, []).pull()
    before = dict(raw.objects)
    second = puller(folder, raw, []).pull(TENANT, "ncb")
    assert (first.seen_count, first.new_count) == (3, 2)
    assert (second.seen_count, second.new_count) == (3, 0)
    assert raw.objects == before
    assert len(before) == 3
    assert folder.contents.keys() == {"a.xml", "b.xml", "same-as-a.xml"}


def test_a_file_that_is_still_being_written_waits_for_the_next_pull() -> None:
    raw = MemoryRawStore()
    folder = MemoryFolder({"a.xml": b"half", "b.xml.part": b"x"}, growing={"a.xml"})
    assert puller(folder, raw, []).pull().new_count == 0
    folder.growing.clear()
    assert puller(folder, raw, []).pull().new_count == 1
    assert [data for data, _ in raw.objects.values()] == [b"halfmore"]


def test_a_server_that_is_down_is_tried_again_with_growing_pauses_then_the_alarm_rings() -> None:
    pauses: list[float] = []
    folder = MemoryFolder(refusals=[DOWN] * 9)
    forget_counts()
    with pytest.raises(Unavailable, match=r"sftp\.unavailable"):
        puller(folder, MemoryRawStore(), pauses).pull()
    assert folder.opened == 4
    assert pauses == [2.0, 4.0, 8.0]
    assert counted("SftpPullFailed") == 1  # what the alarm watches


def test_a_server_that_comes_back_is_read() -> None:
    raw = MemoryRawStore()
    folder = MemoryFolder({"a.xml": b"a"}, refusals=[DOWN, DOWN])
    assert puller(folder, raw, []).pull().new_count == 1


def test_a_changed_host_key_is_never_tried_again() -> None:
    folder = MemoryFolder({"a.xml": b"a"}, refusals=[UntrustedHost("sftp.host_key_changed", "no")])
    raw = MemoryRawStore()
    forget_counts()
    with pytest.raises(UntrustedHost):
        puller(folder, raw, []).pull()
    assert folder.opened == 1
    assert raw.objects == {}
    assert counted("SftpPullFailed") == 1


def test_one_servers_trouble_does_not_stop_the_others() -> None:
    folder = MemoryFolder({"a.xml": b"a"}, refusals=[UntrustedHost("sftp.host_key_changed", "no")])
    raw = MemoryRawStore()
    service = puller(folder, raw, [])
    service.sources.put(a_bank_source(source_id="other"))
    with pytest.raises(UntrustedHost):
        service.pull()
    assert len(raw.objects) == 1


def test_a_file_that_cannot_be_kept_is_fetched_again() -> None:
    raw = MemoryRawStore()
    raw.fail_next = 1
    assert puller(MemoryFolder({"a.xml": b"a"}), raw, []).pull().new_count == 1


def test_an_unknown_source_is_an_error_of_the_caller() -> None:
    with pytest.raises(NotFound):
        puller(MemoryFolder(), MemoryRawStore(), []).pull(TENANT, "nobody")


@pytest.mark.parametrize(
    ("name", "taken"),
    [
        ("statement.xml", True),
        ("statement.XML", False),
        ("notes.txt", False),
        ("statement.xml.part", False),
        (".hidden.xml", False),
        ("../../etc/statement.xml", False),
        ("..\\statement.xml", False),
        ("a\x00.xml", False),
    ],
)
def test_only_finished_files_that_the_source_asks_for(name: str, taken: bool) -> None:
    assert wanted(name, ["*.xml", "*.sta"]) is taken
