"""The engine: `match(left, right, rules, pair, reference_date) -> Result`, without AWS.

Pure: the result follows from the legs, the rules and the reference date; the order of the input,
the clock and the machine change nothing. What is set-based runs as SQL in DuckDB, level by
level (`engine_identity`, `engine_rules`, `engine_settlements`, `engine_probable`);
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

from pardna.matching.codec import Finding
from pardna.matching.engine_base import LEG_COLUMNS, SIDES, Engine
from pardna.matching.engine_groups import groups
from pardna.matching.engine_identity import identity_findings, level_1
from pardna.matching.engine_probable import leftovers, level_4
from pardna.matching.engine_rules import level_2
from pardna.matching.engine_settlements import level_3, reference_sums
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


def number_legs(side: str) -> str:
    """``raw_*`` of ``given_*``: the same rows, numbered."""
    return f"CREATE VIEW raw_{side} AS SELECT rowid::INTEGER AS leg, * FROM given_{side}"  # noqa: S608


def load_legs(engine: Engine, side: str, legs: Sequence[Leg]) -> None:
    """Fill ``raw_l`` or ``raw_r`` from the domain's legs."""
    body = ", ".join(f"{name} {type_}" for name, type_ in LEG_COLUMNS.items())
    engine.con.execute(f"CREATE TABLE given_{side} ({body})")
    engine.con.execute(number_legs(side))
    engine.insert(
        f"given_{side}",
        list(LEG_COLUMNS.values()),
        [
            (
                leg.transaction_id, leg.source, leg.kind.value, leg.basis_minor, leg.currency,
                leg.day, leg.batch_id, leg.name, leg.account,
                [
                    {"type": r.type, "value": r.value, "strong": r.strength.value == "strong"}
                    for r in leg.references
                ],
            )
            for leg in legs
        ],
    )  # fmt: skip


#: All levels in their order, then what is left over.
STEPS = (
    level_1,
    level_3,
    level_2,
    reference_sums,
    identity_findings,
    level_4,
    groups,
    leftovers,
)


def match(
    left: Sequence[Leg], right: Sequence[Leg], rules: Rules, pair: Pair, reference_date: date
) -> Result:
    """Match the legs of two sides; see the module's first lines. Legs are distinct by id."""
    from pardna.matching.explain import to_result

    with database() as con, Engine(con, rules, pair, reference_date) as engine:
        for side, legs in zip(SIDES, (left, right), strict=True):
            load_legs(engine, side, legs)
        engine.read()
        for step in STEPS:
            step(engine)
        return to_result(engine, left, right)
