"""Events in PostgreSQL: ``platform.webhook_events`` by webhook, ``platform.polled_events`` by poll."""

from __future__ import annotations

from collections.abc import Sequence

from pardna.database.session import Database
from pardna.ingestion.event_gaps import Activity, PolledEvent

#: A provider keeps its events about as long (Stripe: thirty days).
_DAYS = 30
_GAP = (
    "NOT EXISTS (SELECT 1 FROM platform.webhook_events AS told WHERE told.tenant_id = %(tenant)s"
    " AND told.source_id = %(source)s AND told.event_id = polled.event_id)"
    # Providers tell whole seconds.
    " AND polled.occurred_at >= (SELECT date_trunc('second', min(recorded_at))"
    " FROM platform.webhook_events WHERE tenant_id = %(tenant)s AND source_id = %(source)s)"
)
# Every condition is this module's own text; every value is a parameter.
_REMEMBER = (
    "WITH polled AS (INSERT INTO platform.polled_events"  # noqa: S608
    " (tenant_id, source_id, event_id, occurred_at, raw_sha256)"
    " SELECT %(tenant)s, %(source)s, event_id, occurred_at, %(raw)s"
    " FROM unnest(%(ids)s::text[], %(times)s::timestamptz[]) AS said(event_id, occurred_at)"
    " ORDER BY event_id ON CONFLICT DO NOTHING RETURNING event_id, occurred_at)"
    f" SELECT count(*) FROM polled WHERE {_GAP}"
)
_ACTIVITY = (
    "SELECT (SELECT max(received_at) FROM platform.deliveries"  # noqa: S608
    "  WHERE tenant_id = %(tenant)s AND source_id = %(source)s),"
    " (SELECT max(recorded_at) FROM platform.webhook_events"
    "  WHERE tenant_id = %(tenant)s AND source_id = %(source)s),"
    " max(recorded_at), count(*) FROM platform.polled_events AS polled"
    " WHERE tenant_id = %(tenant)s AND source_id = %(source)s"
    f" AND occurred_at > now() - make_interval(days => {_DAYS}) AND {_GAP}"
)


class PostgresEventBook:
    """`EventBook`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def remember(
        self, tenant_id: str, source_id: str, raw_sha256: str, events: Sequence[PolledEvent]
    ) -> int:
        """See `EventBook`."""
        values = {
            "tenant": tenant_id,
            "source": source_id,
            "raw": raw_sha256,
            "ids": [e.event_id for e in events],
            "times": [e.occurred_at for e in events],
        }
        with self._database.transaction(tenant_id, "system:ingestion") as connection:
            row = connection.execute(_REMEMBER.encode(), values).fetchone()
        return 0 if row is None else int(row[0])

    def activity(self, tenant_id: str, source_id: str) -> Activity:
        """See `EventBook`."""
        values = {"tenant": tenant_id, "source": source_id}
        with self._database.transaction(tenant_id, "system:read") as connection:
            row = connection.execute(_ACTIVITY.encode(), values).fetchone()
        return Activity() if row is None else Activity(*row)
