"""What left the database long ago is deleted from it; what has not left never is."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from pardna.outbox import service
from pardna.outbox.postgres import PostgresOutbox, PostgresUnsentEvents
from pardna.outbox.service import Relay
from tests.fakes.outbox import FixedTenants, MemoryDepartures
from tests.support.outbox import an_envelope
from tests.support.postgres import TestDatabase

TENANT, OTHER = "kgn-one", "kgn-two"
NOW = datetime.now(UTC)


def left(database: TestDatabase, tenant_id: str, numbers: range, days_ago: int | None) -> None:
    """Events that left so long ago, or never."""
    session = database.session()
    said = [replace(an_envelope(f"s-{n}"), tenant_id=tenant_id) for n in numbers]
    PostgresOutbox(session).announce(tenant_id, said)
    session.close()
    if days_ago is not None:
        with psycopg.connect(database.superuser_conninfo) as connection:
            connection.execute(
                "UPDATE platform.outbox SET sent_at = %s WHERE event_id = ANY(%s)",
                (NOW - timedelta(days=days_ago), [e.event_id for e in said]),
            )


def standing(database: TestDatabase) -> dict[str, int]:
    with psycopg.connect(database.superuser_conninfo) as connection:
        return dict(
            connection.execute(
                "SELECT tenant_id, count(*) FROM platform.outbox GROUP BY 1"
            ).fetchall()
        )


def test_what_left_long_ago_goes_batch_by_batch(
    database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "FORGET_BATCH", 4)
    left(database, TENANT, range(10), days_ago=31)
    left(database, TENANT, range(10, 13), days_ago=29)
    left(database, OTHER, range(20, 22), days_ago=31)
    session = database.session()
    tenants = FixedTenants(TENANT)
    relay = Relay(
        PostgresUnsentEvents(session), MemoryDepartures(lambda: NOW), tenants, lambda: NOW
    )

    counts = []
    for _ in range(4):
        relay.relay()
        counts.append(standing(database)[TENANT])
    session.close()

    assert counts == [9, 5, 3, 3]
    assert standing(database)[OTHER] == 2


def test_what_has_not_left_or_left_today_cannot_be_deleted(database: TestDatabase) -> None:
    left(database, TENANT, range(3), days_ago=None)
    left(database, TENANT, range(3, 5), days_ago=0)
    session = database.session()
    forgotten = PostgresUnsentEvents(session).forget(TENANT, NOW + timedelta(days=999), 100)
    with session.transaction(TENANT, "attacker") as connection:
        deleted = connection.execute("DELETE FROM platform.outbox").rowcount
    session.close()

    assert (forgotten, deleted) == (0, 0)
    assert standing(database) == {TENANT: 5}
