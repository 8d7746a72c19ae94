"""Archived months as Parquet, written and read with DuckDB (in the engine layer).

Times are UTC without a zone. `refs` and `metadata` are JSON text as PostgreSQL writes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from pardna.ledger.archive import Facts, sealed_journal
from pardna.ledger.seal import Sealed
from pardna.runtime.errors import Conflict

COLUMNS = {
    "journals": {
        "tenant_id": "VARCHAR",
        "journal_id": "VARCHAR",
        "key": "VARCHAR",
        "kind": "VARCHAR",
        "effective_at": "TIMESTAMP",
        "original_at": "TIMESTAMP",
        "recorded_at": "TIMESTAMP",
        "line_count": "SMALLINT",
        "description": "VARCHAR",
        "refs": "VARCHAR",
        "metadata": "VARCHAR",
        "reverses": "VARCHAR",
        "posted_by": "VARCHAR",
        "xid": "UBIGINT",
        "salt": "VARCHAR",
        "commitment": "VARCHAR",
    },
    "entries": {
        "tenant_id": "VARCHAR",
        "journal_id": "VARCHAR",
        "line": "SMALLINT",
        "account_id": "BIGINT",
        "account": "VARCHAR",
        "amount_minor": "BIGINT",
        "currency": "VARCHAR",
        "item": "VARCHAR",
        "effective_day": "DATE",
    },
}


class DuckParquet:
    """`Parquet` on DuckDB."""

    def __init__(self, memory: str = "1GB") -> None:
        self._memory = memory

    def write(self, csv: Path, table: str, parquet: Path) -> None:
        """See Parquet."""
        names = ", ".join(f"'{name}': '{kind}'" for name, kind in COLUMNS[table].items())
        with self._open() as connection:
            # Paths are this product's own, names this module's. One thread: rows keep their order.
            connection.execute(
                f"COPY (SELECT * FROM read_csv('{csv}', header = false, auto_detect = false,"  # noqa: S608
                f" delim = ',', quote = '\"', escape = '\"', nullstr = '', allow_quoted_nulls = false,"
                f" new_line = '\\n', max_line_size = 16000000, parallel = false, columns = {{{names}}}))"
                f" TO '{parquet}' (FORMAT parquet, COMPRESSION zstd)"
            )

    def facts(self, journals: Path, entries: Path) -> Facts:
        """See Parquet."""
        with self._open() as connection:
            first = connection.execute(
                f"SELECT count(*), {_print('journals')} FROM read_parquet(?)",  # noqa: S608
                [str(journals)],
            ).fetchall()[0]
            second = connection.execute(
                "SELECT count(*), coalesce(sum(amount_minor) FILTER (amount_minor > 0), 0),"  # noqa: S608
                f" {_print('entries')} FROM read_parquet(?)",
                [str(entries)],
            ).fetchall()[0]
        return Facts(int(first[0]), int(second[0]), int(second[1]), int(first[1]), int(second[2]))

    def rows(self, parquet: Path, size: int) -> Iterator[list[dict[str, Any]]]:
        """See Parquet."""
        with self._open() as connection:
            names, found = _texts(connection, parquet)
            while rows := found.fetchmany(size):
                yield [dict(zip(names, row, strict=True)) for row in rows]

    def sealed(self, journals: Path, entries: Path, from_xid: int, to_xid: int) -> list[Sealed]:
        """Journals of these transactions as they were sealed, in the order of sealing."""
        with self._open() as connection:
            names, found = _texts(
                connection, journals, f"WHERE xid >= {from_xid} AND xid < {to_xid}"
            )
            heads = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
            lines: dict[str, list[dict[str, Any]]] = {head["journal_id"]: [] for head in heads}
            wanted = f"WHERE journal_id IN ({', '.join(repr(j) for j in lines)})" if lines else ""
            names, found = _texts(connection, entries, wanted)
            for row in found.fetchall() if lines else []:
                line = dict(zip(names, row, strict=True))
                lines[line["journal_id"]].append(line)
        heads.sort(key=lambda head: (int(head["xid"]), head["journal_id"]))
        return [sealed_journal(head, lines[head["journal_id"]]) for head in heads]

    @contextmanager
    def _open(self) -> Iterator[duckdb.DuckDBPyConnection]:
        try:
            with duckdb.connect(config={"threads": 1, "memory_limit": self._memory}) as connection:
                yield connection
        except duckdb.Error as error:
            raise Conflict(
                "ledger.archive_damaged", "a file of an archive is unreadable"
            ) from error


def _text(name: str, kind: str) -> str:
    """A column as the text that PostgreSQL's functions see: instants as they are sealed."""
    if kind == "TIMESTAMP":
        return f"strftime({name}, '%Y-%m-%dT%H:%M:%S.%fZ')"
    return f"{name}::VARCHAR"


def _print(table: str) -> str:
    """The print of a table's rows: the same as ``ledger.month_facts`` (migration 0037)."""
    parts = [
        f"coalesce('=' || {_text(name, kind)}, '-')"
        for name, kind in COLUMNS[table].items()
        if name != "tenant_id"
    ]
    row = " || ".join(f"strlen({part})::VARCHAR || ':' || {part} || ','" for part in parts)
    return f"coalesce(sum(('0x' || sha256({row})[1:15])::HUGEINT), 0)::HUGEINT"


def _texts(
    connection: duckdb.DuckDBPyConnection, parquet: Path, where: str = ""
) -> tuple[list[str], duckdb.DuckDBPyConnection]:
    """All columns as text."""
    table = "journals" if "line_count" in _names(connection, parquet) else "entries"
    columns = ", ".join(f"{_text(n, k)} AS {n}" for n, k in COLUMNS[table].items())
    query = f"SELECT {columns} FROM read_parquet(?) {where}"  # noqa: S608
    return list(COLUMNS[table]), connection.execute(query, [str(parquet)])


def _names(connection: duckdb.DuckDBPyConnection, parquet: Path) -> set[str]:
    found = connection.execute("DESCRIBE SELECT * FROM read_parquet(?)", [str(parquet)])
    return {row[0] for row in found.fetchall()}
