"""The ledger's upkeep on PostgreSQL, by the ledger's own functions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any, LiteralString

import psycopg

from pardna.database.session import Database
from pardna.ledger.anchor import Head
from pardna.ledger.ports import LedgerRaced
from pardna.runtime.errors import Conflict

PRINCIPAL = "system:ledger"
#: Partitions belong to all tenants; a name must be entered, and none is looked at.
NOBODY = "platform"
#: Holds in one transaction: their accounts stay locked until it ends.
_HOLDS = 200
#: Times that a step which met others in a circle of locks is tried.
_TRIES = 3
#: Classes of SQLSTATE that say nothing of the statement: no connection, no resources, shutting down.
_AWAY = ("08", "53", "57")


class PostgresUpkeep:
    """`MinuteUpkeep`, `DayUpkeep` and `Chain`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def tenants(self) -> list[str]:
        """See MinuteUpkeep."""
        return [str(row[0]) for row in self._rows(NOBODY, "SELECT ledger.all_tenants()")]

    def expire_holds(self, tenant_id: str) -> int:
        """See MinuteUpkeep."""
        return int(self._ask(tenant_id, "SELECT ledger.expire_holds(%s)", _HOLDS))

    def seal(self, tenant_id: str, journals: int) -> bool:
        """See MinuteUpkeep."""
        return self._ask(tenant_id, "SELECT ledger.seal(%s)", journals) is not None

    def unsealed_s(self, tenant_id: str) -> int:
        """See MinuteUpkeep."""
        lag = "SELECT coalesce(greatest(extract(epoch FROM ledger.seal_lag()), 0), 0)::bigint"
        return int(self._ask(tenant_id, lag))

    def make_months(self, first_day: date, months: int) -> int:
        """See DayUpkeep."""
        return len(self._ask(NOBODY, "SELECT ledger.ensure_partitions(%s, %s)", first_day, months))

    def months_ahead(self, day: date) -> int:
        """See DayUpkeep."""
        return int(self._ask(NOBODY, "SELECT ledger.months_ahead(%s)", day))

    def close_next_day(self, tenant_id: str, last: date) -> bool:
        """See DayUpkeep. Two transactions: the first waits for postings under way."""
        day = self._ask(tenant_id, "SELECT ledger.next_snapshot_day()")
        if day is None or day > last:
            return False
        self._ask(tenant_id, "SELECT ledger.drain()")
        self._ask(tenant_id, "SELECT ledger.take_snapshot(%s)", day)
        return True

    def drifted(self, tenant_id: str) -> int:
        """See DayUpkeep."""
        return int(self._ask(tenant_id, "SELECT ledger.drifted()"))

    def head(self, tenant_id: str) -> Head | None:
        """See Chain."""
        found = self._rows(
            tenant_id,
            "SELECT height, encode(hash, 'hex') FROM ledger.blocks ORDER BY height DESC LIMIT 1",
        )
        return Head(*found[0]) if found else None

    def hash_at(self, tenant_id: str, height: int) -> str:
        """See Chain."""
        found = self._rows(
            tenant_id, "SELECT encode(hash, 'hex') FROM ledger.blocks WHERE height = %s", height
        )
        return str(found[0][0]) if found else ""

    def _ask(self, tenant_id: str, statement: LiteralString, *parameters: object) -> Any:
        rows = self._rows(tenant_id, statement, *parameters)
        return rows[0][0] if rows else None

    def _rows(
        self, tenant_id: str, statement: LiteralString, *parameters: object
    ) -> list[tuple[Any, ...]]:
        return rows_of(self._database, tenant_id, statement, *parameters)


def rows_of(
    database: Database, tenant_id: str, statement: LiteralString, *parameters: object
) -> list[tuple[Any, ...]]:
    """One statement in a transaction of its own, again when others came in between.

    Raises Conflict (``ledger.upkeep_refused``) with what the database said when it refuses.
    """
    for left in reversed(range(_TRIES)):
        try:
            with database.transaction(tenant_id, PRINCIPAL) as connection, refusals():
                return connection.execute(statement, parameters).fetchall()
        except LedgerRaced:
            if not left:
                raise
    raise AssertionError("unreachable")


@contextmanager
def refusals() -> Iterator[None]:
    """What the server refuses becomes Conflict; that it went away stays what it is."""
    try:
        yield
    except (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure) as error:
        raise LedgerRaced("ledger.raced", "others came in between") from error
    except psycopg.DatabaseError as error:
        if not error.sqlstate or error.sqlstate[:2] in _AWAY:
            raise
        said = error.diag.message_primary or type(error).__name__
        raise Conflict("ledger.upkeep_refused", said) from error
