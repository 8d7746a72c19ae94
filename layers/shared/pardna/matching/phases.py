# ruff: noqa: S608  (statements are built from names of ours; values are parameters)
"""The engine in phases: what a shard of a split pair decides, and what it leaves to the next phase.

See `splitting` for what the phases are, and why nothing is lost between them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from pardna.matching.engine import Result, database, load_legs, number_legs
from pardna.matching.engine_base import LEG_COLUMNS, SIDES, Engine
from pardna.matching.engine_groups import groups
from pardna.matching.engine_identity import identity_findings, level_1
from pardna.matching.engine_probable import leftovers, level_4
from pardna.matching.engine_rules import level_2
from pardna.matching.engine_settlements import level_3, reference_sums
from pardna.matching.explain import to_result
from pardna.matching.model import Leg, Pair
from pardna.matching.rules import Rules
from pardna.matching.splitting import Hub, Phase

#: Which of `engine.STEPS` each phase runs, in their order.
STEPS: Mapping[Phase, tuple[Callable[[Engine], None], ...]] = {
    Phase.IDENTITY: (level_1, level_3, level_2, identity_findings, leftovers),
    Phase.REFERENCE: (level_2, reference_sums),
    Phase.AMOUNT: (level_4,),
    Phase.GROUP: (groups, leftovers),
}
#: What `to_result` reads and only level 3 makes.
_NO_MEMBERS = "CREATE TABLE settlement_members (leg BIGINT, member BIGINT, basis BIGINT)"


@dataclass(frozen=True, slots=True)
class PhaseResult:
    """What a phase decided, and the ids of the legs that the next phase has to look at."""

    result: Result
    rest: frozenset[str]


def match_phase(
    legs: Sequence[Leg],
    phase: Phase,
    hubs: Sequence[Hub],
    rules: Rules,
    pair: Pair,
    reference_date: date,
    file: Path | None = None,
) -> PhaseResult:
    """Run one phase over the legs of a shard. `hubs` are references that are nobody's.

    With a `file` of the same legs (`legs_file`) the engine reads its columns.
    """
    left = [leg for leg in legs if leg.is_left]
    right = [leg for leg in legs if not leg.is_left]
    with database() as con, Engine(con, rules, pair, reference_date) as engine:
        for side, of_side in zip(SIDES, (left, right), strict=True):
            if file is None:
                load_legs(engine, side, of_side)
            else:
                con.execute(
                    f"CREATE TABLE given_{side} AS SELECT {', '.join(LEG_COLUMNS)}"
                    f" FROM read_parquet('{file}') WHERE side = '{side}'"
                )
                con.execute(number_legs(side))
        engine.read()
        if phase is Phase.IDENTITY:
            _identity(engine)
        else:
            _later(engine, phase, hubs)
        rest = frozenset(
            identifier
            for side in SIDES
            for (identifier,) in con.sql(
                f"SELECT id FROM rest_{side} SEMI JOIN later_{side} USING (leg)"
            ).fetchall()
        )
        return PhaseResult(to_result(engine, left, right), rest)


def _identity(engine: Engine) -> None:
    level_1(engine)
    level_3(engine)
    # Normalised references have a phase of their own: here level 2 compares shared identities only.
    for side in SIDES:
        engine.con.execute(f"CREATE OR REPLACE VIEW soft_{side} AS FROM refs_{side} WHERE false")
    level_2(engine)
    identity_findings(engine)
    # Whoever shares an identity is compared with nobody else: what is left of it, is left over.
    _leave(engine, "leg NOT IN (SELECT {side} FROM identity_edges)")
    leftovers(engine)


def _later(engine: Engine, phase: Phase, hubs: Sequence[Hub]) -> None:
    """Levels after the first, for legs of which the whole pair's level 1 left nothing to say."""
    con, own = engine.con, engine.own
    # Identities still contradict, but join nobody: a thinner crowd may seem to share one alone.
    engine.own = replace(own, candidates_max=0)
    level_1(engine)
    engine.own = own
    engine.caps.clear()
    con.execute("DELETE FROM reversals")
    engine.open_all()
    con.execute(_NO_MEMBERS)
    con.execute("CREATE TABLE hubs (currency VARCHAR, norm VARCHAR)")
    engine.insert("hubs", ["VARCHAR", "VARCHAR"], hubs)
    for side in SIDES:
        if hubs:
            con.execute(
                f"CREATE OR REPLACE VIEW soft_{side} AS FROM refs_{side}"
                " ANTI JOIN hubs USING (currency, norm) WHERE soft AND length(norm) >= 6"
            )
    for step in STEPS[phase]:
        step(engine)
    _leave(engine, "false" if phase is Phase.GROUP else "true")


def _leave(engine: Engine, which: str) -> None:
    """``later_*``: open legs that the next phase looks at; they are open here no more."""
    engine.both(
        "CREATE TABLE later_{side} AS SELECT leg FROM rest_{side}"
        f" WHERE is_open_{{side}}(leg) AND {which}"
    )
    engine.close("SELECT leg FROM later_{side}")
