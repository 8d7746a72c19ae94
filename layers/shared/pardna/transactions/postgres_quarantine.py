"""Rows that were put aside and count now: a later reading of the same bytes settled them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from psycopg import Connection

from pardna.transactions.ports import Delivery, Rejected

#: What is only seen when rows are recorded, after a large file was read.
SEEN_WHEN_RECORDED = ("transaction.contradiction", "transaction.invalid")

# One statement: what is settled, and who will ask why. A proposal about a row keeps its row.
_SETTLE = (
    "WITH settled AS (UPDATE platform.quarantine SET status = 'replayed'"
    " WHERE tenant_id = %(tenant)s AND raw_sha256 = %(raw)s AND status = 'open'"
    " AND NOT code = ANY(%(kept)s)"
    " AND NOT EXISTS (SELECT 1 FROM unnest(%(positions)s::text[], %(codes)s::text[])"
    "  AS still(position, code)"
    "  WHERE still.position = quarantine.position AND still.code = quarantine.code)"
    " RETURNING quarantine_id)"
    " INSERT INTO app.audit_log (tenant_id, action, subject, detail)"
    " SELECT %(tenant)s, 'quarantine.replayed', %(raw)s, jsonb_build_object("
    "  'reason', 'read again, and in order now', 'correlation_id', %(cause)s::text,"
    "  'source_id', %(source)s::text, 'quarantine_ids', jsonb_agg(quarantine_id))"
    " FROM settled HAVING count(*) > 0"
)


def settle_replayed(
    connection: Connection[Any],
    tenant_id: str,
    delivery: Delivery | None,
    rejected: Iterable[Rejected],
    correlation_id: str,
    kept_codes: Iterable[str] = (),
) -> None:
    """Close the open rows of bytes that count, but those that were `rejected` again.

    In an open, tenant-entered transaction, that of the reading that lets them count. `kept_codes`
    are reasons that this reading says nothing about yet.
    """
    if delivery is None or not delivery.counts:
        return
    still = [(r.position, r.code) for r in rejected]
    connection.execute(
        _SETTLE,
        {
            "tenant": tenant_id,
            "raw": delivery.raw_sha256,
            "source": delivery.source_id,
            "cause": correlation_id,
            "kept": list(kept_codes),
            "positions": [position for position, _ in still],
            "codes": [code for _, code in still],
        },
    )
