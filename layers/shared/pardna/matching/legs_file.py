# ruff: noqa: S608  (statements are built from names and paths of ours; values are parameters)
"""Legs as a Parquet file: what a run's shards are cut into and handed to workers as.

Columns: ``id, side`` (``l``, ``r``), ``kind, basis, currency, batch, name, refs`` are what legs are
split by, with ``source, day, account`` what they are matched by; ``lake`` says that the leg has no item
in the match state yet; the others complete the leg. Where aliases have added to what a leg says,
``said_name`` and ``said_refs`` are what its record says: that, and nothing taught, is written of it. Who reads rows of the lake writes these columns
without making legs of them (`lake_legs`); items are written from them too (`legs_wire`).
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb

from pardna.matching.model import Leg, Pair
from pardna.transactions.model import Kind, Reference, Side, Strength

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
    "source": "VARCHAR",
    "day": "DATE",
    "account": "VARCHAR",
    "tenant_id": "VARCHAR",
    "pair": "VARCHAR",
    "version": "INTEGER",
    "told_by": "VARCHAR",
    "external_id": "VARCHAR",
    "amount": "BIGINT",
    "occurred_at": "VARCHAR",
    "value_date": "DATE",
    "gross": "BIGINT",
    "fee": "BIGINT",
    "net": "BIGINT",
    "description": "VARCHAR",
    "exclusive": "VARCHAR[]",
    "said_name": "VARCHAR",
    "said_refs": "STRUCT(type VARCHAR, value VARCHAR, strong BOOLEAN)[]",
}
_canonical = json.JSONEncoder(sort_keys=True, ensure_ascii=False).encode
COLUMNS = ", ".join(_COLUMNS)
_TYPES = "{" + ", ".join(f"'{name}': '{kind}'" for name, kind in _COLUMNS.items()) + "}"
# Looking a word up costs a tenth of asking its enum.
_SIDES = {word.value: word for word in Side}
_KINDS = {word.value: word for word in Kind}
_PAIRS = {word.value: word for word in Pair}
#: The order of `_leg`.
LEG = (
    "tenant_id, pair, id, version, told_by, source, external_id, kind, amount, currency, occurred_at,"
    " value_date, gross, fee, net, batch, account, name, description, refs, exclusive"
)


@dataclass(frozen=True, slots=True)
class Filed:
    """A file's legs, the ids of those that have no item in the match state yet, and as their records
    say them those that aliases have added to."""

    legs: tuple[Leg, ...]
    lake: frozenset[str]
    recorded: Mapping[str, Leg]


@contextmanager
def workspace(memory: str = "2GB") -> Iterator[tuple[duckdb.DuckDBPyConnection, Path]]:
    """A database that may spill, and a folder; both are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="legs-") as name:
        config: dict[str, str | bool | int | float | list[str]] = {
            "threads": 2, "memory_limit": memory, "temp_directory": f"{name}/spill",
        }  # fmt: skip
        with duckdb.connect(config=config) as con:
            yield con, Path(name)


def to_bytes(
    legs: Iterable[Leg], lake: frozenset[str] | None = None, recorded: Iterable[Leg] | None = None
) -> bytes:
    """A file of legs, those of `lake` (None: all of them) marked as such; same legs, same bytes.

    `recorded` are the same legs in the same order as their records say them.
    """
    with workspace() as (con, folder):
        said, made = folder / "legs.json", folder / "legs.parquet"
        with said.open("w", encoding="utf-8") as out:
            given = legs if recorded is None else zip(legs, recorded, strict=True)
            for one in given:
                leg, own = one if isinstance(one, tuple) else (one, one)
                out.write(_canonical(_row(leg, lake, own)) + "\n")
        con.execute(
            f"CREATE VIEW legs AS SELECT {COLUMNS} FROM read_json('{said}',"
            f" format = 'newline_delimited', columns = {_TYPES}, maximum_object_size = 67108864)"
        )
        return copied(con, "legs", made)


def copied(con: duckdb.DuckDBPyConnection, query: str, path: Path) -> bytes:
    """The file of a relation with the columns of such files; the same rows are the same bytes."""
    con.execute(
        f"COPY (SELECT {COLUMNS} FROM {query} ORDER BY id, pair)"
        f" TO '{path}' (FORMAT parquet, COMPRESSION zstd)"
    )
    return path.read_bytes()


