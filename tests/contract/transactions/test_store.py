"""What every transaction store does: the fake and PostgreSQL alike."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import permutations

import pytest

from pardna.runtime.errors import InvalidInput
from pardna.transactions.model import Kind, Reference, Side, Strength, Transaction
from pardna.transactions.ports import (
    COPY,
    Batch,
    Delivery,
    DeliveryStatus,
    Outcome,
    Rejected,
    StatementRecord,
    TransactionStore,
    of_known_event,
)
from pardna.transactions.postgres import PostgresTransactionStore
from tests.fakes.transactions import MemoryTransactionStore

TENANT = "kgn-one"
RAW = "a" * 64
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.fixture(params=["memory", "postgres"])
def store(request: pytest.FixtureRequest) -> TransactionStore:
    if request.param == "memory":
        return MemoryTransactionStore()
    return PostgresTransactionStore(request.getfixturevalue("database").session())


def charge(external_id: str = "ch_1", **changes: object) -> Transaction:
    made = Transaction(
        tenant_id=TENANT,
        source="stripe:acct_1",
        external_id=external_id,
        side=Side.PSP,
        kind=Kind.CHARGE,
        amount_minor=500_000,
        currency="JMD",
        occurred_at=NOON,
        raw_sha256=RAW,
        raw_position="1",
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def batch(*transactions: Transaction, **more: object) -> Batch:
    return Batch(correlation_id="c-1", transactions=transactions, **more)  # type: ignore[arg-type]


def test_the_same_again_changes_nothing(store: TransactionStore) -> None:
    assert [r.outcome for r in store.record(TENANT, "p", batch(charge()))] == [Outcome.NEW]
    again = store.record(TENANT, "p", batch(charge(raw_sha256="b" * 64, raw_position="9")))
    assert [(r.outcome, r.version) for r in again] == [(Outcome.UNCHANGED, 1)]


def test_more_knowledge_is_the_next_version(store: TransactionStore) -> None:
    store.record(TENANT, "p", batch(charge()))
    fuller = charge(gross_minor=500_000, fee_minor=19_500, net_minor=480_500, batch_id="po_1")
    (changed,) = store.record(TENANT, "p", batch(fuller))
    assert (changed.outcome, changed.version) == (Outcome.CHANGED, 2)
    (poorer,) = store.record(TENANT, "p", batch(charge()))
    assert (poorer.outcome, poorer.version) == (Outcome.UNCHANGED, 2)
    assert poorer.transaction.fee_minor == 19_500


def test_three_routes_in_six_orders_end_in_one_head(store: TransactionStore) -> None:
    strong = Reference("contribution", "con_1", Strength.STRONG)
    routes = (
        charge("x", references=(strong,)),
        charge("x", gross_minor=500_000, fee_minor=1, net_minor=499_999),
        charge("x", gross_minor=500_000, fee_minor=1, net_minor=499_999, batch_id="po_1"),
    )
    ends = set()
    for number, order in enumerate(permutations(routes)):
        for one in order:
            last = store.record(TENANT, "p", batch(replace(one, external_id=f"ch_{number}")))
        ends.add(replace(last[0].transaction, external_id="x").content_hash)
    assert len(ends) == 1


def test_one_batch_may_say_the_same_thing_twice(store: TransactionStore) -> None:
    results = store.record(TENANT, "p", batch(charge(), charge(batch_id="po_1")))
    assert [(r.outcome, r.version, r.transaction.batch_id) for r in results] == [
        (Outcome.NEW, 1, "po_1")
    ]


def test_a_contradiction_is_put_aside_and_the_rest_goes_on(store: TransactionStore) -> None:
    store.record(TENANT, "p", batch(charge("ch_1")))
    results = store.record(TENANT, "p", batch(charge("ch_1", currency="USD"), charge("ch_2")))
    assert {r.transaction.external_id: r.outcome for r in results} == {
        "ch_1": Outcome.REFUSED,
        "ch_2": Outcome.NEW,
    }
    assert store.get(TENANT, [charge().transaction_id])[charge().transaction_id].version == 1


def test_another_tenants_record_is_refused_whole(store: TransactionStore) -> None:
    with pytest.raises(InvalidInput, match=r"transaction\.tenant"):
        store.record(TENANT, "p", batch(charge("ch_1"), charge("ch_2", tenant_id="kgn-two")))
    assert store.get(TENANT, [charge("ch_1").transaction_id]) == {}


def test_tenants_do_not_see_each_other(store: TransactionStore) -> None:
    store.record(TENANT, "p", batch(charge()))
    assert store.get("kgn-two", [charge().transaction_id]) == {}
    assert store.undelivered("kgn-two", [RAW]) == {RAW}


def test_a_delivery_is_remembered_once_per_name(store: TransactionStore) -> None:
    first = Delivery("ncb", "sftp", "a.xml", RAW, NOON, DeliveryStatus.ACCEPTED, "camt.053", 3)
    other = replace(first, name="b.xml", status=DeliveryStatus.DUPLICATE, problems=({"code": "x"},))
    for delivery in (first, first, other):
        store.record(TENANT, "p", batch(delivery=delivery))
    assert store.deliveries(TENANT, RAW) == [first, other]
    assert store.undelivered(TENANT, [RAW, "b" * 64]) == {"b" * 64}


def test_a_copy_under_another_name_does_not_say_that_bytes_were_read(
    store: TransactionStore,
) -> None:
    copy = Delivery(
        "ncb", "sftp", "b.xml", RAW, NOON, DeliveryStatus.DUPLICATE, problems=({"code": COPY},)
    )
    store.record(TENANT, "p", batch(delivery=copy))
    assert store.undelivered(TENANT, [RAW]) == {RAW}
    known = replace(copy, name="a.xml", problems=(of_known_event(),))
    store.record(TENANT, "p", batch(delivery=known))
    assert store.undelivered(TENANT, [RAW]) == set()


def test_statements_and_rejections_are_written_once(store: TransactionStore) -> None:
    statement = StatementRecord("ncb:1", "S1", "JMD", 100, 150, 50, 2, RAW)
    rejected = Rejected(RAW, "statement S2", "ncb", "statement.does_not_tie", "off by 1")
    for _ in range(2):
        store.record(TENANT, "p", batch(statements=(statement,), rejected=(rejected,)))


@pytest.mark.parametrize("count", [0, 2_001])
def test_any_number_of_rows(store: TransactionStore, count: int) -> None:
    rows = tuple(charge(f"ch_{i}") for i in range(count))
    assert len(store.record(TENANT, "p", batch(*rows))) == count
    assert all(r.outcome is Outcome.UNCHANGED for r in store.record(TENANT, "p", batch(*rows)))


def test_what_a_statement_may_open_with(store: TransactionStore) -> None:
    def statement(number: int, closing: int, day: int, **changes: object) -> StatementRecord:
        made = StatementRecord("ncb:1", f"S{number}", "JMD", 0, closing, closing, 1, RAW)
        return replace(made, to_date=date(2026, 1, day), **changes)  # type: ignore[arg-type]

    known = (
        statement(1, 100, 3),
        statement(2, 200, 5),
        statement(3, 300, 6),
        statement(4, 400, 7),
        statement(5, 999, 6, source="ncb:2"),
        statement(6, 888, 6, currency="USD"),
    )
    store.record(TENANT, "p", batch(statements=known))
    assert store.closings(TENANT, "ncb:1", "JMD", date(2026, 1, 6)) == {200, 300}
    assert store.closings(TENANT, "ncb:1", "JMD", date(2026, 1, 31)) == {400}
    assert store.closings(TENANT, "ncb:1", "JMD", date(2026, 1, 3)) == {100}
    assert store.closings(TENANT, "ncb:1", "JMD", date(2026, 1, 2)) == set()
    assert store.closings("kgn-two", "ncb:1", "JMD", date(2026, 1, 31)) == set()


def delivered(raw: str, status: DeliveryStatus, event_id: str = "evt_1") -> Delivery:
    return Delivery("stripe", "webhook", "webhook", raw * 64, NOON, status, event_id=event_id)


def test_an_event_that_comes_again_in_other_bytes_has_no_effect(store: TransactionStore) -> None:
    good, bad = DeliveryStatus.ACCEPTED, DeliveryStatus.REFUSED
    store.record(TENANT, "p", batch(delivery=delivered("a", bad)))  # does not count: takes no name
    first = store.record(TENANT, "p", batch(charge(), delivery=delivered("b", good)))
    other = charge("ch_2", raw_sha256="c" * 64)
    again = store.record(TENANT, "p", batch(other, delivery=delivered("c", good)))
    assert [r.outcome for r in first] == [Outcome.NEW]
    assert again == []
    ((known),) = store.deliveries(TENANT, "c" * 64)
    assert known.status is DeliveryStatus.DUPLICATE
    assert [p["code"] for p in known.problems] == ["event.duplicate"]
    # The first one's own bytes again, another event, another tenant: all as ever.
    assert store.record(TENANT, "p", batch(charge(), delivery=delivered("b", good)))[0].outcome is Outcome.UNCHANGED  # fmt: skip
    assert store.record(TENANT, "p", batch(other, delivery=delivered("d", good, "evt_2")))
    theirs = charge(tenant_id="kgn-two")
    assert store.record("kgn-two", "p", batch(theirs, delivery=delivered("c", good)))


def test_what_could_not_be_read_may_be_read_later_and_never_falls_back(
    store: TransactionStore,
) -> None:
    for status, expected in (
        (DeliveryStatus.REFUSED, DeliveryStatus.REFUSED),
        (DeliveryStatus.QUARANTINED, DeliveryStatus.QUARANTINED),
        (DeliveryStatus.ACCEPTED, DeliveryStatus.ACCEPTED),
        (DeliveryStatus.REFUSED, DeliveryStatus.ACCEPTED),
        (DeliveryStatus.QUARANTINED, DeliveryStatus.ACCEPTED),
    ):
        store.record(TENANT, "p", batch(delivery=delivered("a", status, "")))
        (known,) = store.deliveries(TENANT, "a" * 64)
        assert known.status is expected
