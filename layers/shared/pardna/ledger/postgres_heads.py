"""`Heads` in PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence

from pardna.database.session import Database
from pardna.transactions.model import from_dict
from pardna.transactions.recorded import TransactionRecorded

_HEADS = """
SELECT head.version, head.body, previous.body
FROM platform.transactions head
LEFT JOIN platform.transaction_versions previous ON previous.tenant_id = head.tenant_id
    AND previous.transaction_id = head.transaction_id AND previous.version = head.version - 1
WHERE head.tenant_id = %s AND head.transaction_id = ANY(%s::uuid[])
ORDER BY head.transaction_id
"""


class PostgresHeads:
    """`Heads` on the schema ``platform``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def heads(self, tenant_id: str, transaction_ids: Sequence[str]) -> list[TransactionRecorded]:
        """See `Heads`."""
        with self._database.transaction(tenant_id, "system:ledger") as connection:
            rows = connection.execute(_HEADS, (tenant_id, list(transaction_ids))).fetchall()
        return [
            TransactionRecorded(
                from_dict(body), version, None if previous is None else from_dict(previous)
            )
            for version, body, previous in rows
        ]
