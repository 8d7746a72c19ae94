"""Polling a processor: what is kept depends on its data alone, and a death costs nothing."""

from __future__ import annotations

import inspect
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pardna.formats import stripe_balance
from pardna.ingestion import poll
from pardna.ingestion.model import Captured, Receipt
from pardna.ingestion.poll import Mark, PollProvider, read_cursor
from pardna.ingestion.retry import Retry
from pardna.runtime.errors import InvalidInput, NotAuthenticated, Unavailable
from tests.fakes.ingestion import FixedPoller, MemoryRawStore, MemorySources
from tests.support.counted import counted, forget_counts
from tests.support.ingestion import NOON, TENANT, a_stripe_source

DAY = 86_400
START = 1_795_262_400


class Died(BaseException):
    """The process is gone; nothing may catch it."""


class MortalRaw(MemoryRawStore):
    """Dies just before, or just after, its `dies_at`-th write."""

    dies_at, after = 0, False

    def put_once(self, tenant_id: str, data: bytes, receipt: Receipt) -> Captured:
        self.dies_at -= 1
        if self.dies_at == 0 and not self.after:
            raise Died
        captured = super().put_once(tenant_id, data, receipt)
        if self.dies_at == 0:
            raise Died
        return captured


class MortalSources(MemorySources):
    """Dies just before, or just after, its `dies_at`-th cursor."""

    dies_at, after = 0, False

    def set_cursor(self, tenant_id: str, source_id: str, cursor: str) -> None:
        self.dies_at -= 1
        if self.dies_at == 0 and not self.after:
            raise Died
        super().set_cursor(tenant_id, source_id, cursor)
        if self.dies_at == 0:
            raise Died


def movement(
    number: int, created: int, kind: str = "charge", amount: int = 1_000
) -> dict[str, Any]:
    source = {"charge": f"ch_{number}", "payout": f"po_{number}"}[kind]
    return {
        "id": f"txn_{number}",
        "object": "balance_transaction",
        "amount": amount,
        "fee": 0,
        "net": amount,
        "currency": "jmd",
        "created": created,
        "available_on": created,
        "type": kind,
        "reporting_category": kind,
        "source": source,
        "description": None,
    }


def processor(page_rows: int = 2) -> FixedPoller:
    payout = {"id": "po_9", "object": "payout", "amount": 3_000, "currency": "jmd"}
    rows = [movement(n, START + n * DAY) for n in (1, 2, 3)]
    rows.append(movement(9, START + 4 * DAY, "payout", -3_000))
    lists = {"payouts": [payout | {"created": START + 4 * DAY}], "balance_transactions": rows}
    return FixedPoller(lists, {"po_9": [row["id"] for row in rows]}, page_rows)


def poller(raw: MemoryRawStore, source: MemorySources, fixed: FixedPoller) -> PollProvider:
    retry = Retry(sleep=lambda _: None, fraction=lambda: 1.0)
    now = datetime.fromtimestamp(START + 30 * DAY, UTC)
    return PollProvider(source, {"stripe": fixed}, raw, lambda: now, retry)


def test_a_second_poll_keeps_nothing_new_and_starts_later() -> None:
    raw, sources, fixed = MemoryRawStore(), MemorySources(a_stripe_source()), processor()
    first = poller(raw, sources, fixed).poll()
    before, cursor = dict(raw.objects), sources.cursor(TENANT, "stripe")
    second = poller(raw, sources, fixed).poll(TENANT, "stripe")
    assert first.new_count == first.seen_count == 6
    assert (second.new_count, second.seen_count) == (0, 6)
    assert raw.objects == before
    assert sources.cursor(TENANT, "stripe") == cursor
    since = START + 4 * DAY - 7 * DAY
    assert read_cursor(cursor) == {n: Mark(since - since % DAY) for n in fixed.lists}


def test_all_documents_are_read_as_transactions_of_their_payout() -> None:
    raw = MemoryRawStore()
    poller(raw, MemorySources(a_stripe_source()), processor()).poll()
    origin = a_stripe_source().origin("0" * 64)
    parsed = [stripe_balance.read(data, origin) for data, _ in raw.objects.values()]
    found = {(t.external_id, t.batch_id) for p in parsed for t in p.transactions}
    assert {("ch_1", "po_9"), ("ch_1", ""), ("po_9", "po_9")} <= found


def test_what_is_dated_ahead_hides_nothing_that_is_made_until_then() -> None:
    raw, sources, fixed = MemoryRawStore(), MemorySources(a_stripe_source()), processor()
    fixed.lists["charges"] = [{"id": "ch_ahead", "created": START + 60 * DAY}]
    poller(raw, sources, fixed).poll()
    fixed.lists["charges"].append({"id": "ch_late", "created": START + 29 * DAY})
    poller(raw, sources, fixed).poll()
    kept = {r["id"] for data, _ in raw.objects.values() for r in json.loads(data)["data"]}
    assert {"ch_ahead", "ch_late"} <= kept


