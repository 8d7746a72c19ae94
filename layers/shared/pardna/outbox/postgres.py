"""The outbox in PostgreSQL: written in the same transaction as the fact."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from psycopg import Connection

from pardna.database.session import Database
from pardna.runtime.events import Envelope

_PRINCIPAL = "system:outbox"


def append(connection: Connection[Any], envelopes: Sequence[Envelope]) -> None:
    """Announce facts in an open, tenant-entered transaction; a fact announced before stays one."""
    if not envelopes:
        return
    rows = [
        {
            "tenant_id": e.tenant_id,
            "event_id": e.event_id,
            "event_type": e.event_type,
            "envelope": e.to_json(),
        }
        for e in envelopes
    ]
    # One JSON document: escaping thousands of JSON texts for arrays is what would cost.
    connection.execute(
        "INSERT INTO platform.outbox (tenant_id, event_id, event_type, envelope)"
        " SELECT * FROM json_to_recordset(%s::json)"
        " AS said (tenant_id text, event_id text, event_type text, envelope text)"
        " ON CONFLICT DO NOTHING",
        (json.dumps(rows, ensure_ascii=False),),
    )


class PostgresOutbox:
    """Announces facts that no other row of the database holds."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def announce(self, tenant_id: str, envelopes: Sequence[Envelope]) -> None:
        """Announce, once each, in a database transaction of its own. Raises Unavailable."""
        with self._database.transaction(tenant_id, _PRINCIPAL) as connection:
            append(connection, envelopes)


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

    def forget(self, tenant_id: str, before: datetime, limit: int) -> int:
        """See `UnsentEvents`. The table's own policy keeps what has not left, and today's."""
        with self._database.transaction(tenant_id, _PRINCIPAL) as connection:
            return connection.execute(
                "DELETE FROM platform.outbox WHERE tenant_id = %(tenant)s AND event_id IN ("
                " SELECT event_id FROM platform.outbox WHERE tenant_id = %(tenant)s"
                " AND sent_at < %(before)s ORDER BY sent_at LIMIT %(limit)s)",
                {"tenant": tenant_id, "before": before, "limit": limit},
            ).rowcount
