"""Stripe by webhook, poll and report: one movement is one transaction, whatever came first."""

from __future__ import annotations

import json
from functools import reduce
from itertools import permutations
from typing import Any

import pytest

from local.psp import balance, objects, report, settle
from local.psp.records import Records
from pardna.formats import registry, stripe_balance, stripe_event, stripe_payout_report
from pardna.runtime.errors import PardnaError, UnreadableFile
from pardna.transactions.merging import merge
from pardna.transactions.model import Kind, Reference, Strength, Transaction
from tests.support.formats import STRIPE
from tests.unit.local.simulated import a_charge, a_refund, records


def settled() -> tuple[Records, dict[str, Any]]:
    """A charge, a refund, a lost dispute, a fee, and the payout of them all."""
    one, two = a_charge(1), a_charge(2, 300_000)
    known = records(one, two, refunds=(a_refund(one),))
    settle.open_dispute(known, two["id"], 100_000, "fraudulent")
    settle.adjust(known, "jmd", -2_000, "monthly fee", "stripe_fee")
    payout, _ = settle.pay_out(known, "jmd", "2026-11-24")
    return known, payout


def event(kind: str, thing: dict[str, Any], event_id: str = "evt_1") -> bytes:
    body = {"id": event_id, "object": "event", "type": kind, "created": 1_795_262_401}
    return json.dumps(body | {"data": {"object": thing}}).encode()


def by_webhook(known: Records) -> Transaction:
    charge = objects.charge(known, known.charges["ch_00000000000001"])
    intent = {
        "id": charge["payment_intent"],
        "object": "payment_intent",
        "amount": charge["amount"],
        "amount_received": charge["amount"],
        "currency": "jmd",
        "metadata": {"contribution_id": "con_1"},
        "latest_charge": charge | {"metadata": {}},
    }
    (found,) = stripe_event.read(event("payment_intent.succeeded", intent), STRIPE).transactions
    return found


def listing(known: Records, payout: dict[str, Any]) -> bytes:
    rows = [
        row | {"source": objects.charge(known, known.charges[row["source"]])}
        if str(row["source"]).startswith("ch_")
        else row | {"source": objects.refund(known, known.refunds[row["source"]])}
        if str(row["source"]).startswith("re_")
        else row | {"source": objects.dispute(known, known.disputes[row["source"]])}
        if str(row["source"]).startswith("dp_")
        else row
        for row in balance.balance_transactions(known)
    ]
    document = {"object": "pardna.stripe_listing", "resource": "balance_transactions"}
    return json.dumps(document | {"payout": payout["id"], "data": rows}).encode()


def by_poll(known: Records, payout: dict[str, Any]) -> dict[str, Transaction]:
    parsed = stripe_balance.read(listing(known, payout), STRIPE)
    assert parsed.problems == ()
    return {t.external_id: t for t in parsed.transactions}


def by_report(known: Records, payout: dict[str, Any]) -> dict[str, Transaction]:
    parsed = stripe_payout_report.read(report.payout_report(known, payout).encode(), STRIPE)
    assert parsed.problems == ()
    return {t.external_id: t for t in parsed.transactions}


def test_one_charge_by_three_routes_in_six_orders_is_one_content() -> None:
    known, payout = settled()
    charge_id = "ch_00000000000001"
    routes = (
        by_webhook(known),
        by_poll(known, payout)[charge_id],
        by_report(known, payout)[charge_id],
    )
    assert len({t.transaction_id for t in routes}) == 1
    ends = {reduce(merge, order).content_hash for order in permutations(routes)}
    assert len(ends) == 1
    end = reduce(merge, routes)
    assert (end.gross_minor, end.fee_minor, end.net_minor) == (500_000, 19_500, 480_500)
    assert end.batch_id == payout["id"]
    assert Reference("contribution", "con_1", Strength.STRONG) in end.references


