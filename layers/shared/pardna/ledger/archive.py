"""Old months of the ledger move to the lake as Parquet, and come back.

For each tenant with journals in a month: write Parquet, upload it, read it back, and register what was
read; the database compares that with its rows. When nobody's rows are left, the month is detached.
Dropping it is for administrators. Every step may be cut off and done again, also by two at once: files
are named by their content, facts are registered once, and a month is detached once.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date
from pathlib import Path
from typing import Any, Protocol

from pardna.ledger.seal import JOURNAL_1, JOURNAL_2, Sealed, commitment
from pardna.runtime.clock import Clock
from pardna.runtime.errors import Conflict, PardnaError, Unavailable
from pardna.runtime.observability import logger

#: Rows in one call when a month is loaded again.
LOAD_ROWS = 2_000
TABLES = ("journals", "entries")


@dataclass(frozen=True, slots=True)
class Facts:
    """What a tenant's month is: counts, debits in minor units, and a print of all rows of a table.

    A print is the sum, over rows, of the first 60 bits of SHA-256 of the row's text.
    """

    journals: int
    entries: int
    debits_minor: int
    journals_print: int
    entries_print: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """An archived month of a tenant: its facts, and SHA-256 (hex) of its two files."""

    tenant_id: str
    month: date
    facts: Facts
    journals_sha256: str
    entries_sha256: str

    def key_of(self, table: str) -> str:
        """Where the file of a table lies in the lake."""
        digest = self.journals_sha256 if table == "journals" else self.entries_sha256
        return f"ledger/{self.tenant_id}/{self.month:%Y-%m}/{table}-{digest}.parquet"

    @property
    def key(self) -> str:
        """Where the manifest itself lies, as JSON."""
        return f"ledger/{self.tenant_id}/{self.month:%Y-%m}/manifest.json"


class ArchiveBook(Protocol):
    """The ledger's months. All raise Unavailable, and Conflict when the database refuses."""

    def tenants(self) -> list[str]:
        """Everybody who keeps books."""

    def attached_months(self) -> list[date]:
        """First days of the months in the ledger's tables, oldest first."""

    def obstacle(self, tenant_id: str, month: date) -> str:
        """Why the tenant's month may not be archived; empty when it may."""

    def write_rows(self, tenant_id: str, month: date, folder: Path) -> int:
        """Write the tenant's rows as ``journals.csv`` and ``entries.csv``; how many journals."""

    def register(self, manifest: Manifest) -> None:
        """Register what was read back; refused when it is not what the ledger holds."""

    def registered(self, tenant_id: str, month: date) -> Manifest | None:
        """What was registered."""

    def detach(self, month: date) -> None:
        """Take the oldest month out; refused while any tenant's rows are not registered."""


class RestoreBook(Protocol):
    """The way back. All raise Unavailable, and Conflict when the database refuses."""

    def next_to_restore(self) -> tuple[date, bool] | None:
        """The youngest archived month, and whether its rows must be loaded."""

    def begin(self, month: date) -> None:
        """Empty tables for a month that was dropped."""

    def load(self, tenant_id: str, month: date, rows: dict[str, list[dict[str, Any]]]) -> None:
        """Load some rows of a tenant: ``{"journals": [...], "entries": [...]}``."""

    def attach(self, month: date) -> None:
        """Make the month part of the ledger again; refused unless it is what was archived."""


class Parquet(Protocol):
    """Files of rows."""

    def write(self, csv: Path, table: str, parquet: Path) -> None:
        """Turn the rows of ``ArchiveBook.write_rows`` into Parquet."""

    def facts(self, journals: Path, entries: Path) -> Facts:
        """What two files hold. Raises Conflict for files that cannot be read."""

    def rows(self, parquet: Path, size: int) -> Iterator[list[dict[str, Any]]]:
        """All rows, some at a time, as `RestoreBook.load` takes them."""


class Lake(Protocol):
    """Where files are kept. All raise Unavailable."""

    def put(self, key: str, path: Path) -> None:
        """Keep a file."""

    def put_text(self, key: str, text: str) -> None:
        """Keep a short text."""

    def fetch(self, key: str, path: Path) -> str:
        """Bring a file; returns its SHA-256 (hex). Raises NotFound."""


@dataclass(frozen=True, slots=True)
class ArchiveRun:
    """What a run did. `waiting` counts tenants whose month may not leave yet."""

    months_detached: int = 0
    tenants_archived: int = 0
    waiting: int = 0


