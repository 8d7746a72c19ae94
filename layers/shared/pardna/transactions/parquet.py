"""Parquet parts of large deliveries, written and read with DuckDB (in the engine layer)."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
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
        connection.execute("SET enable_progress_bar = false")
        found = connection.execute(
            f"SELECT {_COLUMNS} FROM read_parquet($path)"  # noqa: S608 - names of this module's own
            " WHERE ($sides = [] OR list_contains($sides, side))"
            " AND ($currency = '' OR currency = $currency)",
            {"path": str(path), "sides": list(sides), "currency": currency},
        )
        recorded: list[Recorded] = []
        while rows := found.fetchmany(1000):
            recorded += [_recorded(row) for row in rows]
    return recorded


#: As they are read; of references three lists, which cost less than one of objects.
_COLUMNS = ", ".join(
    "[r.type for r in refs], [r.value for r in refs], [r.strength for r in refs]"
    if name == "refs"
    else name
    for name in COLUMNS
)
# An enumeration's members are looked up slowly, and here once for each row.
_SIDES = {side.value: side for side in Side}
_KINDS = {kind.value: kind for kind in Kind}
_STRENGTHS = {strength.value: strength for strength in Strength}


def _recorded(row: tuple[Any, ...]) -> Recorded:
    """A row as `lake.body_of` and `from_dict` would have it, without times becoming texts between."""
    tenant_id, _, version, source, external_id, side, kind, amount, currency, *rest = row
    occurred_at, value_date, account, gross, fee, net, name, number, description, *rest = rest
    types, values, strengths, batch_id, raw_sha256, raw_position = rest
    transaction = Transaction(
        tenant_id=tenant_id,
        source=source,
        external_id=external_id,
        side=_SIDES[side],
        kind=_KINDS[kind],
        amount_minor=amount,
        currency=currency,
        occurred_at=occurred_at.replace(tzinfo=UTC),
        raw_sha256=raw_sha256,
        raw_position=raw_position,
        value_date=value_date,
        account=account,
        gross_minor=gross,
        fee_minor=fee,
        net_minor=net,
        counterparty=Counterparty(name, number),
        description=description,
        references=tuple(
            [
                Reference(type_, value, _STRENGTHS[strength])
                for type_, value, strength in zip(
                    types or (), values or (), strengths or (), strict=True
                )
            ]
        ),
        batch_id=batch_id,
    )
    return Recorded(transaction, version, Outcome.UNCHANGED)
