# ruff: noqa: S608  (statements are built from names and integers of ours; values are parameters)
"""Level 1: an equal strong reference, the same amount, within the window. And what contradicts it."""

from __future__ import annotations

from pardna.matching.engine_base import Engine

#: Identities that too many legs share are nobody's. First by hash, which is cheap; then exactly.
_CROWDED = """
CREATE TABLE crowded_{side} AS
SELECT currency, type, value FROM ids_{side}
WHERE hash(value) IN (SELECT hash(value) FROM ids_{side} GROUP BY ALL HAVING count(*) > $cap)
GROUP BY ALL HAVING count(DISTINCT leg) > $cap
"""

#: Every pair that shares an identity: the match that it will mostly be. A pair that shares several
#: appears as often.
_PAIRS = """
INSERT INTO identified BY NAME
SELECT a.leg AS l, b.leg AS r, a.id AS left_id, b.id AS right_id, currency, type, value,
       a.basis AS left_minor, b.basis AS right_minor, (b.ordinal - a.ordinal)::INTEGER AS days
FROM {left} a JOIN {right} b USING (currency, type, value)
WHERE a.basis IS NULL OR b.basis IS NULL OR sign(a.basis) = sign(b.basis)
"""
_NOT_CROWDED = """(FROM ids_{side} ANTI JOIN crowded_l USING (currency, type, value)
 ANTI JOIN crowded_r USING (currency, type, value))"""

#: Both name the same kind of identity and never the same one: no level may join them.
_CONTRADICTED = """
SELECT l, r FROM (
    SELECT e.l, e.r FROM {pairs} e JOIN ids_l a ON a.leg = e.l {which}
    JOIN ids_r b ON b.leg = e.r AND b.type = a.type
    GROUP BY e.l, e.r, a.type HAVING NOT bool_or(a.value = b.value)) GROUP BY ALL
"""
#: Of pairs that share an identity only legs with several references can contradict each other.
_SEVERAL = "AND a.several"

#: A charge and the refund that gave all of it back: together they are nothing, to nobody's account.
#: Not a refund that our books know as one of theirs: then each of the two has its counterpart.
_REVERSALS = """
CREATE TABLE reversals AS
WITH told AS (SELECT leg, currency, kind, source, basis, ref.value AS value, ref.strong AS strong
              FROM (SELECT leg, currency, kind, source, basis, unnest(refs) AS ref
                    FROM legs_r WHERE kind IN ('charge', 'refund')) WHERE ref.type = 'charge'),
     pairs AS (
    SELECT DISTINCT c.leg AS charge, r.leg AS refund, c.value
    FROM told c JOIN told r USING (currency, value, source)
    WHERE c.strong AND c.kind = 'charge' AND r.kind = 'refund'
      AND c.basis > 0 AND r.basis = -c.basis
      AND r.leg NOT IN (SELECT r FROM identified))
SELECT charge, refund, min(value) AS value FROM pairs
WHERE charge IN (SELECT charge FROM pairs GROUP BY charge HAVING count(DISTINCT refund) = 1)
  AND refund IN (SELECT refund FROM pairs GROUP BY refund HAVING count(DISTINCT charge) = 1)
GROUP BY charge, refund
"""

_EXACT = "left_minor = right_minor AND days BETWEEN {before} AND {after}"

#: Pairs that level 1 does not join at once, one row each, by the best identity that they share.
_EDGES = """
CREATE TABLE identity_edges AS
SELECT l, r, left_id, right_id, currency, min(type) AS type,
       arg_min(value, (type, value)) AS value, any_value(left_minor) AS left_minor,
       any_value(right_minor) AS right_minor, days,
       any_value(right_minor) - any_value(left_minor) AS diff,
       coalesce(any_value(left_minor) = any_value(right_minor), false) AS exact,
       any_value(left_minor) IS NULL OR any_value(right_minor) IS NULL AS unknown
FROM identified WHERE {what} GROUP BY l, r, left_id, right_id, currency, days
"""


