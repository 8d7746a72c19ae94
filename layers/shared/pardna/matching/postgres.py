"""The canonical transactions in PostgreSQL, as the completeness check reads them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING

from pardna.matching.model import Leg, legs_of
from pardna.matching.ports import Known
from pardna.transactions.model import from_dict

if TYPE_CHECKING:
    from pardna.database.session import Database

PRINCIPAL = "system:reconciliation"

_KNOWN = """
SELECT transaction_id::text, version, source, currency, body->>'raw_sha256'
FROM platform.transactions
WHERE tenant_id = %(tenant)s
  AND (occurred_at >= %(first)s OR recorded_at >= %(first)s)
  AND (source, transaction_id) > (%(source)s, %(after)s)
ORDER BY source, transaction_id LIMIT %(page)s
"""
_NOBODY = "00000000-0000-0000-0000-000000000000"


class PostgresTruth:
    """`ports.Truth` on the platform's tables; each page is a short transaction of its own."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def known(self, tenant_id: str, first: date, source: str, after: str, most: int) -> list[Known]:
        """See `Truth`."""
        values = {
            "tenant": tenant_id,
            "first": datetime.combine(first, time(), UTC),
            "source": source,
            "after": after or _NOBODY,
            "page": most,
        }
        with self._database.transaction(tenant_id, PRINCIPAL) as connection:
            rows = connection.execute(_KNOWN, values).fetchall()
        return [Known(*row) for row in rows]

    def legs(self, tenant_id: str, transaction_ids: Sequence[str]) -> list[Leg]:
        """See `Truth`."""
        with self._database.transaction(tenant_id, PRINCIPAL) as connection:
            rows = connection.execute(
                "SELECT version, body FROM platform.transactions"
                " WHERE tenant_id = %s AND transaction_id = ANY(%s::uuid[])"
                " ORDER BY source, transaction_id",
                (tenant_id, list(transaction_ids)),
            ).fetchall()
        return [leg for version, body in rows for leg in legs_of(from_dict(body), version)]
