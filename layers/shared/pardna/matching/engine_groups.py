# ruff: noqa: S608  (statements are built from names and integers of ours; values are parameters)
"""Level 3 without a list: which few movements come to one on the other side, found by search.

Sums coincide, so a set is never more than a proposal, and only when it is the *only* one. A search
looks at the open movements of one counterparty in one currency: at most `subset_max` of them, for a
number of steps. What was not searched for these bounds is counted and told.
"""

from __future__ import annotations

from collections import Counter

from pardna.matching.engine_base import DECIDED, Engine
from pardna.matching.engine_identity import drop_contradicted
from pardna.matching.subset import Found, search

#: A run's searches together take no more than this many times `subset_steps`.
_RUN_STEPS = 10

_OPEN = """
CREATE OR REPLACE TABLE groupable_{side} AS
SELECT leg, id, currency, basis, ordinal, lower(name) AS name, count(*) OVER (PARTITION BY currency, lower(name)) AS crowd
FROM rest_{side}
WHERE is_open_{side}(leg) AND basis <> 0 AND name <> '' AND single AND leg NOT IN (SELECT {side} FROM identity_edges)
"""

#: What could be part of a movement of the other side.
_PARTS = """
CREATE OR REPLACE TABLE parts AS
SELECT t.leg AS {one}, m.leg AS {many}, t.id, t.basis, t.name, m.id AS part_id, m.basis AS part
FROM groupable_{one} t JOIN groupable_{many} m USING (currency, name)
WHERE m.crowd <= $most AND sign(m.basis) = sign(t.basis) AND abs(m.basis) < abs(t.basis)
  AND {within}
"""
#: One row a movement that several of the other side may come to: what they are, in the order of ids.
_ASKED = """
SELECT {one}, basis, name, list({many} ORDER BY part_id), list(part ORDER BY part_id)
FROM parts GROUP BY {one}, id, basis, name
HAVING count(*) >= 2 AND sum(abs(part)) >= abs(basis) ORDER BY id
"""
_TOO_MANY = """
SELECT count(DISTINCT t.leg) FROM groupable_{one} t
JOIN (SELECT DISTINCT currency, name FROM groupable_{many} WHERE crowd > $most) USING (currency, name)
"""


def groups(engine: Engine) -> None:
    """Propose sets that are the only ones to come to a movement of the other side.

    A movement that several sets come to is ambiguous; so is one whose set shares a movement with
    another set.
    """
    if not all(engine.both(_OPEN).values()):
        return
    found: list[tuple[str, int, list[int], str, int]] = []
    budget = engine.own.subset_steps * _RUN_STEPS
    for one, many in (("r", "l"), ("l", "r")):
        most = {"most": engine.own.subset_max}
        crowded = engine.number(_TOO_MANY.format(one=one, many=many), most)
        engine.cap("groups_of_too_many_candidates", crowded)
        apart = "t.ordinal - m.ordinal" if one == "r" else "m.ordinal - t.ordinal"
        legs = ("m.leg", "t.leg") if one == "r" else ("t.leg", "m.leg")
        engine.con.execute(
            _PARTS.format(one=one, many=many, within=engine.within(*legs, apart)), most
        )
        drop_contradicted(engine, "parts")
        rows = engine.con.execute(_ASKED.format(one=one, many=many)).fetchall()
        for leg, total, name, legs, amounts in rows:
            answer = search(amounts, total, min(engine.own.subset_steps, budget))
            budget -= answer.steps
            if answer.found is Found.BOUND_HIT:
                engine.cap("groups_search_given_up", 1)
            elif answer.found is Found.AMBIGUOUS:
                _ambiguous(engine, one, leg, name, len(legs))
            elif answer.found is Found.UNIQUE:
                found.append((one, leg, [legs[i] for i in answer.positions], name, len(legs)))
    _propose(engine, found)
    engine.drop_closed(
        "(SELECT CASE side WHEN 'l' THEN leg END AS l, CASE side WHEN 'r' THEN leg END AS r"
        " FROM extra_members)"
    )


def _ambiguous(engine: Engine, side: str, leg: int, name: str, candidates: int) -> None:
    legs = (leg, None) if side == "l" else (None, leg)
    engine.con.execute(
        "INSERT INTO findings VALUES ('AMBIGUOUS', 'group_ambiguous', ?, ?, ?, NULL, ?)",
        [*legs, name, candidates],
    )


def _propose(engine: Engine, found: list[tuple[str, int, list[int], str, int]]) -> None:
    other = {"l": "r", "r": "l"}
    claims = Counter(
        claim
        for one, leg, members, _, _ in found
        for claim in ((one, leg), *((other[one], member) for member in members))
    )
    for one, leg, members, name, candidates in found:
        if any(claims[c] > 1 for c in ((one, leg), *((other[one], m) for m in members))):
            _ambiguous(engine, one, leg, name, candidates)
            continue
        left, right = (leg, members[0]) if one == "l" else (members[0], leg)
        engine.con.execute(
            f"INSERT INTO {DECIDED[:-1]}, proposed) SELECT x.leg, y.leg, x.id, y.id,"
            " x.currency, x.basis, y.basis, (y.ordinal - x.ordinal)::INTEGER, 3, 'group', 8000, '',"
            " '', x.name, ?, NULL, NULL, true FROM rest_l x, rest_r y WHERE x.leg = ? AND y.leg = ?",
            [str(candidates), left, right],
        )
        engine.insert(
            "extra_members",
            ["BIGINT", "VARCHAR", "BIGINT"],
            [(left, other[one], member) for member in members[1:]],
        )
