"""The ledger's upkeep on PostgreSQL."""

from __future__ import annotations

from datetime import date
from typing import Any, LiteralString

from pardna.database.session import Database

PRINCIPAL = "system:ledger"
#: Partitions belong to all tenants; a name must be entered, and none is looked at.
_NOBODY = "platform"


class PostgresUpkeep:
    """`Upkeep` by the ledger's own functions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def make_months(self, first_day: date, months: int) -> int:
        """See Upkeep."""
        return len(self._ask(_NOBODY, "SELECT ledger.ensure_partitions(%s, %s)", first_day, months))

    def expire_holds(self, tenant_id: str) -> int:
        """See Upkeep."""
        return int(self._ask(tenant_id, "SELECT ledger.expire_holds(%s)", 1000))

    def drain(self, tenant_id: str) -> None:
        """See Upkeep."""
        self._ask(tenant_id, "SELECT ledger.drain()")

    def take_snapshot(self, tenant_id: str, day: date) -> int:
        """See Upkeep."""
        return int(self._ask(tenant_id, "SELECT ledger.take_snapshot(%s)", day))

    def seal(self, tenant_id: str, journals: int) -> bool:
        """See Upkeep."""
        return self._ask(tenant_id, "SELECT ledger.seal(%s)", journals) is not None

    def _ask(self, tenant_id: str, statement: LiteralString, *parameters: object) -> Any:
        with self._database.transaction(tenant_id, PRINCIPAL) as connection:
            row = connection.execute(statement, parameters).fetchone()
        return row[0] if row else None
