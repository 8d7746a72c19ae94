# ruff: noqa: S608  (statements are built from names and paths of ours; values are parameters)
"""Cutting the legs of a pair into shards so that no candidate match is cut in two.

The levels run in four phases, and each phase has keys of its own. Two legs that share a key of the
phase may meet in it; two legs that are not even connected by a chain of keys cannot. So the unit is
the connected component, and a shard is some whole components.

| phase | levels | keys |
|---|---|---|
| identity | reversals, 1, 3 by id, contradicted identities | identity references, charge ids, payout ids |
| reference | 2, sums under one reference | normalised references, pairs one edit apart |
| amount | 4 | currency and amount |
| group | sets found by search, what is left over | currency and counterparty |

What a phase leaves free goes on to the next. A leg that shares no key with anybody skips a phase.
A component above the limit is one shard, larger than the others: it is not cut. A normalised
reference that more than `HUB_LEGS` legs of one side carry is nobody's, and is taken out beforehand.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import duckdb

from pardna.matching.engine_base import NORMALISED
from pardna.matching.engine_rules import READ_ALIKE
from pardna.matching.legs_file import COLUMNS
from pardna.matching.model import IDENTITIES, Pair
from pardna.matching.rules import PairRules

#: Far above `PairRules.candidates_max`, from where on level 2 does not look at a reference.
HUB_LEGS = 1_000
#: A currency and a normalised reference.
Hub = tuple[str, str]


class Phase(StrEnum):
    """Which levels a shard runs; ``whole`` is all of them, ``read`` only gathers legs."""

    WHOLE = "whole"
    READ = "read"
    IDENTITY = "identity"
    REFERENCE = "reference"
    AMOUNT = "amount"
    GROUP = "group"
    ABSORB = "absorb"


@dataclass(frozen=True, slots=True)
class Split:
    """Shards as files with their numbers of legs, legs that skip the phase, hubs taken out."""

    shards: tuple[tuple[Path, int], ...]
    rest: Path | None
    hubs: tuple[Hub, ...]


_IDENTITY = f"""
INSERT INTO links
WITH refs AS (SELECT leg, side, kind, currency, unnest(refs) AS ref FROM legs),
     names AS (SELECT DISTINCT currency, {NORMALISED.format("ref.value")} AS norm FROM refs
               WHERE side = 'l' AND kind = 'payout' AND ref.type IN ('payout', 'trace')),
     named AS (SELECT leg, currency, {NORMALISED.format("ref.value")} AS norm FROM refs
               WHERE side = 'r' OR (kind = 'payout' AND ref.type IN ('payout', 'trace'))
               UNION ALL
               SELECT leg, currency, {NORMALISED.format("batch")} FROM legs
               WHERE side = 'l' AND kind <> 'payout' AND batch <> '')
SELECT leg, hash('identity', currency, ref.type, ref.value) FROM refs
WHERE (ref.strong AND list_contains($types, ref.type))
 OR (side = 'r' AND ref.type = 'charge' AND kind IN ('charge', 'refund'))
UNION ALL
SELECT leg, hash('payout', currency, norm) FROM named SEMI JOIN names USING (currency, norm)
WHERE norm <> ''
"""

_NORMS = f"""
CREATE TABLE norms AS
SELECT DISTINCT leg, side, currency, norm FROM (
    SELECT leg, side, currency, {NORMALISED.format("ref.value")} AS norm
    FROM (SELECT leg, side, currency, unnest(refs) AS ref FROM legs
          WHERE side = 'r' OR (batch = '' AND kind <> 'payout'))
    WHERE list_contains($soft, ref.type))
