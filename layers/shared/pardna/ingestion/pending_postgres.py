"""What was begun, in PostgreSQL: ``platform.pending_deliveries`` and ``platform.raw_sweeps``."""

from __future__ import annotations

from datetime import datetime

from pardna.database.session import Database
from pardna.ingestion.card_numbers import mask
from pardna.ingestion.model import RawKey, Receipt
from pardna.transactions.postgres_deliveries import WAS_READ

_PRINCIPAL = "system:ingestion"
# Every condition is a module's own text; every value is a parameter.
_BEGIN = (
    "INSERT INTO platform.pending_deliveries"  # noqa: S608
    " (tenant_id, raw_sha256, source_id, channel, name, received_at)"
    " SELECT %(tenant)s, %(raw)s, %(source)s, %(channel)s, %(name)s, %(at)s"
    " WHERE NOT EXISTS (SELECT FROM platform.deliveries"
    f"  WHERE tenant_id = %(tenant)s AND raw_sha256 = %(raw)s AND {WAS_READ})"
    " ON CONFLICT (tenant_id, raw_sha256) DO UPDATE SET tried_at = clock_timestamp()"
)
_WAITING = (
    "SELECT raw_sha256 FROM platform.pending_deliveries AS begun"  # noqa: S608
    " WHERE tenant_id = %(tenant)s AND tried_at < %(before)s"
    " AND NOT EXISTS (SELECT FROM platform.deliveries AS d"
    f"  WHERE d.tenant_id = %(tenant)s AND d.raw_sha256 = begun.raw_sha256 AND {WAS_READ})"
    " AND NOT EXISTS (SELECT FROM platform.bulk_deliveries AS b"
    "  WHERE b.tenant_id = %(tenant)s AND b.raw_sha256 = begun.raw_sha256)"
    " ORDER BY tried_at LIMIT %(limit)s"
)


class PostgresPendingBook:
    """`PendingBook`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, key: RawKey, receipt: Receipt) -> None:
        """See `PendingBook`."""
        values = {
            "tenant": key.tenant_id,
            "raw": key.raw_sha256,
            "source": receipt.source_id,
            "channel": receipt.channel,
            "name": mask(receipt.name),
            "at": receipt.received_at,
        }
        with self._database.transaction(key.tenant_id, _PRINCIPAL) as connection:
            connection.execute(_BEGIN, values)

    def waiting(self, tenant_id: str, before: datetime, limit: int) -> list[RawKey]:
        """See `PendingBook`."""
        values = {"tenant": tenant_id, "before": before, "limit": limit}
        with self._database.transaction(tenant_id, _PRINCIPAL) as connection:
            rows = connection.execute(_WAITING, values).fetchall()
        return [RawKey(tenant_id, row[0]) for row in rows]

    def place(self, tenant_id: str) -> str:
        """See `PendingBook`."""
        with self._database.transaction(tenant_id, _PRINCIPAL) as connection:
            row = connection.execute(
                "SELECT place FROM platform.raw_sweeps WHERE tenant_id = %s", (tenant_id,)
            ).fetchone()
        return "" if row is None else str(row[0])

    def set_place(self, tenant_id: str, place: str) -> None:
        """See `PendingBook`."""
        with self._database.transaction(tenant_id, _PRINCIPAL) as connection:
            connection.execute(
                "INSERT INTO platform.raw_sweeps (tenant_id, place) VALUES (%s, %s)"
                " ON CONFLICT (tenant_id) DO UPDATE SET place = excluded.place",
                (tenant_id, place),
            )
