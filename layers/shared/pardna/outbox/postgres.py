"""The outbox in PostgreSQL: written in the same transaction as the fact."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from psycopg import Connection

from pardna.database.session import Database
from pardna.runtime.events import Envelope

_PRINCIPAL = "system:outbox"


def append(connection: Connection[Any], envelopes: Sequence[Envelope]) -> None:
    """Announce facts in an open, tenant-entered transaction; a fact announced before stays one."""
    if not envelopes:
        return
    connection.execute(
        "INSERT INTO platform.outbox (tenant_id, event_id, event_type, envelope)"
        " SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[])"
        " ON CONFLICT DO NOTHING",
        (
            [e.tenant_id for e in envelopes],
            [e.event_id for e in envelopes],
            [e.event_type for e in envelopes],
            [e.to_json() for e in envelopes],
        ),
    )


class PostgresUnsentEvents:
    """`UnsentEvents` on ``platform.outbox``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def unsent(self, tenant_id: str, limit: int) -> list[Envelope]:
        """See `UnsentEvents`."""
        with self._database.transaction(tenant_id, _PRINCIPAL) as connection:
            rows = connection.execute(
                "SELECT envelope FROM platform.outbox"
                " WHERE tenant_id = %s AND sent_at IS NULL ORDER BY created_at, event_id LIMIT %s",
                (tenant_id, limit),
            ).fetchall()
        return [Envelope.from_json(row[0]) for row in rows]

    def mark_sent(self, tenant_id: str, event_ids: Sequence[str]) -> None:
        """See `UnsentEvents`."""
        with self._database.transaction(tenant_id, _PRINCIPAL) as connection:
            connection.execute(
                "UPDATE platform.outbox SET sent_at = clock_timestamp()"
                " WHERE tenant_id = %s AND event_id = ANY(%s) AND sent_at IS NULL",
                (tenant_id, list(event_ids)),
            )
