"""The sweep: what was begun and came to nothing, and what nobody told of; a share at a time."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pardna.ingestion import sweep as module
from pardna.ingestion.model import RawKey, sha256
from pardna.ingestion.sweep import SweepRaw
from pardna.runtime.errors import NotFound, Unavailable
from tests.fakes.ingestion import MemoryPendingBook, MemoryRawStore
from tests.fakes.outbox import FixedTenants
from tests.support.formats import a_camt053, an_entry
from tests.support.ingestion import NOON, TENANT, a_receipt
from tests.unit.ingestion.test_every_write import dying
from tests.unit.ingestion.test_normalise import GOOD, Home


class Counting(MemoryRawStore):
    """Counts the calls of lists."""

    lists = 0

    def page(self, *given: object) -> object:  # type: ignore[override]
        self.lists += 1
        return super().page(*given)  # type: ignore[arg-type]


class Swept(Home):
    """Ingestion on fakes, with a clock that a test turns and a sweep."""

    def __init__(self, *tenants: str, pages: int = 100) -> None:
        super().__init__()
        self.now = NOON + timedelta(minutes=6)
        self.raw = Counting()
        self.pending = MemoryPendingBook(
            lambda key: not self.store.undelivered(key.tenant_id, [key.raw_sha256]),
            lambda: self.now,
        )
        for name in ("raw", "pending"):
            object.__setattr__(self.normaliser, name, getattr(self, name))
        self.sweeper = SweepRaw(
            self.raw,
            self.store,
            self.normaliser,
            self.pending,
            FixedTenants(*(tenants or (TENANT,))),
            lambda: self.now,
            pages,
        )

    def many(self, count: int) -> None:
        for number in range(count):
            self.keep(a_camt053(an_entry(reference=f"R{number}")), name=f"{number}.xml")

    def sweep(self, tenant_id: str = "") -> int:
        return self.sweeper.sweep("c-2", tenant_id)


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE_OBJECTS", 4)


def test_the_sweep_finds_what_no_event_announced_once() -> None:
    home = Swept()
    home.many(3)
    assert (home.sweep(), home.sweep()) == (3, 0)
    assert len(home.said) == 3


def test_the_sweep_leaves_what_has_only_just_arrived_or_is_being_read() -> None:
    home = Swept()
    key = home.keep(GOOD)
    home.raw.written_at = NOON + timedelta(minutes=2)
    assert home.sweep() == 0
    home.pending.begin(key, a_receipt())
    home.now += timedelta(minutes=4, seconds=59)
    home.raw.written_at = home.now
    assert home.sweep() == 0
    home.now += timedelta(seconds=2)
    assert home.sweep() == 1


def test_one_forgotten_object_that_fails_does_not_stop_the_others_and_is_tried_once_a_sweep(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    home = Swept()
    home.keep(GOOD)
    home.keep(a_camt053(an_entry(reference="R2")), source_id="nobody")
    for _ in range(2):  # found in the bucket first, and in the rows next time
        asked = []
        get = type(home.normaliser.sources).get

        def counted(self: object, tenant_id: str, source_id: str) -> object:
            asked.append(source_id)  # noqa: B023
            return get(self, tenant_id, source_id)  # type: ignore[arg-type]  # noqa: B023

        with monkeypatch.context() as patched:
            patched.setattr(type(home.normaliser.sources), "get", counted)
            with pytest.raises(NotFound):
                home.sweep()
        assert asked.count("nobody") == 1
        home.now += timedelta(hours=1)
    assert len(home.said) == 1


def test_a_sweep_looks_at_so_many_pages_and_every_object_is_seen_in_the_end() -> None:
    home = Swept(pages=2)
    home.many(30)  # eight pages
    done = []
    for _ in range(4):
        home.raw.lists = 0
        done.append(home.sweep())
        assert home.raw.lists <= 2
        home.now += timedelta(hours=1)
    assert done == [8, 8, 8, 6]
    assert len(home.said) == 30
    home.keep(GOOD)
    for _ in range(4):  # and from the beginning again
        home.sweep()
        home.now += timedelta(hours=1)
    assert len(home.said) == 31


def test_what_comes_to_lie_before_the_place_is_found_in_the_next_round() -> None:
    home = Swept(pages=1)
    home.many(9)
    assert home.sweep() == 4
    assert home.pending.place(TENANT) > f"raw/{TENANT}/"
    low = next(
        data
        for data in (a_camt053(an_entry(reference=f"L{n}")) for n in range(1_000))
        if str(RawKey(TENANT, sha256(data))) < home.pending.place(TENANT)
    )
    home.keep(low)
    assert [home.sweep() for _ in range(4)] == [4, 1, 1, 0]


def test_a_tenant_that_is_named_is_looked_through_as_a_whole_and_moves_no_place() -> None:
    home = Swept(pages=1)
    home.many(30)
    assert home.sweep() == 4
    place = home.pending.place(TENANT)
    assert home.sweep(TENANT) == 26
    assert home.pending.place(TENANT) == place


def test_tenants_share_the_pages_and_each_is_first_some_time() -> None:
    tenants = [f"tenant-{n}" for n in range(3)]
    home = Swept(*tenants, pages=2)
    first = []
    order: list[str] = []

    def waiting(tenant_id: str, *_: object) -> list[RawKey]:
        order.append(tenant_id)
        return []

    home.pending.waiting = waiting  # type: ignore[assignment]
    for _ in range(3):
        order.clear()
        home.raw.lists = 0
        home.sweep()
        assert sorted(order) == tenants
        assert home.raw.lists == 3
        first.append(order[0])
        home.now += timedelta(hours=1)
    assert sorted(first) == tenants


def test_a_backlog_that_always_fails_does_not_keep_others_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "WAITING_MAX", 2)
    home = Swept(pages=1)
    for number in range(3):
        bad = home.keep(a_camt053(an_entry(reference=f"B{number}")), source_id="nobody")
        home.pending.begin(bad, a_receipt())
        home.now += timedelta(seconds=1)
    good = home.keep(GOOD)
    home.pending.begin(good, a_receipt())
    home.raw.written_at = home.now + timedelta(days=1)  # the bucket shows nothing
    for _ in range(2):
        home.now += timedelta(hours=1)
        with pytest.raises(NotFound):
            home.sweep()
    assert len(home.said) == 1


def test_bytes_that_were_never_read_are_found_although_a_copy_of_them_was_told_of() -> None:
    home = Swept()
    key = home.keep(GOOD)
    home.keep(GOOD, name="copy.xml")
    (copy,) = [RawKey.parse(k) for k in home.raw.objects if "/receipts/" in k]
    home.normaliser.normalise(copy, "c-1")
    assert home.said == []
    assert home.sweep() == 1
    assert len(home.said) == 1
    assert [d.status.value for d in home.store.deliveries(TENANT, key.raw_sha256)] == [
        "accepted",
        "duplicate",
    ]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_sweep_that_dies_at_a_write_is_completed_by_the_next(after: bool) -> None:
    harmed, unharmed = Swept(pages=2), Swept(pages=2)
    for home in (harmed, unharmed):
        home.many(12)
    with dying(MemoryPendingBook, "set_place", after=after):
        harmed.sweep()
    for home in (harmed, unharmed):
        for _ in range(3):
            home.sweep()
    assert harmed.said == unharmed.said
    assert len(harmed.said) == 12


def test_a_sweep_whose_place_cannot_be_written_says_so() -> None:
    home = Swept(pages=1)
    home.many(9)

    def fails(*_: object) -> None:
        raise Unavailable("database.unavailable", "told to fail")

    home.pending.set_place = fails  # type: ignore[method-assign]
    with pytest.raises(Unavailable):
        home.sweep()
    assert len(home.said) == 4