def level_1(engine: Engine) -> None:
    """Equal identity, exact amount, within the window. Leaves ``identity_edges``: other pairs that
    share an identity."""
    _pairs(engine)
    _drop_reversals(engine)
    con, window = engine.con, engine.own.identity_window
    exact = _EXACT.format(before=-window.before, after=window.after)
    engine.both(
        "CREATE TABLE several_{side} AS SELECT {side} FROM identified GROUP BY {side}"
        " HAVING count(*) > 1"
    )
    other = f"l IN (FROM several_l) OR r IN (FROM several_r) OR ({exact}) IS NOT TRUE"
    con.execute(_EDGES.format(what=other))
    con.execute(f"DELETE FROM identified WHERE {other}")
    con.execute(
        "CREATE TABLE candidates AS SELECT l, r, left_id, right_id, abs(days) AS cost"
        f" FROM identity_edges WHERE {exact}"
    )
    engine.choose("candidates")
    con.execute("INSERT INTO chosen SELECT l, r, cost, NULL, NULL, false FROM alone")
    con.execute(
        "INSERT INTO identified BY NAME SELECT l, r, left_id, right_id, currency, left_minor,"
        " right_minor, days, type, value FROM identity_edges SEMI JOIN chosen USING (l, r)"
    )
    _duplicates(engine)
    engine.keep_rest()
    # Later levels ask only about legs that are still open.
    con.execute(
        "CREATE OR REPLACE TABLE identity_edges AS FROM identity_edges"
        " WHERE is_open_l(l) OR is_open_r(r)"
    )


def _pairs(engine: Engine) -> None:
    """``identified``: all pairs that share an identity, without crowds and contradictions."""
    con, crowds = engine.con, 0
    engine.read_references()
    for side, found in engine.both((_CROWDED, {"cap": engine.own.candidates_max})).items():
        engine.cap(f"identities_shared_by_too_many_{side}", found)
        crowds += found
    source = _NOT_CROWDED if crowds else "ids_{side}"
    con.execute(_PAIRS.format(left=source.format(side="l"), right=source.format(side="r")))
    drop_contradicted(engine, "identified", _SEVERAL)


def contradicted(engine: Engine, pairs: str, which: str = "") -> int:
    """``contradicted``: those of `pairs`, a table with columns l and r, that a strong reference
    contradicts. Gives their number."""
    query = _CONTRADICTED.format(pairs=pairs, which=which)
    return engine.number(f"CREATE OR REPLACE TABLE contradicted AS {query}")


def drop_contradicted(engine: Engine, pairs: str, which: str = "") -> None:
    """Delete what a strong reference contradicts from `pairs`, a table with columns l and r."""
    if contradicted(engine, pairs, which):
        engine.con.execute(f"DELETE FROM {pairs} WHERE (l, r) IN (SELECT (l, r) FROM contradicted)")


def _drop_reversals(engine: Engine) -> None:
    """What was charged and given back in full: a payment made twice pays nobody's hand."""
    if engine.number(_REVERSALS):
        engine.con.execute(
            "DELETE FROM identified WHERE r IN (SELECT charge FROM reversals UNION ALL"
            " SELECT refund FROM reversals)"
        )


def _duplicates(engine: Engine) -> None:
    """The same identity again, on the side of a leg that has found its counterpart."""
    for side, other in (("l", "r"), ("r", "l")):
        legs = "e.l, NULL" if side == "l" else "NULL, e.r"
        engine.con.execute(
            f"INSERT INTO findings SELECT 'DUPLICATE', 'duplicate', {legs},"
            " min(e.type::VARCHAR || ' ' || e.value), NULL, NULL FROM identity_edges e"
            f" SEMI JOIN identified d ON d.{other} = e.{other}"
            f" ANTI JOIN identified o ON o.{side} = e.{side} WHERE NOT e.unknown GROUP BY e.{side}"
        )


def identity_findings(engine: Engine) -> None:
    """The same identity, but another amount or too far apart: contradicted, never scored."""
    con, window = engine.con, engine.own.identity_window
    if not engine.number("SELECT count(*) FROM identity_edges"):
        return
    con.execute(
        "CREATE OR REPLACE TABLE candidates AS SELECT l, r, left_id, right_id,"
        " CASE WHEN exact THEN 0 ELSE abs(diff) + 1 END AS cost FROM identity_edges"
        " WHERE NOT unknown AND is_open_l(l) AND is_open_r(r)"
    )
    engine.choose("candidates")
    con.execute("INSERT INTO chosen SELECT l, r, cost, NULL, NULL, false FROM alone")
    con.execute(
        "INSERT INTO findings SELECT CASE WHEN exact THEN 'TIMING' ELSE 'AMOUNT_MISMATCH' END,"
        " CASE WHEN exact THEN 'outside_window' ELSE 'amounts_differ' END, l, r,"
        f" type::VARCHAR || ' ' || value, CASE WHEN exact THEN days ELSE diff END, {window.after}"
        " FROM identity_edges SEMI JOIN chosen USING (l, r)"
    )
    engine.drop_closed()