WHERE length(norm) >= 6
"""
_HUBS = """
CREATE TABLE hubs AS
SELECT DISTINCT currency, norm FROM norms GROUP BY side, currency, norm HAVING count(*) > $hub
"""
#: A text and all that remains of it without one character: texts one edit apart share one of these.
_CUTS = """unnest(list_distinct(list_concat([norm],
          [left(norm, i::INTEGER - 1) || substr(norm, i::INTEGER + 1) FOR i IN range(1, length(norm) + 1)])))"""
#: As level 2 has it: a leg with an equal counterpart is not compared by edits.
_REFERENCE = f"""
INSERT INTO links
WITH held AS (SELECT n.*, count(*) OVER (PARTITION BY side, currency, norm) AS holders
              FROM norms n ANTI JOIN hubs USING (currency, norm)),
     equal AS (SELECT a.leg AS l, b.leg AS r FROM held a JOIN held b USING (currency, norm)
               WHERE a.side = 'l' AND b.side = 'r' AND a.holders <= $cap AND b.holders <= $cap),
     long AS (SELECT * FROM held WHERE length(norm) BETWEEN 12 AND 64 AND holders <= $cap
              AND leg NOT IN (SELECT l FROM equal UNION ALL SELECT r FROM equal)),
     cut AS (SELECT leg, side, currency, norm, {_CUTS} AS cut FROM long),
     near AS (SELECT DISTINCT a.leg AS l, b.leg AS r FROM cut a JOIN cut b USING (currency, cut)
              WHERE a.side = 'l' AND b.side = 'r' AND levenshtein(a.norm, b.norm) = 1)
