"""Deliveries in PostgreSQL, read for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pardna.database.session import Database
from pardna.ingestion.delivery_ports import DeliveryFilter, DeliveryPlace, PendingDelivery
from pardna.runtime.errors import NotFound
from pardna.transactions.ports import Delivery, DeliveryStatus
from pardna.transactions.postgres_deliveries import WAS_READ

_COLUMNS = (
    "source_id, channel, name, raw_sha256, received_at, status, format, entries_count, problems,"
    " event_id"
)
# Column names are this module's own constants; every value is a parameter.
_ONE = (
    f"SELECT {_COLUMNS} FROM platform.deliveries WHERE tenant_id = %s AND source_id = %s"  # noqa: S608
    " AND raw_sha256 = %s ORDER BY received_at, name LIMIT 1"
)
_PENDING = (
    "SELECT source_id, channel, name, raw_sha256, received_at"  # noqa: S608
    " FROM platform.pending_deliveries AS begun WHERE tenant_id = %(tenant)s"
    " AND NOT EXISTS (SELECT FROM platform.deliveries AS d"
    f"  WHERE d.tenant_id = %(tenant)s AND d.raw_sha256 = begun.raw_sha256 AND {WAS_READ})"
)
_PRINCIPAL = "system:read"


class PostgresDeliveryShelf:
    """`DeliveryShelf` on ``platform.deliveries``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(
        self, tenant_id: str, wanted: DeliveryFilter, after: DeliveryPlace | None, limit: int
    ) -> list[Delivery]:
        """See `DeliveryShelf`."""
        conditions, values = ["tenant_id = %(tenant)s"], dict[str, Any](tenant=tenant_id)
        for condition, name, value in (
            ("source_id = %(source)s", "source", wanted.source_id),
            ("status = %(status)s", "status", wanted.status),
            ("received_at >= %(start)s", "start", wanted.start),
            ("received_at < %(end)s", "end", wanted.end),
        ):
            if value:
                conditions.append(condition)
                values[name] = value
        if after is not None:
            conditions.append(
                "(received_at, raw_sha256, name, source_id) < (%(at)s, %(raw)s, %(name)s, %(last)s)"
            )
            values |= {
                "at": after.received_at,
                "raw": after.raw_sha256,
                "name": after.name,
                "last": after.source_id,
            }
        # Every condition is this module's own text; every value is a parameter.
        query = (
            f"SELECT {_COLUMNS} FROM platform.deliveries"  # noqa: S608
            f" WHERE {' AND '.join(conditions)}"
            " ORDER BY received_at DESC, raw_sha256 DESC, name DESC, source_id DESC LIMIT %(limit)s"
        )
        with self._database.transaction(tenant_id, _PRINCIPAL) as connection:
            rows = connection.execute(query.encode(), values | {"limit": limit}).fetchall()
        return [_delivery(row) for row in rows]

    def get(self, tenant_id: str, source_id: str, raw_sha256: str) -> Delivery:
        """See `DeliveryShelf`."""
        with self._database.transaction(tenant_id, _PRINCIPAL) as connection:
            row = connection.execute(
                _ONE.encode(),
                (tenant_id, source_id, raw_sha256),
            ).fetchone()
        if row is None:
            raise NotFound("delivery.not_found", "this source delivered no such bytes")
        return _delivery(row)

    def pending(
        self, tenant_id: str, source_id: str, after: DeliveryPlace | None, limit: int
    ) -> list[PendingDelivery]:
        """See `DeliveryShelf`."""
        query, values = _PENDING, dict[str, Any](tenant=tenant_id, limit=limit)
        if source_id:
            query += " AND source_id = %(source)s"
            values["source"] = source_id
        if after is not None:
            query += " AND (received_at, raw_sha256) < (%(at)s, %(raw)s)"
            values |= {"at": after.received_at, "raw": after.raw_sha256}
        query += " ORDER BY received_at DESC, raw_sha256 DESC LIMIT %(limit)s"
        with self._database.transaction(tenant_id, _PRINCIPAL) as connection:
            rows = connection.execute(query, values).fetchall()
        return [PendingDelivery(*row) for row in rows]


def _delivery(row: Sequence[Any]) -> Delivery:
    source_id, channel, name, raw_sha256, received_at, status, form, entries, problems, event = row
    return Delivery(
        source_id,
        channel,
        name,
        raw_sha256,
        received_at,
        DeliveryStatus(status),
        form,
        entries,
        tuple(problems),
        event,
    )
