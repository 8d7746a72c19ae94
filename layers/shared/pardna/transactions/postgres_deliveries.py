"""What is kept of a delivery besides its transactions: figures of statements, rows put aside, itself.

Each function writes within the caller's database transaction, and writes nothing twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from psycopg import Connection
from psycopg.types.json import Jsonb

from pardna.transactions.ports import COPY, Delivery, Rejected, StatementRecord

#: Of ``platform.deliveries``: rows that say that bytes were read (`Delivery.is_copy`).
WAS_READ = f"""NOT (status = 'duplicate' AND problems @> '[{{"code": "{COPY}"}}]')"""


def write_statements(
    connection: Connection[Any], tenant_id: str, statements: Sequence[StatementRecord]
) -> None:
    """Figures of statements; those that are there stay."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO platform.statements (tenant_id, source, statement_id, sequence_number,"
            " currency, opening_minor, closing_minor, entries_minor, entries_count, from_date,"
            " to_date, ties, raw_sha256)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
            [
                (
                    tenant_id,
                    s.source,
                    s.statement_id,
                    s.sequence_number,
                    s.currency,
                    s.opening_minor,
                    s.closing_minor,
                    s.entries_minor,
                    s.entries_count,
                    s.from_date,
                    s.to_date,
                    s.ties,
                    s.raw_sha256,
                )
                for s in statements
            ],
        )


def write_rejected(
    connection: Connection[Any], tenant_id: str, rejected: Sequence[Rejected]
) -> None:
    """Rows that are put aside; those that are there stay."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO platform.quarantine"
            " (tenant_id, raw_sha256, position, source_id, code, field, reason)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
            [
                (tenant_id, r.raw_sha256, r.position, r.source_id, r.code, r.field, r.reason)
                for r in rejected
            ],
        )


def write_delivery(connection: Connection[Any], tenant_id: str, delivery: Delivery) -> None:
    """That bytes were received, and what became of them; what could not be read may be, later.

    They are pending no longer.
    """
    if not delivery.is_copy:
        connection.execute(
            "DELETE FROM platform.pending_deliveries WHERE tenant_id = %s AND raw_sha256 = %s",
            (tenant_id, delivery.raw_sha256),
        )
    connection.execute(
        "INSERT INTO platform.deliveries (tenant_id, source_id, channel, name, raw_sha256,"
        " received_at, status, format, entries_count, problems, event_id)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
        " ON CONFLICT (tenant_id, source_id, raw_sha256, name) DO UPDATE SET"
        " status = excluded.status, format = excluded.format, problems = excluded.problems,"
        " entries_count = excluded.entries_count, parsed_at = now()"
        # Read again, and better: never from what counted to what does not, nor to what it was.
        " WHERE deliveries.status IN ('quarantined', 'refused')"
        " AND excluded.status <> deliveries.status",
        (
            tenant_id,
            delivery.source_id,
            delivery.channel,
            delivery.name,
            delivery.raw_sha256,
            delivery.received_at,
            delivery.status.value,
            delivery.format,
            delivery.entries_count,
            Jsonb([dict(p) for p in delivery.problems]),
            delivery.event_id,
        ),
    )