def test_poll_and_report_agree_on_every_movement() -> None:
    known, payout = settled()
    poll, lines = by_poll(known, payout), by_report(known, payout)
    assert set(poll) - set(lines) == {payout["id"]}
    for external_id, line in lines.items():
        assert line.kind is poll[external_id].kind
        assert line.amount_minor == poll[external_id].amount_minor
        merge(poll[external_id], line)
    kinds = sorted(t.kind.value for t in lines.values())
    assert kinds == ["charge", "charge", "dispute", "fee", "refund"]


def test_a_payout_is_paid_by_its_members_to_the_last_cent() -> None:
    known, payout = settled()
    poll = by_poll(known, payout)
    members = [t for i, t in poll.items() if i != payout["id"]]
    assert {t.batch_id for t in poll.values()} == {payout["id"]}
    assert sum(t.net_minor or 0 for t in members) == -poll[payout["id"]].amount_minor
    assert poll[payout["id"]].kind is Kind.PAYOUT


def test_a_payouts_event_and_listing_and_row_are_one_transaction() -> None:
    known, payout = settled()
    whole = objects.payout(known, payout)
    (told,) = stripe_event.read(event("payout.paid", whole), STRIPE).transactions
    document = {"object": "pardna.stripe_listing", "payout": None, "data": [whole]}
    (listed,) = stripe_balance.read(json.dumps(document).encode(), STRIPE).transactions
    moved = by_poll(known, payout)[payout["id"]]
    assert told.content_hash == listed.content_hash
    assert told.transaction_id == moved.transaction_id
    assert merge(told, moved).content_hash == merge(moved, told).content_hash
    assert Reference("payout", whole["trace_id"]["value"]) in told.references


def test_a_dispute_event_and_its_movement_are_one_transaction() -> None:
    known, payout = settled()
    (dispute,) = known.disputes.values()
    (told,) = stripe_event.read(
        event("charge.dispute.created", objects.dispute(known, dispute)), STRIPE
    ).transactions
    moved = by_poll(known, payout)[told.external_id]
    assert (told.kind, told.amount_minor, told.fee_minor) == (Kind.DISPUTE, -100_000, 240_000)
    assert told.references == moved.references


def test_an_intent_with_only_the_charges_id_is_enough() -> None:
    intent = {
        "id": "pi_1",
        "object": "payment_intent",
        "amount": 500,
        "amount_received": 500,
        "currency": "usd",
        "metadata": {"contribution_id": "con_1"},
        "latest_charge": "ch_1",
    }
    (found,) = stripe_event.read(event("payment_intent.succeeded", intent), STRIPE).transactions
    assert (found.external_id, found.amount_minor, found.currency) == ("ch_1", 500, "USD")
    assert found.fee_minor is None


def test_events_that_move_no_money_say_nothing() -> None:
    thing = {"id": "pi_1", "object": "payment_intent", "amount": 5, "currency": "usd"}
    for kind in ("payment_intent.payment_failed", "payment_intent.created"):
        assert stripe_event.read(event(kind, thing), STRIPE).entries_count == 0
    refund = a_refund(a_charge()) | {"object": "refund", "status": "failed"}
    assert stripe_event.read(event("refund.failed", refund), STRIPE).entries_count == 0


@pytest.mark.parametrize(
    "change",
    [
        {"amount": 5.5},
        {"amount": True},
        {"amount": "5"},
        {"currency": "zzz"},
        {"created": -1},
        {"id": "ch 1"},
        {"id": None},
        {"amount": 10**30},
    ],
)
def test_a_garbled_object_is_a_problem_and_never_a_guess(change: dict[str, Any]) -> None:
    charge = a_charge() | {"object": "charge"} | change
    parsed = stripe_event.read(event("charge.succeeded", charge), STRIPE)
    assert parsed.transactions == ()
    assert len(parsed.problems) == 1


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b'{"object":"event"}',
        b"\xff\xfe",
        b'{"object":"event","data":NaN}',
        b"[" * 10_000,
    ],
)
def test_what_is_no_event_is_refused(data: bytes) -> None:
    with pytest.raises(UnreadableFile):
        stripe_event.read(data, STRIPE)