@pytest.mark.parametrize("page_rows", [1, 2, 3, 100])
def test_a_day_without_end_is_kept_in_parts_whatever_the_pages(
    monkeypatch: pytest.MonkeyPatch, page_rows: int
) -> None:
    monkeypatch.setattr(poll, "ROWS_MAX", 2)
    raw = MemoryRawStore()
    rows = [movement(n, START + n) for n in range(5)]
    fixed = FixedPoller({"balance_transactions": rows}, page_rows=page_rows)
    poller(raw, MemorySources(a_stripe_source()), fixed).poll()
    ids = [[r["id"] for r in json.loads(data)["data"]] for data, _ in raw.objects.values()]
    assert sorted(ids) == [["txn_0"], ["txn_1", "txn_2"], ["txn_3", "txn_4"]]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("part", ["raw", "cursor"])
def test_killed_at_any_write_the_next_poll_goes_on_and_keeps_the_same(
    part: str, after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poll, "ROWS_MAX", 2)
    unharmed = MemoryRawStore()
    poller(unharmed, MemorySources(a_stripe_source()), processor(1)).poll()
    died = 0
    for at in range(1, 20):
        raw, sources = MortalRaw(), MortalSources(a_stripe_source())
        (raw if part == "raw" else sources).dies_at = at
        (raw if part == "raw" else sources).after = after
        try:
            poller(raw, sources, processor(1)).poll()
        except Died:
            died += 1
        raw.dies_at = sources.dies_at = 0
        fixed = processor(1)
        poller(raw, sources, fixed).poll()
        assert raw.objects.keys() == unharmed.objects.keys()
        assert not any(m.after for m in read_cursor(sources.cursor(TENANT, "stripe")).values())
    assert died >= (7 if part == "raw" else 5)


def thrice(service: PollProvider) -> None:
    for _ in range(3):
        service.poll()


def test_killed_at_any_page_the_next_poll_goes_on_below_what_it_kept() -> None:
    unharmed = MemoryRawStore()
    poller(unharmed, MemorySources(a_stripe_source()), processor(1)).poll()
    for page in range(1, 12):
        raw, sources, fixed = MemoryRawStore(), MemorySources(a_stripe_source()), processor(1)
        asked = fixed.page

        def dying(*a: Any, asked: Any = asked, fixed: Any = fixed, page: int = page) -> Any:
            if len(fixed.asked) == page:
                raise Died
            return asked(*a)

        fixed.page = dying  # type: ignore[method-assign]
        with pytest.raises(Died):
            thrice(poller(raw, sources, fixed))
        marks = read_cursor(sources.cursor(TENANT, "stripe"))
        again = processor(1)
        poller(raw, sources, again).poll()
        assert raw.objects.keys() == unharmed.objects.keys()
        places = {name: m.after for name, m in marks.items() if m.after}
        for name, place in places.items():
            assert place in [after for resource, _, after, within in again.asked if resource == name and not within]  # fmt: skip


def test_every_write_is_on_the_list() -> None:
    """A new write of the service's must be numbered in its list, and be killed above."""
    text = inspect.getsource(poll)
    writes = text.count("self.raw.put_once(") + text.count("self._remember(visit)")
    assert writes == text.count("# boundary ") == 3


def test_two_polls_of_one_source_at_once_lose_nothing_whichever_writes_its_place_last() -> None:
    """Any place that any poll wrote may be what stands in the end: the next poll still finds all."""
    places: list[str] = []

    class NotingSources(MemorySources):
        def set_cursor(self, tenant_id: str, source_id: str, cursor: str) -> None:
            places.append(cursor)
            super().set_cursor(tenant_id, source_id, cursor)

    raw, sources, fixed = MemoryRawStore(), NotingSources(a_stripe_source()), processor(1)
    poller(raw, sources, fixed).poll()
    assert len(places) > 6
    late = movement(10, START + 5 * DAY)
    fixed.lists["balance_transactions"].append(late)
    for place in list(dict.fromkeys(["", *places])):
        again = MemoryRawStore()
        again.objects = dict(raw.objects)
        sources.set_cursor(TENANT, "stripe", place)
        for _ in range(2):  # a place below the newest row is one of a reading that goes on first
            poller(again, sources, fixed).poll()
        kept = {r["id"] for data, _ in again.objects.values() for r in json.loads(data)["data"]}
        assert kept == {"txn_1", "txn_2", "txn_3", "txn_9", "txn_10", "po_9"}


