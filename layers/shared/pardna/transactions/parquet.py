"""Parquet parts of large deliveries, written and read with DuckDB (in the engine layer)."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

import duckdb

from pardna.transactions.lake import COLUMNS, body_of
from pardna.transactions.model import from_dict
from pardna.transactions.ports import Outcome, Recorded

_NESTED = {
    # As text, whose offset the cast heeds; the reader of JSON does not.
    "occurred_at": "VARCHAR",
    "counterparty": "STRUCT(name VARCHAR, account VARCHAR)",
    "references": 'STRUCT("type" VARCHAR, "value" VARCHAR, strength VARCHAR)[]',
}
_FROM = {
    "occurred_at": "timezone('UTC', occurred_at::TIMESTAMPTZ)",
    "counterparty_name": "counterparty.name",
    "counterparty_account": "counterparty.account",
    "refs": '"references"',
}
_READ = {name: kind for name, kind in COLUMNS.items() if name not in _FROM} | _NESTED
_SCHEMA = "{" + ", ".join(f"'{name}': '{kind}'" for name, kind in _READ.items()) + "}"
_SELECT = ", ".join(f"{_FROM.get(name, name)} AS {name}" for name in COLUMNS)


def to_parquet(rows: Iterable[tuple[str, int, str]]) -> bytes:
    """A part of (transaction id, version, body) rows in their order, compressed with zstd.

    A body is the JSON of `transactions.model.to_dict`. DuckDB reads it as it is.
    """
    with tempfile.TemporaryDirectory(prefix="part-") as folder:
        said, made = Path(folder) / "part.json", Path(folder) / "part.parquet"
        with said.open("w", encoding="utf-8") as out:
            out.writelines(
                f'{{"transaction_id":"{identity}","version":{version},{body[1:]}\n'
                for identity, version, body in rows
            )
        with duckdb.connect() as connection:
            connection.execute("SET threads TO 1")
            # The paths are this function's own, names and types this module's.
            connection.execute(
                f"COPY (SELECT {_SELECT} FROM read_json('{said}',"  # noqa: S608
                f" format = 'newline_delimited', columns = {_SCHEMA}))"
                f" TO '{made}' (FORMAT parquet, COMPRESSION zstd)"
            )
        return made.read_bytes()


def from_parquet(path: Path) -> list[Recorded]:
    """The transactions of a part in a local file, with the version that each had."""
    with duckdb.connect() as connection:
        found = connection.execute("SELECT * FROM read_parquet(?)", [str(path)])
        names = [column[0] for column in found.description]
        rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    return [Recorded(from_dict(body_of(r)), r["version"], Outcome.UNCHANGED) for r in rows]