SELECT leg, hash('norm', currency, norm) FROM held
UNION ALL
SELECT unnest([l, r]), hash('near', l, r) FROM near
UNION ALL
SELECT leg, hash('read', currency, {READ_ALIKE.format("norm")}) FROM held
WHERE length(norm) BETWEEN 8 AND 11
"""
_AMOUNT = """
INSERT INTO links SELECT leg, hash('amount', currency, basis) FROM legs WHERE basis <> 0
"""

_GROUP = """
INSERT INTO links
SELECT leg, hash('name', currency, lower(name))
FROM legs WHERE name <> ''
"""

#: To a leg without any key a phase does nothing; a payout is judged even when nobody names it.
_NEVER_ALONE = {
    Phase.IDENTITY: "bool_or(side = 'l' AND kind = 'payout')",
    Phase.REFERENCE: "false",
    Phase.AMOUNT: "false",
    Phase.GROUP: "true",
}


def split(
    con: duckdb.DuckDBPyConnection,
    paths: Sequence[Path],
    phase: Phase,
    rules: PairRules,
    legs_max: int,
    out: Path,
    hub_legs: int = HUB_LEGS,
    without: Collection[str] = (),
) -> Split:
    """Cut the legs of files (`legs_file`) for a phase into shards of at most `legs_max` legs.

    Legs of `without` are left out. The same legs give the same shards, whatever files they came in.
    """
    con.execute("CREATE TABLE gone AS SELECT unnest(?::VARCHAR[]) AS id", [sorted(without)])
    con.execute(
        "CREATE TABLE legs AS SELECT (row_number() OVER (ORDER BY id))::BIGINT AS leg, *"
        f" FROM (SELECT DISTINCT ON (id) {COLUMNS} FROM read_parquet(?) ANTI JOIN gone USING (id)"
        " ORDER BY id, lake, version DESC)",
        [[str(path) for path in paths]],
    )
    con.execute("CREATE TABLE links (leg BIGINT, key UBIGINT)")
    con.execute("CREATE TABLE hubs (currency VARCHAR, norm VARCHAR)")
    _link(con, phase, rules, hub_legs)
    _components(con)
    con.execute(
        "CREATE TABLE sizes AS SELECT component, count(*) AS size FROM legs JOIN parts USING (leg)"
        f" GROUP BY component HAVING count(*) > 1 OR {_NEVER_ALONE[phase]}"
    )
    bins = _bins(con, legs_max)
    shards = []
    for number in range(bins):
        path = out / f"shard-{number:05d}.parquet"
        shards.append((path, _copy(con, f"SEMI JOIN (FROM bins WHERE bin = {number}) USING (component)", path)))  # fmt: skip
    rest = out / "rest.parquet"
    skipped = _copy(con, "ANTI JOIN bins USING (component)", rest)
    hubs = tuple(con.execute("SELECT currency, norm FROM hubs ORDER BY ALL").fetchall())
    return Split(tuple(shards), rest if skipped else None, hubs)


def _link(con: duckdb.DuckDBPyConnection, phase: Phase, rules: PairRules, hub_legs: int) -> None:
    if phase is Phase.IDENTITY:
        types = list(rules.identity_types or IDENTITIES[Pair(rules.pair)])
        con.execute(_IDENTITY, {"types": types})
    elif phase is Phase.REFERENCE:
        con.execute(_NORMS, {"soft": list(rules.soft_types)})
        con.execute("DROP TABLE hubs")
        con.execute(_HUBS, {"hub": max(hub_legs, rules.candidates_max)})
        con.execute(_REFERENCE, {"cap": rules.candidates_max})
    elif phase is Phase.AMOUNT:
        con.execute(_AMOUNT)
    else:
        con.execute(_GROUP)


def _components(con: duckdb.DuckDBPyConnection) -> None:
    """`parts` (leg, component): the smallest leg that a chain of keys reaches.

    Every round takes the smallest label over a key's legs, then jumps to that label's own label, so
    the number of rounds grows with the logarithm of the longest chain.
    """
    con.execute("CREATE TABLE parts AS SELECT leg, leg AS component FROM legs")
    while True:
        con.execute(
            "CREATE OR REPLACE TABLE next AS WITH low AS ("
            " SELECT k.key, min(p.component) AS component FROM links k JOIN parts p USING (leg)"
            " GROUP BY k.key), near AS (SELECT k.leg, min(low.component) AS component"
            " FROM links k JOIN low USING (key) GROUP BY k.leg),"
            " hooked AS (SELECT old.component AS root, min(n.component) AS component"
            " FROM parts old JOIN near n USING (leg) GROUP BY old.component)"
            " SELECT p.leg, least(p.component, coalesce(n.component, p.component),"
            " coalesce(h.component, p.component)) AS component FROM parts p"
            " LEFT JOIN near n USING (leg) LEFT JOIN hooked h ON h.root = p.component"
        )
        con.execute(
            "CREATE OR REPLACE TABLE next AS SELECT n.leg, m.component FROM next n"
            " JOIN next m ON m.leg = n.component"
        )
        [(changed,)] = con.execute(
            "SELECT count(*) FROM next n JOIN parts p USING (leg) WHERE n.component <> p.component"
        ).fetchall()
        con.execute("DROP TABLE parts")
        con.execute("ALTER TABLE next RENAME TO parts")
        if not changed:
            return


def _bins(con: duckdb.DuckDBPyConnection, legs_max: int) -> int:
    """`bins` (component, bin): whole components, at most `legs_max` legs a bin; how many bins.

    A component above half the limit has a bin for itself; the others are at most half as large, so
    what one of them makes a bin overhang is left room for.
    """
    half = legs_max // 2
    [(largest,)] = con.execute(
        "SELECT coalesce(max(size), 0) FROM sizes WHERE size <= ?", [half]
    ).fetchall()
    room = max(legs_max - largest, 1)
    con.execute(
        f"CREATE TABLE bins AS WITH small AS (SELECT component,"
        f" ((sum(size) OVER (ORDER BY component) - size) // {room})::BIGINT AS bin"
        f" FROM sizes WHERE size <= {half}), dense AS ("
        "  SELECT component, dense_rank() OVER (ORDER BY bin) - 1 AS bin FROM small)"
        " SELECT * FROM dense UNION ALL SELECT component,"
        " (SELECT coalesce(max(bin) + 1, 0) FROM dense) + row_number() OVER (ORDER BY component) - 1"
        f" FROM sizes WHERE size > {half}"
    )
    [(count,)] = con.execute("SELECT coalesce(max(bin) + 1, 0) FROM bins").fetchall()
    return int(count)


def _copy(con: duckdb.DuckDBPyConnection, which: str, path: Path) -> int:
    query = f"SELECT {COLUMNS} FROM (SELECT * FROM legs JOIN parts USING (leg)) {which} ORDER BY id"
    [(copied,)] = con.execute(
        f"COPY ({query}) TO '{path}' (FORMAT parquet, COMPRESSION zstd)"
    ).fetchall()
    return int(copied)