class Archivist:
    """Months out, months in."""

    def __init__(self, book: ArchiveBook, parquet: Parquet, lake: Lake, clock: Clock) -> None:
        self._book = book
        self._parquet = parquet
        self._lake = lake
        self._clock = clock

    def run(self, months_kept: int) -> ArchiveRun:
        """Archive all months older than the `months_kept` before this one; 0 archives nothing.

        Stops at the first month that may not leave. Raises Unavailable and Conflict.
        """
        done = ArchiveRun()
        if months_kept < 1:
            return done
        today = self._clock().astimezone(UTC).date()
        first_kept = months_before(today, months_kept)
        for month in self._book.attached_months():
            if month >= first_kept:
                break
            for tenant_id in self._book.tenants():
                try:
                    archived = self._archive(tenant_id, month)
                except (Unavailable, Conflict):
                    raise
                except _Waiting as waiting:
                    logger.info(
                        "Month may not be archived",
                        tenant_id=tenant_id,
                        month=month.isoformat(),
                        error_code=waiting.code,
                    )
                    done = replace(done, waiting=done.waiting + 1)
                    continue
                done = replace(done, tenants_archived=done.tenants_archived + archived)
            if done.waiting:
                break
            self._book.detach(month)
            done = replace(done, months_detached=done.months_detached + 1)
        return done

    def _archive(self, tenant_id: str, month: date) -> bool:
        """One tenant's month; False when it has none, or it was done before."""
        known = self._book.registered(tenant_id, month)
        if known is not None:  # cut off after it was registered, or restored since
            self._lake.put_text(known.key, manifest_json(known))
            return False
        with _folder() as folder:
            if not self._book.write_rows(tenant_id, month, folder):
                return False
            if why := self._book.obstacle(tenant_id, month):
                raise _Waiting(f"ledger.{why}", "the month may not be archived yet")
            digests = {}
            for table in TABLES:
                made = folder / f"{table}.parquet"
                self._parquet.write(folder / f"{table}.csv", table, made)
                digests[table] = sha256_of(made)
            manifest = Manifest(tenant_id, month, _NOTHING, digests["journals"], digests["entries"])
            for table in TABLES:
                self._lake.put(manifest.key_of(table), folder / f"{table}.parquet")
            manifest = replace(manifest, facts=self.read_back(manifest, folder))
        self._book.register(manifest)
        self._lake.put_text(manifest.key, manifest_json(manifest))
        return True

    def read_back(self, manifest: Manifest, folder: Path) -> Facts:
        """What the lake holds, not what was written; raises Conflict when a file is another one."""
        paths = [folder / f"back-{table}.parquet" for table in TABLES]
        wanted = (manifest.journals_sha256, manifest.entries_sha256)
        for table, path, digest in zip(TABLES, paths, wanted, strict=True):
            if self._lake.fetch(manifest.key_of(table), path) != digest:
                raise Conflict("ledger.archive_damaged", "a file in the lake is not what was kept")
        return self._parquet.facts(*paths)

    def restore(self, book: RestoreBook, month: date) -> None:
        """Bring a month back; it must be the youngest archived one.

        Raises Conflict (``ledger.archive_order``, ``ledger.archive_damaged``, or what the database
        refuses), NotFound for a file that is gone, and Unavailable.
        """
        found = book.next_to_restore()
        if found is None or found[0] != month:
            raise Conflict(
                "ledger.archive_order", "months come back one by one, the youngest archived first"
            )
        if found[1]:
            book.begin(month)
            for tenant_id in self._book.tenants():
                manifest = self._book.registered(tenant_id, month)
                if manifest is not None:
                    self._load(book, manifest)
        book.attach(month)

    def _load(self, book: RestoreBook, manifest: Manifest) -> None:
        with _folder() as folder:
            if self.read_back(manifest, folder) != manifest.facts:
                raise Conflict("ledger.archive_damaged", "the files are not what was archived")
            for table in TABLES:
                for rows in self._parquet.rows(folder / f"back-{table}.parquet", LOAD_ROWS):
                    batch: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}
                    batch[table] = rows
                    book.load(manifest.tenant_id, manifest.month, batch)


class _Waiting(PardnaError):
    """A month that may not leave yet; its code says why."""


_NOTHING = Facts(0, 0, 0, 0, 0)


def months_before(day: date, months: int) -> date:
    """The first day of the month so many months before that of `day`."""
    number = day.year * 12 + day.month - 1 - months
    return date(number // 12, number % 12 + 1, 1)


def manifest_json(manifest: Manifest) -> str:
    """The manifest as it lies in the lake: integers as text, the same text always."""
    facts = manifest.facts
    return json.dumps(
        {
            "format": "pardna-ledger-archive-1",
            "tenant_id": manifest.tenant_id,
            "month": f"{manifest.month:%Y-%m}",
            "journals": facts.journals,
            "entries": facts.entries,
            "debits_minor": str(facts.debits_minor),
            "journals_print": str(facts.journals_print),
            "entries_print": str(facts.entries_print),
            "files": {table: manifest.key_of(table) for table in TABLES},
        },
        sort_keys=True,
    )


def sha256_of(path: Path) -> str:
    """SHA-256 (hex) of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ledger-archive-") as made:
        yield Path(made)


def sealed_journal(journal: dict[str, Any], lines: Sequence[dict[str, Any]]) -> Sealed:
    """A journal of an archive as it was sealed (see `pardna.ledger.seal`)."""
    head = ("tenant_id", "journal_id", "key", "kind", "effective_at", "original_at", "recorded_at")
    texts = ("description", "refs", "metadata")
    of_line = ("line", "account_id", "account", "amount_minor", "currency", "item", "effective_day")
    fields = [_text(journal[name]) for name in (*head, "line_count")]
    said = tuple(_text(journal[name]) for name in texts)
    opening: tuple[str, ...] = ()
    if journal["salt"] is None and journal["commitment"] is None:
        fields = [JOURNAL_1, *fields, *said]
    else:
        opening = (journal["salt"], *said) if journal["salt"] is not None else ()
        fields = [JOURNAL_2, *fields, journal["commitment"] or commitment(opening)]
    fields += [_text(journal[name]) for name in ("reverses", "posted_by", "xid")]
    for line in sorted(lines, key=lambda one: int(one["line"])):
        fields += [_text(line[name]) for name in of_line]
    return Sealed(tuple(fields), opening)


def _text(value: Any) -> str:
    return "" if value is None else str(value)
