"""What only a real database shows: writers at once, all or nothing, and what leaves by the outbox."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import reduce
from itertools import count

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pardna.outbox.postgres import PostgresUnsentEvents
from pardna.runtime.errors import InvalidInput
from pardna.transactions.merging import merge
from pardna.transactions.model import Transaction
from pardna.transactions.ports import Delivery, DeliveryStatus, Outcome
from pardna.transactions.postgres import PostgresTransactionStore, record_in
from pardna.transactions.recorded import TransactionRecorded
from tests.contract.transactions.test_store import NOON, RAW, TENANT, batch, charge
from tests.support.postgres import TestDatabase
from tests.support.strategies import reports

NUMBERS = count(100)


def rows(database: TestDatabase, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(database.superuser_conninfo) as connection:
        return connection.execute(query.encode()).fetchall()


def test_ten_clients_at_once_on_one_identity_make_one_head(database: TestDatabase) -> None:
    store = PostgresTransactionStore(database.session())
    fuller = charge(gross_minor=500_000, fee_minor=19_500, net_minor=480_500)
    said = [charge(), fuller, charge(batch_id="po_1"), charge(description="Hand 1"), fuller] * 2

    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda t: store.record(TENANT, "p", batch(t)), said))

    expected = said[0]
    for one in said:
        expected = merge(expected, one)
    ((version, content_hash),) = rows(
        database, "SELECT version, content_hash FROM platform.transactions"
    )
    versions = rows(database, "SELECT version FROM platform.transaction_versions ORDER BY version")
    assert content_hash == expected.content_hash
    assert [v[0] for v in versions] == list(range(1, int(str(version)) + 1))
    assert len(rows(database, "SELECT 1 FROM platform.outbox")) == version


def test_overlapping_batches_in_opposite_orders_do_not_deadlock(database: TestDatabase) -> None:
    store = PostgresTransactionStore(database.session())
    store.record(TENANT, "p", batch(*(charge(f"ch_{i}") for i in range(0, 400, 2))))

    def write(number: int) -> int:
        said = [charge(f"ch_{i}", description=f"writer {number}") for i in range(400)]
        return len(store.record(TENANT, "p", batch(*(said if number % 2 else reversed(said)))))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(write, range(8))) == [400] * 8
    assert rows(database, "SELECT count(*) FROM platform.transactions") == [(400,)]


def test_each_new_version_is_announced_with_the_one_it_replaces(database: TestDatabase) -> None:
    session = database.session()
    store, outbox = PostgresTransactionStore(session), PostgresUnsentEvents(session)
    fuller = charge(fee_minor=19_500, gross_minor=500_000, net_minor=480_500)
    for one in (charge(), fuller, charge()):
        store.record(TENANT, "p", batch(one))

    first, second = sorted(
        map(TransactionRecorded.from_envelope, outbox.unsent(TENANT, 10)), key=lambda r: r.version
    )
    assert (first.version, first.previous) == (1, None)
    assert second.version == 2
    assert second.previous is not None
    assert second.previous.content_hash == charge().content_hash
    assert second.transaction.fee_minor == 19_500

    outbox.mark_sent(TENANT, [e.event_id for e in outbox.unsent(TENANT, 1)])
    assert len(outbox.unsent(TENANT, 10)) == 1


def test_recording_inside_anothers_transaction_shares_its_fate(database: TestDatabase) -> None:
    session = database.session()
    with suppress(ZeroDivisionError), session.transaction(TENANT, "p") as connection:
        record_in(connection, TENANT, [charge()], "c-1")
        raise ZeroDivisionError
    assert rows(database, "SELECT 1 FROM platform.transactions") == []

    with session.transaction(TENANT, "p") as connection:
        (one,) = record_in(connection, TENANT, [charge()], "c-1")
    assert one.outcome is Outcome.NEW

    with (
        pytest.raises(InvalidInput, match=r"transaction\.contradiction"),
        session.transaction(TENANT, "p") as connection,
    ):
        record_in(connection, TENANT, [charge("ch_2"), charge(currency="USD")], "c-1")
    assert rows(database, "SELECT count(*) FROM platform.transactions") == [(1,)]


def test_a_batch_that_fails_at_the_end_leaves_nothing(database: TestDatabase) -> None:
    store = PostgresTransactionStore(database.session())
    wrong = Delivery("ncb", "sftp", "a.xml", RAW, NOON, DeliveryStatus.ACCEPTED)
    with pytest.raises(psycopg.errors.CheckViolation):
        store.record(TENANT, "p", batch(charge(), delivery=replace(wrong, channel="pigeon")))
    assert rows(database, "SELECT 1 FROM platform.transactions") == []
    assert rows(database, "SELECT 1 FROM platform.outbox") == []


def test_a_contradiction_is_found_in_quarantine(database: TestDatabase) -> None:
    store = PostgresTransactionStore(database.session())
    store.record(TENANT, "p", batch(charge()))
    store.record(TENANT, "p", batch(charge(currency="USD", raw_position="row 7")))
    found = rows(database, "SELECT position, code, reason FROM platform.quarantine")
    assert found == [
        ("row 7", "transaction.contradiction", "currency of stripe:acct_1/ch_1 was JMD")
    ]


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(said=st.lists(reports(), min_size=1, max_size=6), cut=st.integers(0, 6))
def test_whatever_the_order_and_the_batches_the_head_is_what_all_of_them_say(
    database: TestDatabase, said: list[Transaction], cut: int
) -> None:
    tenant = f"t-{next(NUMBERS)}"
    said = [replace(t, tenant_id=tenant) for t in said]
    store = PostgresTransactionStore(database.session())
    for part in (said[cut:], said[:cut], said):
        store.record(tenant, "p", batch(*part))
    head = store.get(tenant, [said[0].transaction_id])[said[0].transaction_id]
    assert head.transaction.content_hash == reduce(merge, said, said[0]).content_hash
    assert store.record(tenant, "p", batch(*said))[0].outcome is Outcome.UNCHANGED