def chosen(body: bytes, ids: Iterable[str], *, but: bool = False) -> bytes:
    """The file of some of a file's legs, or (`but`) of all others."""
    with workspace() as (con, folder):
        path = folder / "legs.parquet"
        path.write_bytes(body)
        con.execute("CREATE TABLE named AS SELECT unnest(?::VARCHAR[]) AS id", [sorted(ids)])
        how = "ANTI" if but else "SEMI"
        query = f"read_parquet('{path}') {how} JOIN named USING (id)"
        return copied(con, query, folder / "chosen.parquet")


def names_of(body: bytes) -> list[tuple[Pair, str]]:
    """Pair and transaction of each leg of a file, in order."""
    with workspace() as (con, folder):
        path = folder / "legs.parquet"
        path.write_bytes(body)
        rows = con.execute("SELECT pair, id FROM read_parquet(?) ORDER BY id, pair", [str(path)])
        return [(_PAIRS[pair], identifier) for pair, identifier in rows.fetchall()]


def from_bytes(body: bytes) -> Filed:
    """The inverse of `to_bytes`."""
    with workspace() as (con, folder):
        path = folder / "legs.parquet"
        path.write_bytes(body)
        query = f"SELECT {LEG}, said_name, said_refs, lake FROM read_parquet(?) ORDER BY id"
        found = con.execute(query, [str(path)])
        legs, lake, recorded = [], [], {}
        while rows := found.fetchmany(5_000):
            for row in rows:
                legs.append(leg_of(row))
                if row[-1]:
                    lake.append(row[2])
                if row[-2] is not None:
                    own = replace(legs[-1], name=row[-3], references=_references(row[-2]))
                    recorded[own.transaction_id] = own
    return Filed(tuple(legs), frozenset(lake), recorded)


def leg_of(row: Sequence[Any]) -> Leg:
    """The leg of a row with the columns `LEG` (and perhaps more)."""
    (tenant_id, pair, identifier, version, told_by, source, external_id, kind, amount, currency,
     occurred_at, value_date, gross, fee, net, batch, account, name, description, refs,
     exclusive) = row[:21]  # fmt: skip
    return Leg(
        tenant_id, _PAIRS[pair], identifier, version, _SIDES[told_by], source, external_id,
        _KINDS[kind], amount, currency, datetime.fromisoformat(occurred_at), value_date, gross, fee,
        net, batch, account, name, description,
        _references(refs), tuple([_PAIRS[p] for p in exclusive]),
    )  # fmt: skip


def _references(rows: Iterable[Mapping[str, Any]]) -> tuple[Reference, ...]:
    strong, weak = Strength.STRONG, Strength.WEAK
    return tuple([Reference(r["type"], r["value"], strong if r["strong"] else weak) for r in rows])


def _said(references: Iterable[Reference]) -> list[dict[str, Any]]:
    return [
        {"type": r.type, "value": r.value, "strong": r.strength is Strength.STRONG}
        for r in references
    ]


def _row(leg: Leg, lake: frozenset[str] | None, own: Leg) -> dict[str, Any]:
    value_date: date | None = leg.value_date
    taught = own is not leg
    return {
        "id": leg.transaction_id, "side": "l" if leg.is_left else "r", "kind": leg.kind.value,
        "basis": leg.basis_minor, "currency": leg.currency, "batch": leg.batch_id,
        "name": leg.name, "source": leg.source, "day": leg.day.isoformat(),
        "refs": _said(leg.references),
        "said_name": own.name if taught else None,
        "said_refs": _said(own.references) if taught else None,
        "lake": lake is None or leg.transaction_id in lake,
        "account": leg.account, "tenant_id": leg.tenant_id, "pair": leg.pair.value,
        "version": leg.version, "told_by": leg.side.value, "external_id": leg.external_id,
        "amount": leg.amount_minor, "occurred_at": leg.occurred_at.isoformat(),
        "value_date": value_date.isoformat() if value_date else None,
        "gross": leg.gross_minor, "fee": leg.fee_minor, "net": leg.net_minor,
        "description": leg.description, "exclusive": [pair.value for pair in leg.exclusive],
    }  # fmt: skip
