"""Parquet parts of large deliveries, written and read with DuckDB (in the engine layer)."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import fields
from datetime import UTC
from pathlib import Path
from typing import Any

import duckdb

from pardna.transactions.lake import COLUMNS
from pardna.transactions.model import (
    Counterparty,
    Kind,
    Reference,
    Side,
    Strength,
    Transaction,
)
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
_SAME = tuple(f.name for f in fields(Transaction) if f.name in COLUMNS)
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


def from_parquet(path: Path, sides: Sequence[str] = (), currency: str = "") -> list[Recorded]:
    """The transactions of a part in a local file, with the version that each had.

    With `sides` or a `currency`, those only.
    """
    with duckdb.connect() as connection:
        found = connection.execute(
            "SELECT * FROM read_parquet($path) WHERE ($sides = [] OR list_contains($sides, side))"
            " AND ($currency = '' OR currency = $currency)",
            {"path": str(path), "sides": list(sides), "currency": currency},
        )
        names = [column[0] for column in found.description]
        rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    return [Recorded(_transaction(r), r["version"], Outcome.UNCHANGED) for r in rows]


def _transaction(row: dict[str, Any]) -> Transaction:
    """A row as `lake.body_of` and `from_dict` would have it, without times becoming texts between."""
    plain = {name: row[name] for name in _SAME}
    plain["side"], plain["kind"] = Side(row["side"]), Kind(row["kind"])
    plain["occurred_at"] = row["occurred_at"].replace(tzinfo=UTC)
    plain["counterparty"] = Counterparty(row["counterparty_name"], row["counterparty_account"])
    plain["references"] = tuple(
        Reference(r["type"], r["value"], Strength(r["strength"])) for r in row["refs"] or ()
    )
    return Transaction(**plain)
