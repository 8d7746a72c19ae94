"""Parquet parts of large deliveries, written and read with DuckDB (in the engine layer)."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import duckdb

from pardna.transactions.lake import COLUMNS, body_of
from pardna.transactions.model import from_dict
from pardna.transactions.ports import Outcome, Recorded

_SCHEMA = "{" + ", ".join(f"'{name}': '{kind}'" for name, kind in COLUMNS.items()) + "}"


def to_parquet(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """A part of `lake.lake_row` rows, in their order, compressed with zstd."""
    with tempfile.TemporaryDirectory(prefix="part-") as folder:
        said, made = Path(folder) / "part.json", Path(folder) / "part.parquet"
        with said.open("w", encoding="utf-8") as out:
            out.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        with duckdb.connect() as connection:
            connection.execute("SET threads TO 1")
            # The paths are this function's own and the types this module's.
            connection.execute(
                f"COPY (SELECT * FROM read_json('{said}', format = 'newline_delimited',"  # noqa: S608
                f" columns = {_SCHEMA})) TO '{made}' (FORMAT parquet, COMPRESSION zstd)"
            )
        return made.read_bytes()


def from_parquet(path: Path) -> list[Recorded]:
    """The transactions of a part in a local file, with the version that each had."""
    with duckdb.connect() as connection:
        found = connection.execute("SELECT * FROM read_parquet(?)", [str(path)])
        names = [column[0] for column in found.description]
        rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    return [Recorded(from_dict(body_of(r)), r["version"], Outcome.UNCHANGED) for r in rows]