def test_a_report_row_of_wrong_width_or_amount_is_named_by_its_line() -> None:
    known, payout = settled()
    lines = report.payout_report(known, payout).splitlines()
    lines[1] = lines[1].replace("5000.00", "5000.001", 1)
    lines[2] += ",extra"
    parsed = stripe_payout_report.read("\r\n".join(lines).encode(), STRIPE)
    assert [(p.code, p.position) for p in parsed.problems] == [
        ("row.amount", "line 2"),
        ("row.cells", "line 3"),
    ]
    assert len(parsed.transactions) == 3


def test_formats_are_known_by_their_content_not_by_what_customers_write_in_them() -> None:
    known, payout = settled()
    assert registry.detect(listing(known, payout)) == "stripe.balance"
    assert registry.detect(report.payout_report(known, payout).encode()) == "stripe.payout_report"
    trick = a_charge() | {"object": "charge", "metadata": {"object": "pardna.stripe_listing"}}
    assert registry.detect(event("charge.succeeded", trick)) == "stripe.event"
    for nothing in (b"", b" \n", b"{}", b"<a/>", b"a,b\n1,2", b'{"object":'):
        with pytest.raises(PardnaError):
            registry.detect(nothing)


def test_a_list_of_events_tells_what_each_alone_would() -> None:
    intent = {
        "id": "pi_1",
        "object": "payment_intent",
        "amount": 500,
        "amount_received": 500,
        "currency": "jmd",
        "metadata": {},
        "latest_charge": "ch_1",
    }
    one = json.loads(event("payment_intent.succeeded", intent))
    other = json.loads(event("customer.created", {"id": "cus_1", "object": "customer"}))
    rows = [one, other, {"object": "event"}, {"object": "event", "type": "x", "data": []}, 7]
    parsed = registry.parse(json.dumps({"object": "list", "data": rows}).encode(), STRIPE)
    (alone,) = registry.parse(json.dumps(one).encode(), STRIPE).transactions
    (listed,) = parsed.transactions
    assert listed.content_hash == alone.content_hash
    assert [p.position for p in parsed.problems] == ["row 3", "row 4", "row 5"]


@pytest.mark.parametrize(
    ("currency", "counted", "minor"),
    [
        ("isk", 500, 5),
        ("ugx", 500, 5),
        ("mga", 500, 50_000),
        ("jpy", 500, 500),
        ("kwd", 5_120, 5_120),
        ("huf", 1_045, 1_045),
    ],
)
def test_currencies_that_stripe_counts_otherwise(currency: str, counted: int, minor: int) -> None:
    """https://docs.stripe.com/currencies: currencies without decimals, and the special cases."""
    charge = a_charge() | {"object": "charge", "currency": currency, "amount": counted}
    told = stripe_event.read(event("charge.succeeded", charge), STRIPE)
    assert [t.amount_minor for t in told.transactions] == [minor]
    entry = {"object": "balance_transaction", "id": "txn_1", "type": "charge", "source": "ch_1"}
    entry |= {"amount": counted, "fee": 0, "net": counted, "currency": currency, "created": 1}
    moved = registry.parse(json.dumps({"object": "list", "data": [entry]}).encode(), STRIPE)
    assert [(t.gross_minor, t.net_minor) for t in moved.transactions] == [(minor, minor)]


def test_an_amount_that_stripe_cannot_have_counted_is_named() -> None:
    charge = a_charge() | {"object": "charge", "currency": "isk", "amount": 501}
    told = stripe_event.read(event("charge.succeeded", charge), STRIPE)
    assert [p.code for p in told.problems] == ["row.amount"]
