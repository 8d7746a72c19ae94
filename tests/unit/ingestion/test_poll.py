"""Polling a processor: what is kept depends on its data alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pardna.formats import stripe_balance
from pardna.ingestion import poll
from pardna.ingestion.poll import PollProvider
from pardna.ingestion.retry import Retry
from pardna.runtime.errors import NotAuthenticated, Unavailable
from tests.fakes.ingestion import FixedSettlements, MemoryRawStore, MemorySources
from tests.support.ingestion import NOON, TENANT, a_stripe_source

DAY = 86_400
START = 1_795_262_400


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


def settlements() -> FixedSettlements:
    payout = {"id": "po_9", "object": "payout", "amount": 3_000, "currency": "jmd"}
    rows = [movement(n, START + n * DAY) for n in (1, 2, 3)]
    rows.append(movement(9, START + 4 * DAY, "payout", -3_000))
    fixed = FixedSettlements([payout | {"created": START + 4 * DAY}], rows)
    fixed.members["po_9"] = [row["id"] for row in rows]
    return fixed


def poller(raw: MemoryRawStore, source: MemorySources, fixed: FixedSettlements) -> PollProvider:
    retry = Retry(sleep=lambda _: None, fraction=lambda: 1.0)
    return PollProvider(source, fixed, raw, lambda: NOON, retry)


def test_a_second_poll_keeps_nothing_new_and_starts_later() -> None:
    raw, sources, fixed = MemoryRawStore(), MemorySources(a_stripe_source()), settlements()
    first = poller(raw, sources, fixed).poll()
    before, cursor = dict(raw.objects), sources.cursor(TENANT, "stripe")
    second = poller(raw, sources, fixed).poll(TENANT, "stripe")
    assert first.new_count == first.seen_count == 6
    assert second.new_count == 0
    assert raw.objects == before
    assert sources.cursor(TENANT, "stripe") == cursor == "2026-11-18T00:00:00+00:00"


def test_all_documents_are_read_as_transactions_of_their_payout() -> None:
    raw = MemoryRawStore()
    poller(raw, MemorySources(a_stripe_source()), settlements()).poll()
    origin = a_stripe_source().origin("0" * 64)
    parsed = [stripe_balance.read(data, origin) for data, _ in raw.objects.values()]
    found = {(t.external_id, t.batch_id) for p in parsed for t in p.transactions}
    assert {("ch_1", "po_9"), ("ch_1", ""), ("po_9", "po_9")} <= found


def test_a_listing_without_end_is_kept_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poll, "ROWS_MAX", 2)
    raw = MemoryRawStore()
    fixed = FixedSettlements([], [movement(n, START + n) for n in range(5)])
    poller(raw, MemorySources(a_stripe_source()), fixed).poll()
    sizes = [len(json.loads(data)["data"]) for data, _ in raw.objects.values()]
    assert sorted(sizes) == [1, 2, 2]


def test_killed_in_the_middle_the_next_poll_completes_it() -> None:
    raw, sources, fixed = MemoryRawStore(), MemorySources(a_stripe_source()), settlements()
    unharmed = MemoryRawStore()
    poller(unharmed, MemorySources(a_stripe_source()), settlements()).poll()
    service = poller(raw, sources, fixed)
    for written in range(6):
        documents = list(service._documents(a_stripe_source(), 0))[:written]
        for _, document, _ in documents:
            raw.put_once(TENANT, document, next(iter(unharmed.objects.values()))[1])
        assert sources.cursor(TENANT, "stripe") == ""
    poller(raw, sources, fixed).poll()
    assert raw.objects.keys() == unharmed.objects.keys()


def test_a_busy_processor_is_asked_again_and_a_refused_key_is_not() -> None:
    fixed = settlements()
    fixed.refusals = [Unavailable("stripe.unavailable", "429")] * 3
    raw = MemoryRawStore()
    assert poller(raw, MemorySources(a_stripe_source()), fixed).poll().new_count == 6
    fixed.refusals = [NotAuthenticated("stripe.key_refused", "no")] * 9
    with pytest.raises(NotAuthenticated):
        poller(raw, MemorySources(a_stripe_source()), fixed).poll()
    assert len(fixed.refusals) == 8


def test_a_processor_with_nothing_to_tell_leaves_no_trace() -> None:
    raw, sources = MemoryRawStore(), MemorySources(a_stripe_source())
    assert poller(raw, sources, FixedSettlements([], [])).poll().seen_count == 0
    assert sources.cursors == {}
