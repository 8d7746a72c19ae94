# ruff: noqa: S608  (statements are built from names and integers of ours; values are parameters)
"""Level 4: amount and day agree, and references or names say more. And what is left at the end."""

from __future__ import annotations

from dataclasses import asdict

from pardna.matching.engine_base import DECIDED, SIDES, Engine
from pardna.matching.engine_identity import drop_contradicted

#: Legs that level 4 looks at, with what its blocks are made of.
_LEGS = """
CREATE TABLE probable_{side} AS
WITH legs AS MATERIALIZED (
    SELECT leg, id, source, currency, basis, ordinal, lower(name) AS name, name AS shown
    FROM rest_{side} WHERE basis <> 0 AND single
    AND is_open_{side}(leg) AND (leg IN (SELECT {side} FROM identity_edges)) IS NOT TRUE)
FROM legs JOIN (SELECT currency, basis, count(*) AS crowd FROM legs GROUP BY ALL) USING (currency, basis)
"""

#: Pairs that agree in amount and nearly in day, with what their references and names say.
#: Blocks: an amount that few have; an amount and a name; an amount and a reference's beginning or
#: end. Weights in basis points; `reference` is 2 for a part of the other, 1 for two edits, -1 for
#: another; a reference that only one side has speaks against the pair. Names are compared as they
#: stand and by sorted words (Jaro-Winkler); a name that is part of the other counts as alike.
#: Only legs with more than `cap` candidates are put in order: ``far_*`` is what comes after those.
_PAIR = """a.leg AS l, b.leg AS r, a.id AS left_id, b.id AS right_id, b.ordinal - a.ordinal AS days,
       a.name AS ours, b.name AS theirs"""
_SAID = """SELECT leg, id, ordinal, currency, basis, name, crowd, norm, left(norm, 6) AS first_six,
       right(norm, 6) AS last_six
FROM (SELECT leg, norm FROM soft_{side}) JOIN probable_{side} USING (leg)"""
_CROWDED = "(a.crowd > $cap OR b.crowd > $cap)"
_EDGES = """
CREATE TABLE edges AS
WITH said_l AS ({said_l}), said_r AS ({said_r}),
     near AS MATERIALIZED (
       SELECT {pair} FROM probable_l a JOIN probable_r b USING (currency, basis)
       WHERE NOT {crowded} AND {near}
       UNION ALL
       SELECT {pair} FROM probable_l a JOIN probable_r b USING (currency, basis, name)
       WHERE {crowded} AND name <> '' AND {near}
       UNION ALL (
       SELECT {pair} FROM said_l a JOIN said_r b USING (currency, basis, first_six) WHERE {other}
       UNION
       SELECT {pair} FROM said_l a JOIN said_r b USING (currency, basis, last_six) WHERE {other})),
     far_l AS (SELECT l, r FROM near WHERE l IN (SELECT l FROM near GROUP BY l HAVING count(*) > $cap)
               QUALIFY row_number() OVER (PARTITION BY l ORDER BY abs(days), right_id) > $cap),
     far_r AS (SELECT l, r FROM near WHERE r IN (SELECT r FROM near GROUP BY r HAVING count(*) > $cap)
               QUALIFY row_number() OVER (PARTITION BY r ORDER BY abs(days), left_id) > $cap),
     kept AS (SELECT *, CASE WHEN ours = '' OR theirs = '' THEN -1 WHEN ours = theirs THEN 1000
                        WHEN contains(' ' || ours || ' ', ' ' || theirs || ' ') OR contains(' ' || theirs || ' ', ' ' || ours || ' ') THEN 900
                        ELSE (greatest(jaro_winkler_similarity(ours, theirs), jaro_winkler_similarity(
                              array_to_string(list_sort(string_split(ours, ' ')), ' '), array_to_string(list_sort(string_split(theirs, ' ')), ' '))) * 1000)::INTEGER END AS alike
              FROM near ANTI JOIN far_l USING (l, r) ANTI JOIN far_r USING (l, r)),
     told AS (SELECT k.l, k.r,
              max(CASE WHEN contains(a.norm, b.norm) OR contains(b.norm, a.norm) THEN 2
                       WHEN least(length(a.norm), length(b.norm)) >= 12 AND levenshtein(a.norm, b.norm) <= 2 THEN 1
                       ELSE -1 END) AS reference,
              arg_max(a.norm, (length(a.norm), a.norm)) AS value,
              arg_max(b.norm, (length(b.norm), b.norm)) AS other
              FROM kept k JOIN said_l a ON a.leg = k.l JOIN said_r b ON b.leg = k.r GROUP BY k.l, k.r)
SELECT k.l, k.r, left_id, right_id, k.days::INTEGER AS days, coalesce(t.reference, 0) AS reference,
       coalesce(t.value, '') AS value, coalesce(t.other, '') AS other,
       {amount_bp}
       + CASE coalesce(t.reference, 0) WHEN 2 THEN {reference_part_bp} WHEN 1 THEN {reference_two_edits_bp}
              WHEN -1 THEN -{against_reference_bp} ELSE 0 END
       + CASE WHEN k.alike < 0 THEN 0 WHEN k.alike >= 950 THEN {name_same_bp}
              WHEN k.alike >= 880 THEN {name_alike_bp} WHEN k.alike >= 750 THEN 0 ELSE -{against_name_bp} END
       + CASE WHEN (k.l IN (SELECT leg FROM said_l)) <> (k.r IN (SELECT leg FROM said_r))
              THEN -{against_reference_missing_bp} ELSE 0 END
       + greatest(0, {day_bp} - {against_day_bp} * abs(k.days)) AS score
FROM kept k LEFT JOIN told t USING (l, r)
"""