def test_what_came_in_while_a_reading_was_broken_off_is_read_by_the_next() -> None:
    raw, sources, fixed = MemoryRawStore(), MemorySources(a_stripe_source()), processor(1)
    left = iter([100.0, 100.0, 100.0])
    poller(raw, sources, fixed).poll(seconds_left=lambda: next(left, 0.0))
    assert any(m.after for m in read_cursor(sources.cursor(TENANT, "stripe")).values())
    late = movement(10, START + 5 * DAY)
    fixed.lists["balance_transactions"].append(late)
    for _ in range(2):
        poller(raw, sources, fixed).poll()
    kept = {r["id"] for data, _ in raw.objects.values() for r in json.loads(data)["data"]}
    assert kept == {"txn_1", "txn_2", "txn_3", "txn_9", "txn_10", "po_9"}


def test_a_long_history_is_read_in_several_visits() -> None:
    rows = [movement(n, START + n * DAY) for n in range(9)]
    raw, sources = MemoryRawStore(), MemorySources(a_stripe_source())
    fixed = FixedPoller({"balance_transactions": rows})
    forget_counts()
    for _ in range(9):
        left = iter([100.0])
        poller(raw, sources, fixed).poll(seconds_left=lambda left=left: next(left, 0.0))
    assert len(raw.objects) == 9
    assert counted("PollContinues") == 9
    assert poller(raw, sources, fixed).poll(seconds_left=lambda: poll.SECONDS_KEPT).seen_count == 0
    poller(raw, sources, fixed).poll(seconds_left=lambda: 100.0)
    assert read_cursor(sources.cursor(TENANT, "stripe"))["balance_transactions"].after == ""


def test_a_place_that_is_gone_is_read_from_the_top_once_more() -> None:
    raw, sources, fixed = MemoryRawStore(), MemorySources(a_stripe_source()), processor()
    gone = {"balance_transactions": {"since": 0, "after": "txn_gone", "newest": START}}
    sources.set_cursor(TENANT, "stripe", json.dumps(gone))
    assert poller(raw, sources, fixed).poll().new_count == 6


def test_an_old_or_broken_cursor_only_costs_calls() -> None:
    for cursor in ("2026-11-18T00:00:00+00:00", "{", "[]", '{"a": {"b": 1}}', '{"payouts": 7}'):
        raw, sources = MemoryRawStore(), MemorySources(a_stripe_source())
        sources.set_cursor(TENANT, "stripe", cursor)
        assert poller(raw, sources, processor()).poll().new_count == 6


def test_a_busy_processor_is_asked_again_and_a_refused_key_is_not() -> None:
    fixed = processor()
    fixed.refusals = [Unavailable("stripe.unavailable", "503")] * 3
    raw = MemoryRawStore()
    assert poller(raw, MemorySources(a_stripe_source()), fixed).poll().new_count == 6
    fixed.refusals = [NotAuthenticated("stripe.key_refused", "no")] * 9
    with pytest.raises(NotAuthenticated):
        poller(raw, MemorySources(a_stripe_source()), fixed).poll()
    assert len(fixed.refusals) == 8


def test_one_sources_trouble_does_not_stop_the_others() -> None:
    strange = a_stripe_source(source_id="a-strange", provider="nobody")
    raw, sources = MemoryRawStore(), MemorySources(strange, a_stripe_source())
    with pytest.raises(InvalidInput, match=r"poll\.provider"):
        poller(raw, sources, processor()).poll()
    assert len(raw.objects) == 6


def test_a_processor_with_nothing_to_tell_leaves_no_trace() -> None:
    raw, sources = MemoryRawStore(), MemorySources(a_stripe_source())
    fixed = FixedPoller({"payouts": [], "balance_transactions": []})
    assert poller(raw, sources, fixed).poll().seen_count == 0
    assert sources.cursors == {}


def test_everybody_is_first_at_some_time_and_has_a_share() -> None:
    rows = [movement(n, START + n * DAY) for n in range(50)]
    names = [f"s{n}" for n in range(4)]
    raw, sources = MemoryRawStore(), MemorySources(*(a_stripe_source(source_id=n) for n in names))
    first = []
    for turn in range(4):
        fixed = FixedPoller({"balance_transactions": rows})
        now = NOON + timedelta(seconds=turn * poll.TURN_SECONDS)
        service = PollProvider(sources, {"stripe": fixed}, raw, lambda now=now: now, Retry())
        seen: list[str] = []
        page = fixed.page

        def noting(profile: Any, *rest: Any, page: Any = page, seen: Any = seen) -> Any:
            seen.append(profile.source_id)
            return page(profile, *rest)

        fixed.page = noting  # type: ignore[method-assign]
        left = [100.0]

        def passing(left: Any = left) -> float:
            left[0] -= 1.0
            return float(left[0])

        service.poll(seconds_left=passing)
        first.append(seen[0])
        assert set(seen) == set(names)  # a long history takes its share, and no more
    assert sorted(first) == names
