"""The engine: `match(left, right, rules, pair, reference_date) -> Result`, without AWS.

Pure: the result follows from the legs, the rules and the reference date; the order of the input,
the clock and the machine change nothing. What is set-based runs as SQL in DuckDB (`engine_sql`);
only legs that several others could claim are assigned one component at a time (`assignment`).

Every leg ends as exactly one of: member of a match, of a proposal, of a finding (a break), or
waiting.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date

import duckdb

from pardna.matching import engine_sql as sql
from pardna.matching.codec import Finding
from pardna.matching.engine_levels import Engine
from pardna.matching.model import Leg, Match, Pair
from pardna.matching.rules import Rules


@dataclass(frozen=True, slots=True)
class Result:
    """What became of every leg. `caps` counts what was cut off: never silent."""

    matches: tuple[Match, ...] = ()
    proposals: tuple[Match, ...] = ()
    findings: tuple[Finding, ...] = ()
    waiting: tuple[Leg, ...] = ()
    caps: dict[str, int] = field(default_factory=dict)


@contextmanager
def database(threads: int = 2, memory: str = "1GB") -> Iterator[duckdb.DuckDBPyConnection]:
    """A database in memory that spills to a temporary folder of the process; closed at the end."""
    con = duckdb.connect(":memory:", config={"threads": threads, "memory_limit": memory})
    try:
        yield con
    finally:
        con.close()


def load_legs(engine: Engine, side: str, legs: Sequence[Leg]) -> None:
    """Fill ``raw_legs_*`` and ``raw_refs_*`` from the domain's legs."""
    for table, columns in (("legs", sql.LEG_COLUMNS), ("refs", sql.REFERENCE_COLUMNS)):
        body = ", ".join(f"{name} {type_}" for name, type_ in columns.items())
        engine.con.execute(f"CREATE TABLE raw_{table}_{side} ({body})")
    engine.insert(
        f"raw_legs_{side}",
        list(sql.LEG_COLUMNS.values()),
        [
            (
                leg.transaction_id, leg.source, leg.kind.value, leg.basis_minor, leg.currency,
                leg.day, leg.batch_id, leg.name, leg.account,
            )
            for leg in legs
        ],
    )  # fmt: skip
    engine.insert(
        f"raw_refs_{side}",
        list(sql.REFERENCE_COLUMNS.values()),
        [
            (leg.transaction_id, r.type, r.value, r.strength.value == "strong")
            for leg in legs
            for r in leg.references
        ],
    )


def match(
    left: Sequence[Leg], right: Sequence[Leg], rules: Rules, pair: Pair, reference_date: date
) -> Result:
    """Match the legs of two sides; see the module's first lines. Legs are distinct by id."""
    from pardna.matching.explain import to_result

    with database() as con:
        engine = Engine(con, rules, pair, reference_date)
        load_legs(engine, "l", left)
        load_legs(engine, "r", right)
        engine.prepare()
        engine.run()
        return to_result(engine, left, right)
