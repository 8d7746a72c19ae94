"""What earlier deliveries were like, in PostgreSQL (``platform.delivery_facts``)."""

from __future__ import annotations

from datetime import date, datetime

from psycopg.types.json import Jsonb

from pardna.database.session import Database
from pardna.ingestion.quality_history import Facts, Past

_PRINCIPAL = "system:quality"
_PAST = (
    "SELECT f.received_at, f.format, f.facts FROM platform.delivery_facts AS f"
    " WHERE f.tenant_id = %(tenant)s AND f.source_id = %(source)s AND f.raw_sha256 <> %(self)s"
    " AND EXISTS (SELECT FROM platform.deliveries AS d WHERE d.tenant_id = f.tenant_id"
    "  AND d.source_id = f.source_id AND d.raw_sha256 = f.raw_sha256"
    "  AND d.status IN ('accepted', 'accepted_with_warnings'))"
    " ORDER BY f.received_at DESC LIMIT %(most)s"
)
_SEQUENCE = (
    "SELECT sequence_number FROM platform.statements"
    " WHERE tenant_id = %(tenant)s AND source = %(source)s AND currency = %(currency)s"
    " AND sequence_number <> '' AND raw_sha256 <> %(self)s AND to_date <= %(day)s"
    " AND opening_minor IS NOT NULL AND closing_minor IS NOT NULL"
    " ORDER BY to_date DESC, recorded_at DESC LIMIT 1"
)


class PostgresSourceHistory:
    """`SourceHistory`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def past(self, tenant_id: str, source_id: str, raw_sha256: str, most: int) -> list[Past]:
        """See `SourceHistory`."""
        values = {"tenant": tenant_id, "source": source_id, "self": raw_sha256, "most": most}
        with self._database.transaction(tenant_id, _PRINCIPAL) as connection:
            rows = connection.execute(_PAST, values).fetchall()
        return [Past(at, name, Facts.from_dict(facts)) for at, name, facts in rows]

    def last_sequence(
        self, tenant_id: str, source: str, currency: str, day: date, raw_sha256: str
    ) -> str:
        """See `SourceHistory`."""
        values = {
            "tenant": tenant_id,
            "source": source,
            "currency": currency,
            "day": day,
            "self": raw_sha256,
        }
        with self._database.transaction(tenant_id, _PRINCIPAL) as connection:
            row = connection.execute(_SEQUENCE, values).fetchone()
        return row[0] if row else ""

    def remember(
        self,
        tenant_id: str,
        source_id: str,
        raw_sha256: str,
        received_at: datetime,
        format_name: str,
        facts: Facts,
    ) -> None:
        """See `SourceHistory`."""
        with self._database.transaction(tenant_id, _PRINCIPAL) as connection:
            connection.execute(
                "INSERT INTO platform.delivery_facts"
                " (tenant_id, source_id, raw_sha256, received_at, format, facts)"
                " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
                (
                    tenant_id,
                    source_id,
                    raw_sha256,
                    received_at,
                    format_name,
                    Jsonb(facts.to_dict()),
                ),
            )
