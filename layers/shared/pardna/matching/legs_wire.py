# ruff: noqa: S608  (statements are built from names and paths of ours; values are parameters)
"""Items of legs as DynamoDB's JSON, rendered by the database from columns (`legs_file`).

What `items.leg_attributes` and `items.member_attributes` say of one leg, these say of a million: the
text of all attributes that follow from the leg alone. Whoever writes an item adds its key, and what
the match adds, around it. `tests/unit/matching/test_legs_wire.py` holds the two to each other.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from typing import Self

import duckdb

from pardna.matching.legs_file import LEG, leg_of
from pardna.matching.model import IDENTITIES, Leg, Pair
from pardna.matching.ports import Identified, LegTexts

#: Legs that are fetched at once.
_AT_ONCE = 2_000


def _text(name: str, column: str) -> str:
    return f"""'"{name}":{{"S":' || to_json({column}) || '}}'"""


def _number(name: str, column: str) -> str:
    return f"""coalesce(',"{name}":{{"N":"' || {column} || '"}}', '')"""


def _joined(column: str, each: str) -> str:
    return f"coalesce(list_aggregate(list_transform({column}, {each}), 'string_agg', ', '), '')"


#: As `items` writes it: keys in order, a blank after comma and colon.
_REFERENCE = """lambda r: '[' || to_json(r.type) || ', ' || to_json(r.value)
 || CASE WHEN r.strong THEN ', "strong"]' ELSE ', "weak"]' END"""
_BODY = f"""'{{"account": ' || to_json(account) || ', "batch_id": ' || to_json(batch)
 || ', "description": ' || to_json(description)
 || ', "exclusive": [' || {_joined("exclusive", "lambda p: to_json(p)")}
 || '], "name": ' || to_json(coalesce(said_name, name))
 || ', "references": [' || {_joined("coalesce(said_refs, refs)", _REFERENCE)}
 || '], "value_date": "' || coalesce(value_date::VARCHAR, '') || '"}}'"""

_SHARED = " || ',' || ".join((
    _text("tenant_id", "tenant_id"), _text("pair", "pair"), _text("transaction_id", "id"),
    _text("side", "told_by"), _text("source", "source"), _text("external_id", "external_id"),
    _text("transaction_kind", "kind"), _text("currency", "currency"),
    _text("occurred_at", "occurred_at"),
)) + " || " + " || ".join((
    _number("amount_minor", "amount"), _number("gross_minor", "gross"),
    _number("fee_minor", "fee"), _number("net_minor", "net"),
))  # fmt: skip
#: What a leg's item, or a reference's, says of the leg.
ITEM = (
    f"{_SHARED} || {_number('version', 'version')} || {_number('basis_minor', 'basis')}"
    f""" || ',"body":{{"S":' || to_json({_BODY}) || '}}'"""
)
#: What a member's item says of the leg.
MEMBER = (
    f"{_SHARED} || {_number('transaction_version', 'version')}"
    f" || {_number('basis_minor', 'coalesce(basis, amount)')}"
)


class FileTexts:
    """What is written of a file's legs. Close it: the legs are in memory, as columns."""

    def __init__(self, body: bytes) -> None:
        self._con = duckdb.connect(config={"threads": 2, "memory_limit": "1GB"})
        with tempfile.NamedTemporaryFile(suffix=".parquet") as file:
            file.write(body)
            file.flush()
            self._con.execute(f"CREATE TABLE legs AS FROM read_parquet('{file.name}')")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._con.close()

    def of(self, ids: Iterable[str]) -> LegTexts:
        """The texts of some transactions' legs."""
        rows = self._con.execute(
            f"SELECT pair, id, {ITEM}, {MEMBER} FROM legs"
            " SEMI JOIN (SELECT unnest(?::VARCHAR[]) AS id) USING (id)",
            [list(ids)],
        ).fetchall()
        return {(pair, identifier): (item, member) for pair, identifier, item, member in rows}

    def legs(self, ids: Iterable[str]) -> list[Leg]:
        """The legs of some transactions, in their order."""
        rows = self._con.execute(
            f"SELECT {LEG} FROM legs SEMI JOIN (SELECT unnest(?::VARCHAR[]) AS id) USING (id)"
            " ORDER BY id, pair",
            [list(ids)],
        ).fetchall()
        return [leg_of(row) for row in rows]

    def versions(self) -> Iterator[list[tuple[Pair, str, int]]]:
        """Pair, transaction and version of each leg, a few thousand at a time, a transaction's
        together."""
        rows = self._con.execute("SELECT pair, id, version FROM legs ORDER BY id, pair").fetchall()
        found: list[tuple[Pair, str, int]] = []
        for pair, identifier, version in rows:
            if len(found) >= _AT_ONCE and found[-1][1] != identifier:
                yield found
                found = []
            found.append((Pair(pair), identifier, version))
        if found:
            yield found

    def identified(self, pair: Pair, ids: Iterable[str]) -> Iterator[Identified]:
        """Those legs of a pair that carry identities."""
        found = self._con.execute(
            f"SELECT tenant_id, id, told_by, currency, own, {ITEM} FROM ("
            " SELECT *, [r FOR r IN refs IF r.strong AND list_contains($types, r.type)] AS own"
            " FROM legs WHERE pair = $pair) JOIN (SELECT unnest($ids::VARCHAR[]) AS id) USING (id)"
            " WHERE len(own) > 0",
            {"types": list(IDENTITIES[pair]), "pair": pair.value, "ids": list(ids)},
        )
        while rows := found.fetchmany(_AT_ONCE):
            for tenant_id, identifier, told_by, currency, own, text in rows:
                references = tuple((r["type"], r["value"]) for r in own)
                yield Identified(tenant_id, pair, identifier, told_by, currency, references, text)
