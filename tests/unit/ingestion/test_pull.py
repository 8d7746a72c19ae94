"""Pulling files: once each, whole ones only, and what happens when servers do not play along."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from pardna.ingestion import fetch
from pardna.ingestion.fetch import FetchFile
from pardna.ingestion.pull import PullFiles, wanted
from pardna.ingestion.retry import Retry
from pardna.runtime.errors import NotFound, NotPermitted, Unavailable, UntrustedHost
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


def test_a_file_that_grows_between_two_looks_is_not_even_begun() -> None:
    """Slow writers: what is read quickly looks whole while it is not."""
    raw, folder, pauses = MemoryRawStore(), MemoryFolder({"a.xml": b"ha", "b.xml": b"whole"}), []

    def waiting(seconds: float) -> None:
        pauses.append(seconds)
        folder.contents["a.xml"] += b"lf"

    service = replace(puller(folder, raw, [], settle_seconds=7), pause=waiting)
    assert service.pull().new_count == 1
    assert [data for data, _ in raw.objects.values()] == [b"whole"]
    assert (pauses, folder.read_count) == ([7.0], len(b"whole"))
    still = replace(puller(folder, raw, [], settle_seconds=7), pause=pauses.append)
    assert still.pull().new_count == 1
    assert b"half" in [data for data, _ in raw.objects.values()]


def test_a_server_that_is_down_is_tried_again_with_growing_pauses_then_the_alarm_rings() -> None:
    pauses: list[float] = []
    folder = MemoryFolder(refusals=[DOWN] * 9)
    forget_counts()
    with pytest.raises(Unavailable, match=r"sftp\.unavailable"):
        puller(folder, MemoryRawStore(), pauses).pull()
    assert folder.opened == 4
    assert pauses == [2.0, 4.0, 8.0]
    assert counted("SftpPullFailed") == 1  # what the alarm watches


def test_pauses_are_spread_at_random_below_a_growing_ceiling() -> None:
    def down() -> None:
        raise Unavailable("sftp.unavailable", "down")

    runs = []
    for _ in range(30):
        pauses: list[float] = []
        with pytest.raises(Unavailable):
            Retry(attempts=4, base_seconds=1, sleep=pauses.append).run("x", down)
        assert all(0 <= p <= 2.0 ** (n + 1) for n, p in enumerate(pauses))
        runs.append(tuple(pauses))
    assert len(set(runs)) > 25
    assert max(p[2] for p in runs) > 2.0  # the ceiling does grow


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


class Killed(BaseException):
    """A process that ends here; nothing catches it."""


class Writes:
    """Notes every write of pulling, and may end the process right before or after one."""

    #: Method of a port, and its number on the list of boundaries.
    NUMBERS: ClassVar = {
        "keep": 1,
        "hand_over": 2,
        "put_named": 2,
        "put_once": 2,
        "mark_fetched": 3,
        "move": 4,
        "put_empty": 4,
    }
    READS: ClassVar = {"files", "stat", "blocks", "open", "pieces", "find", "read", "fetched", "get", "keys"}  # fmt: skip

    def __init__(self, kill_at: int = -1, after: bool = False) -> None:
        self.noted: list[str] = []
        self.kill_at, self.after = kill_at, after

    def around(self, port: Any) -> Any:
        noting = self

        class Port:
            def __getattr__(self, name: str) -> Any:
                found = getattr(port, name)
                if not callable(found) or name in noting.READS:
                    return found
                return lambda *given: noting.write(name, lambda: found(*given))

        return Port()

    def write(self, name: str, act: Callable[[], Any]) -> Any:
        self.noted.append(name)
        at = len(self.noted) - 1
        if at == self.kill_at and not self.after:
            raise Killed
        result = act()
        if at == self.kill_at:
            raise Killed
        return result


class NotedFolders:
    def __init__(self, folder: MemoryFolder, writes: Writes) -> None:
        self.folder, self.writes = folder, writes

    @contextmanager
    def open(self, profile: Any, seconds: float = 0) -> Iterator[Any]:
        with self.folder.open(profile) as folder:
            yield self.writes.around(folder)


def a_world(**place: str) -> tuple[MemoryFolder, MemoryRawStore, MemoryArrivals, dict[str, Any]]:
    raw = MemoryRawStore()
    contents = {"a.xml": b"small", "b.sta": b"0123456789" * 3, "c.csv": b"", "d.xml": b"small"}
    return MemoryFolder(contents), raw, MemoryArrivals(raw), dict(place)


def pull_once(
    world: tuple[MemoryFolder, MemoryRawStore, MemoryArrivals, dict[str, Any]], writes: Writes
) -> None:
    folder, raw, arrivals, place = world
    service = puller(folder, raw, [], arrivals, **place)
    fetcher = replace(
        service.fetcher,
        raw=writes.around(raw),
        arrivals=writes.around(arrivals),
        done=writes.around(arrivals),
    )
    replace(service, fetcher=fetcher, folders=NotedFolders(folder, writes)).pull()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("place", [{"archive_dir": "old"}, {"done_marker": ".done"}, {}])
def test_killed_at_any_write_the_next_pull_ends_where_an_unharmed_one_does(
    place: dict[str, str], after: bool
) -> None:
    unharmed = a_world(**place)
    all_writes = Writes()
    pull_once(unharmed, all_writes)
    assert len(all_writes.noted) > 10
    for at in range(len(all_writes.noted)):
        harmed = a_world(**place)
        with pytest.raises(Killed):
            pull_once(harmed, Writes(at, after))
        pull_once(harmed, Writes())
        pull_once(harmed, Writes())
        assert harmed[1].objects == unharmed[1].objects
        assert harmed[0].contents == unharmed[0].contents
        assert harmed[0].moved == unharmed[0].moved


def test_every_write_of_fetching_is_on_the_list() -> None:
    """A write that is added must be added to the numbered boundaries, and be safe to repeat."""
    noted = set[str]()
    for place in ({"archive_dir": "old"}, {"done_marker": ".done"}):
        writes = Writes()
        pull_once(a_world(**place), writes)
        noted |= set(writes.noted)
    assert noted <= set(Writes.NUMBERS)
    listed = fetch.__doc__ or ""
    assert {Writes.NUMBERS[name] for name in noted} == {1, 2, 3, 4}
    assert all(f"{n}. " in listed for n in (1, 2, 3, 4))
    assert "5. " not in listed
    assert inspect.getsource(fetch).count("# boundary") == 7


def test_a_cut_costs_only_what_was_under_way() -> None:
    raw = MemoryRawStore()
    folder = MemoryFolder({"b.sta": b"0123456789" * 10}, cut_after=50)
    assert puller(folder, raw, []).pull().new_count == 1
    assert folder.read_count == 100
    assert [data for data, _ in raw.objects.values()] == [b"0123456789" * 10]


def test_the_time_is_over_what_came_is_kept_and_the_next_pull_goes_on() -> None:
    raw = MemoryRawStore()
    arrivals = MemoryArrivals(raw)
    folder = MemoryFolder({"b.sta": b"0123456789" * 10, "z.xml": b"z"})
    pulls = 0
    while len(raw.objects) < 2:
        asked = iter([100.0] * 9 + [0.0] * 1000)
        pulled = puller(folder, raw, [], arrivals).pull(seconds_left=lambda left=asked: next(left))  # type: ignore[misc]
        pulls += 1
        assert pulled.left_count or len(raw.objects) == 2
    assert pulls > 2
    assert folder.read_count == 101


def test_a_server_that_gives_nothing_in_all_its_time_rings() -> None:
    forget_counts()
    seconds = iter([100.0] * 3 + [0.0] * 9)
    with pytest.raises(Unavailable, match=r"sftp\.too_slow"):
        puller(MemoryFolder({"a.xml": b"a"}), MemoryRawStore(), []).pull(
            seconds_left=lambda: next(seconds)
        )
    assert counted("SftpPullFailed") == 1


def test_servers_whose_turn_does_not_come_wait_and_do_not_ring() -> None:
    forget_counts()
    folder = MemoryFolder({"a.xml": b"a"})
    service = puller(folder, MemoryRawStore(), [])
    for n in range(50):
        service.sources.put(a_bank_source(source_id=f"bank-{n}"))
    pulled = service.pull(seconds_left=lambda: 150.0)
    assert (folder.opened, pulled.left_count) == (51, 0)
    assert service.pull(seconds_left=lambda: 1.0).left_count == 51
    assert folder.opened == 51
    assert counted("SftpPullPostponed") == 51
    assert counted("SftpPullFailed") == 0


def test_pieces_that_another_pull_replaces_are_left_to_it() -> None:
    raw = MemoryRawStore()
    arrivals = MemoryArrivals(raw)
    folder = MemoryFolder({"b.sta": b"0123456789" * 10}, cut_after=50)
    with pytest.raises(Unavailable):
        replace(puller(folder, raw, [], arrivals), retry=Retry(attempts=1)).pull()
    read = arrivals.read
    arrivals.read = lambda part: _gone()  # type: ignore[method-assign]
    assert puller(folder, raw, [], arrivals).pull().new_count == 0
    arrivals.read = read  # type: ignore[method-assign]
    assert puller(folder, raw, [], arrivals).pull().new_count == 1


def _gone() -> Iterator[bytes]:
    raise NotFound("arrival.not_found", "other bytes by now")
    yield b""


def test_a_forbidden_file_rings_and_the_others_come() -> None:
    raw = MemoryRawStore()
    forget_counts()
    with pytest.raises(NotPermitted):
        puller(MemoryFolder({"a.xml": b"a", "b.xml": b"b"}, forbidden={"a.xml"}), raw, []).pull()
    assert len(raw.objects) == 1
    assert counted("SftpPullFailed") == 1


def test_a_file_that_changed_is_another_one_and_comes_again() -> None:
    raw = MemoryRawStore()
    arrivals = MemoryArrivals(raw)
    folder = MemoryFolder({"a.xml": b"one"})
    puller(folder, raw, [], arrivals).pull()
    folder.contents["a.xml"] = b"one and two"
    assert puller(folder, raw, [], arrivals).pull().new_count == 1


def test_what_one_source_fetched_another_fetches_too() -> None:
    raw = MemoryRawStore()
    arrivals = MemoryArrivals(raw)
    folder = MemoryFolder({"a.xml": b"a"})
    service = puller(folder, raw, [], arrivals)
    service.sources.put(a_bank_source(source_id="other"))
    service.pull()
    assert len(raw.objects) == 2  # the bytes, and the receipt of the second source


def test_a_source_that_is_switched_off_is_not_asked() -> None:
    folder = MemoryFolder({"a.xml": b"a"})
    service = puller(folder, MemoryRawStore(), [])
    service.sources.switch(replace(service.sources.get(TENANT, "ncb"), enabled=False))
    assert service.pull(TENANT, "ncb").seen_count == 0
    assert folder.opened == 0
