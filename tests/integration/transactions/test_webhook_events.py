"""One event, many deliveries at once: the database decides which of them counts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import psycopg
import pytest

from pardna.transactions.model import Kind, Side, Transaction
from pardna.transactions.ports import Batch, Delivery, DeliveryStatus
from pardna.transactions.postgres import PostgresTransactionStore
from tests.support.postgres import TestDatabase

TENANT = "kgn-one"
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def told(number: int) -> Batch:
    """The same event in other bytes, each of which tells of another charge."""
    raw = f"{number:064x}"
    transaction = Transaction(
        tenant_id=TENANT,
        source="stripe:acct_1",
        external_id=f"ch_{number}",
        side=Side.PSP,
        kind=Kind.CHARGE,
        amount_minor=100,
        currency="JMD",
        occurred_at=NOON,
        raw_sha256=raw,
        raw_position="event",
    )
    delivery = Delivery(
        "stripe", "webhook", "webhook", raw, NOON, DeliveryStatus.ACCEPTED, event_id="evt_1"
    )
    return Batch("c-1", delivery, transactions=(transaction,))


def test_of_sixteen_at_once_one_counts(database: TestDatabase) -> None:
    store = PostgresTransactionStore(database.session())
    with ThreadPoolExecutor(8) as pool:
        recorded = list(pool.map(lambda n: store.record(TENANT, "p", told(n)), range(16)))
    assert sum(map(len, recorded)) == 1
    with psycopg.connect(database.superuser_conninfo) as connection:
        rows = connection.execute(
            "SELECT status, count(*) FROM platform.deliveries GROUP BY 1 ORDER BY 1"
        ).fetchall()
    assert rows == [("accepted", 1), ("duplicate", 15)]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE platform.webhook_events SET raw_sha256 = repeat('b', 64)",
        "DELETE FROM platform.webhook_events",
        "UPDATE platform.deliveries SET status = 'refused'",
    ],
)
def test_what_counted_is_not_unsaid(database: TestDatabase, statement: str) -> None:
    store = PostgresTransactionStore(database.session())
    store.record(TENANT, "p", told(1))
    with (
        psycopg.connect(database.superuser_conninfo) as connection,
        pytest.raises(psycopg.Error),
    ):
        connection.execute(statement.encode())
