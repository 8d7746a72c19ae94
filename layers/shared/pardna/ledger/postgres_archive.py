"""The ledger's months on PostgreSQL: rows out by COPY, everything else by the ledger's own functions."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, LiteralString

from pardna.database.session import Database
from pardna.ledger.archive import Facts, Manifest
from pardna.ledger.postgres_upkeep import NOBODY, PRINCIPAL, refusals, rows_of

#: Columns in the order of `pardna.ledger.parquet.COLUMNS`; as the tenant, through its policy.
_ROWS: dict[str, LiteralString] = {
    "journals": """
        COPY (
            SELECT tenant_id, journal_id, key, kind,
                   to_char(effective_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'),
                   to_char(original_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'),
                   to_char(recorded_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'),
                   line_count, description, refs, metadata, reverses, posted_by, xid,
                   encode(salt, 'hex'), encode(commitment, 'hex')
            FROM ledger.journals
            WHERE journal_id >= ledger.uuid7_floor(%(first)s::timestamptz)
              AND journal_id < ledger.uuid7_floor(%(end)s::timestamptz)
            ORDER BY journal_id
        ) TO STDOUT (FORMAT csv, FORCE_QUOTE *)""",
    "entries": """
        COPY (
            SELECT e.tenant_id, e.journal_id, e.line, e.account_id,
                   (SELECT a.code FROM ledger.accounts a
                    WHERE a.tenant_id = e.tenant_id AND a.account_id = e.account_id),
                   e.amount_minor, e.currency, e.item, e.effective_day
            FROM ledger.entries e
            WHERE e.journal_id >= ledger.uuid7_floor(%(first)s::timestamptz)
              AND e.journal_id < ledger.uuid7_floor(%(end)s::timestamptz)
            ORDER BY e.journal_id, e.line
        ) TO STDOUT (FORMAT csv, FORCE_QUOTE *)""",
}


class PostgresArchive:
    """`ArchiveBook` and `RestoreBook`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def tenants(self) -> list[str]:
        """See ArchiveBook."""
        return [row[0] for row in self._rows(NOBODY, "SELECT ledger.all_tenants()")]

    def attached_months(self) -> list[date]:
        """See ArchiveBook."""
        return [row[0] for row in self._rows(NOBODY, "SELECT ledger.attached_months()")]

    def obstacle(self, tenant_id: str, month: date) -> str:
        """See ArchiveBook."""
        found = self._rows(tenant_id, "SELECT ledger.archive_obstacle(%s)", month)
        return found[0][0] or ""

    def write_rows(self, tenant_id: str, month: date, folder: Path) -> int:
        """See ArchiveBook."""
        first = datetime(month.year, month.month, 1, tzinfo=UTC)
        bounds = {"first": first, "end": (first + timedelta(days=31)).replace(day=1)}
        journals = 0
        with self._database.transaction(tenant_id, PRINCIPAL) as connection, refusals():
            for table, query in _ROWS.items():
                with (folder / f"{table}.csv").open("wb") as file, connection.cursor() as cursor:
                    with cursor.copy(query, bounds) as rows:
                        for block in rows:
                            file.write(block)
                    journals = journals or cursor.rowcount
        return journals

    def register(self, manifest: Manifest) -> None:
        """See ArchiveBook."""
        facts = manifest.facts
        told = {
            "journals": facts.journals,
            "entries": facts.entries,
            "debits_minor": str(facts.debits_minor),
            "journals_print": str(facts.journals_print),
            "entries_print": str(facts.entries_print),
            "journals_sha256": manifest.journals_sha256,
            "entries_sha256": manifest.entries_sha256,
        }
        self._rows(
            manifest.tenant_id,
            "SELECT ledger.register_archive(%s, %s::jsonb)",
            manifest.month,
            json.dumps(told),
        )

    def registered(self, tenant_id: str, month: date) -> Manifest | None:
        """See ArchiveBook."""
        found = self._rows(
            tenant_id,
            "SELECT journals, entries, debits_minor, journals_print, entries_print,"
            " journals_sha256, entries_sha256 FROM ledger.archives WHERE month = %s",
            month,
        )
        if not found:
            return None
        *numbers, journals_sha256, entries_sha256 = found[0]
        facts = Facts(*(int(number) for number in numbers))
        return Manifest(tenant_id, month, facts, journals_sha256, entries_sha256)

    def detach(self, month: date) -> None:
        """See ArchiveBook."""
        self._rows(NOBODY, "SELECT ledger.detach_month(%s)", month)

    def next_to_restore(self) -> tuple[date, bool] | None:
        """See RestoreBook."""
        found = self._rows(NOBODY, "SELECT * FROM ledger.next_to_restore()")
        return (found[0][0], found[0][1]) if found else None

    def begin(self, month: date) -> None:
        """See RestoreBook."""
        self._rows(NOBODY, "SELECT ledger.begin_restore(%s)", month)

    def load(self, tenant_id: str, month: date, rows: dict[str, list[dict[str, Any]]]) -> None:
        """See RestoreBook."""
        self._rows(
            tenant_id,
            "SELECT ledger.load_restored(%s, %s::jsonb, %s::jsonb)",
            month,
            json.dumps(rows["journals"]),
            json.dumps(rows["entries"]),
        )

    def attach(self, month: date) -> None:
        """See RestoreBook."""
        self._rows(NOBODY, "SELECT ledger.attach_month(%s)", month)

    def _rows(
        self, tenant_id: str, statement: LiteralString, *parameters: object
    ) -> list[tuple[Any, ...]]:
        return rows_of(self._database, tenant_id, statement, *parameters)
