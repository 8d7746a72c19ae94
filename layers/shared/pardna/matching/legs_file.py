# ruff: noqa: S608  (statements are built from names and paths of ours; values are parameters)
"""Legs as a Parquet file: what a run's shards are cut into and handed to workers as.

Columns: ``id, side`` (``l``, ``r``), ``kind, basis, currency, batch, name, refs`` are what legs are
split by; ``lake`` says that the leg has no item in the match state yet; ``body`` is the whole leg (JSON).
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from pardna.matching.codec import leg_from_plain, leg_to_plain
from pardna.matching.model import Leg

_COLUMNS = {
    "id": "VARCHAR",
    "side": "VARCHAR",
    "kind": "VARCHAR",
    "basis": "BIGINT",
    "currency": "VARCHAR",
    "batch": "VARCHAR",
    "name": "VARCHAR",
    "refs": "STRUCT(type VARCHAR, value VARCHAR, strong BOOLEAN)[]",
    "lake": "BOOLEAN",
    "body": "VARCHAR",
}
_canonical = json.JSONEncoder(sort_keys=True, ensure_ascii=False).encode
COLUMNS = ", ".join(_COLUMNS)
_TYPES = "{" + ", ".join(f"'{name}': '{kind}'" for name, kind in _COLUMNS.items()) + "}"


@dataclass(frozen=True, slots=True)
class Filed:
    """A file's legs, and the ids of those that have no item in the match state yet."""

    legs: tuple[Leg, ...]
    lake: frozenset[str]


@contextmanager
def workspace(memory: str = "2GB") -> Iterator[tuple[duckdb.DuckDBPyConnection, Path]]:
    """A database that may spill, and a folder; both are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="legs-") as name:
        config: dict[str, str | bool | int | float | list[str]] = {
            "threads": 2, "memory_limit": memory, "temp_directory": f"{name}/spill",
        }  # fmt: skip
        with duckdb.connect(config=config) as con:
            yield con, Path(name)


def to_bytes(legs: Iterable[Leg], lake: frozenset[str] | None = None) -> bytes:
    """A file of legs, those of `lake` (None: all of them) marked as such; same legs, same bytes."""
    with workspace() as (con, folder):
        said, made = folder / "legs.json", folder / "legs.parquet"
        with said.open("w", encoding="utf-8") as out:
            for leg in sorted(legs, key=lambda leg: leg.transaction_id):
                row = {
                    "id": leg.transaction_id,
                    "side": "l" if leg.is_left else "r",
                    "kind": leg.kind.value,
                    "basis": leg.basis_minor,
                    "currency": leg.currency,
                    "batch": leg.batch_id,
                    "name": leg.name,
                    "refs": [
                        {"type": r.type, "value": r.value, "strong": r.strength.value == "strong"}
                        for r in leg.references
                    ],
                    "lake": lake is None or leg.transaction_id in lake,
                    "body": _canonical(leg_to_plain(leg)),
                }
                out.write(_canonical(row) + "\n")
        con.execute(
            f"COPY (SELECT {COLUMNS} FROM read_json('{said}', format = 'newline_delimited',"
            f" columns = {_TYPES}, maximum_object_size = 67108864) ORDER BY id)"
            f" TO '{made}' (FORMAT parquet, COMPRESSION zstd)"
        )
        return made.read_bytes()


def from_bytes(body: bytes) -> Filed:
    """The inverse of `to_bytes`."""
    with workspace() as (con, folder):
        path = folder / "legs.parquet"
        path.write_bytes(body)
        legs, lake = [], []
        answer = con.execute("SELECT body, lake FROM read_parquet(?) ORDER BY id", [str(path)])
        while rows := answer.fetchmany(5_000):
            for text, in_lake in rows:
                leg = leg_from_plain(json.loads(text))
                legs.append(leg)
                if in_lake:
                    lake.append(leg.transaction_id)
    return Filed(tuple(legs), frozenset(lake))