#: Of level 4's edges: the best cost of each leg, and which legs have it twice.
_TIES = """
CREATE TABLE ties AS
WITH best_l AS (SELECT l, min(cost) AS cost FROM probable GROUP BY l),
     best_r AS (SELECT r, min(cost) AS cost FROM probable GROUP BY r),
     tied_l AS (SELECT l FROM probable JOIN best_l USING (l, cost) GROUP BY l HAVING count(*) > 1),
     tied_r AS (SELECT r FROM probable JOIN best_r USING (r, cost) GROUP BY r HAVING count(*) > 1)
SELECT l, NULL::BIGINT AS r FROM tied_l
UNION SELECT l, NULL FROM probable JOIN best_l USING (l, cost) SEMI JOIN tied_r USING (r)
UNION ALL SELECT NULL, r FROM tied_r
"""

#: What each chosen pair's legs had elsewhere, among all edges.
_RIVALS = """
CREATE TABLE rivals AS
SELECT l, r, min(cost) AS rival_cost, arg_min(rival, (cost, id)) AS rival FROM (
    SELECT c.l, c.r, e.cost, e.r AS rival, y.id FROM chosen c
    JOIN probable e ON e.l = c.l AND e.r <> c.r JOIN probable_r y ON y.leg = e.r
    UNION ALL
    SELECT c.l, c.r, e.cost, NULL, NULL FROM chosen c JOIN probable e ON e.r = c.r AND e.l <> c.l)
GROUP BY l, r
"""


def level_4(engine: Engine) -> None:
    """Amount and day agree, and references or names say more: mostly proposals.

    Decided alone only with a shared reference, from `automatic_bp` on, and far from the next.
    """
    con, own = engine.con, engine.own
    crowded = f"SELECT count(*) FROM probable_{{side}} WHERE crowd > {own.candidates_max}"
    for side, found in engine.both(_LEGS, crowded).items():
        engine.cap(f"amounts_shared_by_too_many_{side}", found)
    if not all(engine.both("SELECT count(*) FROM probable_{side}").values()):
        return
    con.execute(_edges(engine), {"cap": own.candidates_max})
    drop_contradicted(engine, "edges")
    con.execute(
        "CREATE TABLE probable AS SELECT l, r, left_id, right_id, 11000 - score AS cost FROM edges"
        f" WHERE score >= {own.propose_bp - 1_000}"
    )
    # Look-alikes that nothing tells apart are nobody's: what is left has one best counterpart.
    con.execute(_TIES)
    con.execute(
        "CREATE OR REPLACE TABLE candidates AS SELECT p.* FROM probable p"
        " ANTI JOIN (SELECT l FROM ties WHERE l IS NOT NULL) USING (l)"
        " ANTI JOIN (SELECT r FROM ties WHERE r IS NOT NULL) USING (r)"
    )
    engine.choose("candidates")
    con.execute("INSERT INTO chosen SELECT l, r, cost, NULL, NULL, false FROM alone")
    con.execute(_RIVALS)
    lookalikes = (
        "INSERT INTO findings SELECT 'AMBIGUOUS', 'lookalikes', l, NULL, '', NULL, count(*)"
        " FROM probable WHERE l IN (SELECT l FROM ties)"
        f" GROUP BY l HAVING min(cost) <= {11_000 - own.propose_bp}"
    )
    # So few rows are one task, of one core: halves take two.
    engine.at_once((_decide(engine, 0), lookalikes), (_decide(engine, 1),))
    engine.drop_closed()


def _edges(engine: Engine) -> str:
    near = engine.within("a.leg", "b.leg", "(b.ordinal - a.ordinal)")
    return _EDGES.format(
        pair=_PAIR,
        crowded=_CROWDED,
        near=near,
        # Not what the first two blocks have: a pair is there once.
        other=f"{_CROWDED} AND (a.name <> b.name OR a.name = '') AND {near}",
        **{f"said_{side}": _SAID.format(side=side) for side in SIDES},
        **asdict(engine.own.weights),
    )


def _decide(engine: Engine, half: int) -> str:
    """Proposals, and matches where a reference is shared and nothing else comes near: of legs with
    even numbers, or with odd ones."""
    own = engine.own
    margin = "least(coalesce(v.rival_cost - c.cost, 10000), 10000)"
    alone = f"e.reference > 0 AND e.score >= {own.automatic_bp} AND {margin} >= {own.margin_bp}"
    return (
        f"INSERT INTO {DECIDED[:-1]}, proposed, left_name, right_name) SELECT c.l, c.r, x.id, y.id, x.currency,"
        " x.basis, y.basis, e.days, 4, 'probable', least(e.score, 9990), '',"
        " CASE WHEN e.reference > 0 THEN 'reference' ELSE '' END, e.value, e.other,"
        f" v.rival, {margin}, NOT ({alone}), x.shown, y.shown"
        " FROM chosen c JOIN edges e USING (l, r) JOIN probable_l x ON x.leg = c.l"
        " JOIN probable_r y ON y.leg = c.r LEFT JOIN rivals v ON v.l = c.l AND v.r = c.r"
        f" WHERE c.l % 2 = {half} AND NOT c.contested AND e.score >= {own.propose_bp} AND {margin} > 0"
    )


def leftovers(engine: Engine) -> None:
    """Whatever nothing explains: missing when its time is over, else waiting."""
    told = []
    for side, missing, wanted in (
        ("l", engine.pair.right, True),
        ("r", engine.pair.left, engine.own.right_breaks),
    ):
        legs = "leg, NULL" if side == "l" else "NULL, leg"
        age = f"{engine.today} - ordinal"
        late = f"{age} > {engine.waits(side)}" if wanted else "false"
        member = "batch <> '' AND kind <> 'payout'" if side == "l" else "false"
        source = f"FROM rest_{side} WHERE is_open_{side}(leg)"
        told.append(
            (
                f"INSERT INTO findings SELECT CASE WHEN {member} THEN 'MISSING_PSP' ELSE "
                f"'MISSING_{missing.value.upper()}' END, CASE WHEN {member} THEN 'payout_unknown' "
                f"ELSE 'missing' END, {legs}, batch, basis, {age} {source} AND {late}",
                f"INSERT INTO waiting SELECT {legs} {source} AND NOT ({late})",
            )
        )
    engine.at_once(*told)
