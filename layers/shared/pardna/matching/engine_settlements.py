# ruff: noqa: S608  (statements are built from names and integers of ours; values are parameters)
"""Level 3: several movements on one side that are one on the other."""

from __future__ import annotations

from pardna.matching.engine_base import DECIDED, NORMALISED, Engine
from pardna.matching.engine_identity import contradicted

#: What left legs name as payouts, under every name that they give.
_PAYOUT_NAMES = """
CREATE TABLE payout_names AS
SELECT DISTINCT leg, currency, norm, source, id, value FROM refs_l
WHERE type IN ('payout', 'trace') AND norm <> '' AND is_open_l(leg)
  AND leg IN (SELECT leg FROM rest_l WHERE kind = 'payout')
"""

_MEMBERS = f"""
CREATE TABLE settlement_members AS
SELECT arg_min(n.leg, n.id) AS leg, m.leg AS member, any_value(m.basis) AS basis
FROM (SELECT leg, currency, basis, {NORMALISED.format("batch")} AS norm
      FROM rest_l WHERE is_open_l(leg) AND batch <> '' AND kind <> 'payout') m
JOIN payout_names n ON n.currency = m.currency AND n.norm = m.norm
GROUP BY m.leg
"""

#: One row a payout: what its members come to, and what the other side shows under its name.
_SETTLEMENTS = """
CREATE TABLE settlements AS
WITH payouts AS (SELECT leg, id, source, currency, basis, ordinal FROM rest_l
                 WHERE is_open_l(leg) AND kind = 'payout'),
     sums AS (SELECT leg, count(*) AS members, sum(basis) AS total,
                     count(*) FILTER (WHERE basis IS NULL) AS unknown
              FROM settlement_members GROUP BY leg),
     lines AS (SELECT DISTINCT n.leg, b.leg AS line, b.basis, b.source, b.id FROM payout_names n
               JOIN refs_r b USING (currency, norm) WHERE is_open_r(b.leg)),
     banked AS (SELECT l.leg, count(*) AS lines,
                       arg_min(l.line, (abs(l.basis::HUGEINT + p.basis), l.id)) AS line
                FROM lines l JOIN payouts p USING (leg) GROUP BY l.leg)
SELECT p.leg, p.id, p.source, p.currency, p.basis, p.ordinal, coalesce(s.members, 0) AS members,
       coalesce(s.total, 0) AS total, coalesce(s.unknown, 0) AS unknown, b.line,
       y.id AS line_id, y.basis AS line_basis, (y.ordinal - p.ordinal)::INTEGER AS days,
       coalesce(n.name, '') AS name
FROM payouts p LEFT JOIN sums s USING (leg) LEFT JOIN banked b USING (leg)
LEFT JOIN rest_r y ON y.leg = b.line
LEFT JOIN (SELECT leg, min(value) AS name FROM payout_names GROUP BY leg) n USING (leg)
"""

#: What each settlement is. Two payouts that claim one line: the name is nobody's.
_JUDGED = """
CREATE TABLE judged AS SELECT *, {today} - ordinal > {waits} AS late, CASE
    WHEN line IN (SELECT line FROM settlements GROUP BY line HAVING count(*) > 1) THEN 'line_shared'
    WHEN line IS NOT NULL AND line_basis <> -basis THEN 'bank_differs'
    WHEN members = 0 THEN 'members_unknown'
    WHEN unknown > 0 THEN 'fees_unknown'
    WHEN total + basis <> 0 THEN 'members_differ'
    WHEN line IS NULL THEN 'no_bank_line' ELSE 'proved' END AS verdict
FROM settlements
"""
_JUDGED_FINDINGS = """
INSERT INTO findings
SELECT CASE verdict WHEN 'no_bank_line' THEN 'MISSING_BANK' WHEN 'members_unknown' THEN 'MISSING_PSP'
           WHEN 'fees_unknown' THEN 'FEE_VARIANCE' WHEN 'line_shared' THEN 'AMBIGUOUS'
           ELSE 'AMOUNT_MISMATCH' END,
       verdict, leg, CASE WHEN row_number() OVER (PARTITION BY line ORDER BY id) = 1 THEN line END,
       name, CASE verdict WHEN 'members_differ' THEN total + basis
                          WHEN 'bank_differs' THEN line_basis + basis ELSE -basis END, members
FROM judged WHERE verdict IN ('bank_differs', 'members_differ', 'line_shared')
OR (late AND verdict <> 'proved')
"""
#: A second line under the name of a payout that has its line.
_SECOND_LINES = """
INSERT INTO findings
SELECT DISTINCT 'DUPLICATE', 'duplicate_line', NULL, b.leg, min(j.name), NULL, NULL
FROM judged j JOIN payout_names n ON n.leg = j.leg
JOIN refs_r b ON b.currency = n.currency AND b.norm = n.norm
WHERE j.verdict = 'proved' AND b.leg <> j.line AND is_open_r(b.leg)
  AND b.leg NOT IN (SELECT line FROM judged WHERE line IS NOT NULL) GROUP BY b.leg
"""


def level_3(engine: Engine) -> None:
    """A payout, its members and its line on the other side, proved in signed integers."""
    con = engine.con
    for statement in (_PAYOUT_NAMES, _MEMBERS, _SETTLEMENTS):
        con.execute(statement)
    con.execute(_JUDGED.format(today=engine.today, waits=engine.waits("l")))
    con.execute(
        f"INSERT INTO {DECIDED} SELECT leg, line, id, line_id, currency, basis, line_basis,"
        " days, 3, 'settlement', 10000, '', 'payout', name, members::VARCHAR, NULL, NULL"
        " FROM judged WHERE verdict = 'proved'"
    )
    con.execute(_JUDGED_FINDINGS)
    con.execute(
        "INSERT INTO waiting SELECT leg, line FROM judged WHERE NOT late"
        " AND verdict IN ('no_bank_line', 'members_unknown', 'fees_unknown')"
    )
    con.execute(_SECOND_LINES)
    engine.drop_closed(
        "(SELECT leg AS l, line AS r FROM judged)",
        "(SELECT member AS l, NULL::BIGINT AS r FROM settlement_members)",
    )


#: Legs whose soft reference is shared by one leg on one side and a few on the other, which together
#: come to the same: captures in parts, payments in one.
_REFERENCE_SUMS = """
CREATE TABLE sums AS
WITH told AS (SELECT DISTINCT a.currency, a.norm FROM (FROM told_l WHERE is_open_l(leg)) a
              SEMI JOIN (FROM told_r WHERE is_open_r(leg)) b USING (currency, norm)),
     group_l AS (SELECT currency, norm, count(*) AS legs, sum(basis) AS total,
                 list(leg ORDER BY id) AS l, min(ordinal) AS first, max(ordinal) AS last,
                 count(DISTINCT sign(basis)) AS signs
                 FROM (SELECT DISTINCT leg, id, source, basis, ordinal, currency, norm FROM told_l
                       SEMI JOIN told USING (currency, norm) WHERE is_open_l(leg))
                 GROUP BY currency, norm HAVING count(*) <= $most),
     group_r AS (SELECT currency, norm, count(*) AS legs, sum(basis) AS total,
                 list(leg ORDER BY id) AS r, min(ordinal) AS first, max(ordinal) AS last,
                 count(DISTINCT sign(basis)) AS signs
                 FROM (SELECT DISTINCT leg, id, source, basis, ordinal, currency, norm FROM told_r
                       SEMI JOIN told USING (currency, norm) WHERE is_open_r(leg))
                 GROUP BY currency, norm HAVING count(*) <= $most),
     found AS MATERIALIZED (
               SELECT row_number() OVER () AS number, norm, a.l, b.r,
               (b.last - a.first)::INTEGER AS days, a.total::VARCHAR AS total
               FROM group_l a JOIN group_r b USING (currency, norm)
               WHERE a.total = b.total AND a.legs + b.legs > 2 AND least(a.legs, b.legs) = 1
               AND a.signs = 1 AND b.signs = 1
               AND {latest} AND {earliest}),
     crowded AS (SELECT number FROM (SELECT number, count(*) OVER (PARTITION BY leg) AS claims
                                 FROM (SELECT number, unnest(l) AS leg FROM found)) WHERE claims > 1
                 UNION ALL
                 SELECT number FROM (SELECT number, count(*) OVER (PARTITION BY leg) AS claims
                                 FROM (SELECT number, unnest(r) AS leg FROM found)) WHERE claims > 1)
FROM found ANTI JOIN crowded USING (number)
"""


def reference_sums(engine: Engine) -> None:
    """One leg on one side and a few on the other, under one reference, come to the same."""
    if not all(engine.both("SELECT count(*) FROM told_{side}").values()):
        return
    first = ("a.l[1]", "b.r[1]")
    engine.con.execute(
        _REFERENCE_SUMS.format(
            latest=engine.within(*first, "b.last - a.first"),
            earliest=engine.within(*first, "b.first - a.last"),
        ),
        {"most": engine.own.subset_max},
    )
    engine.con.execute(
        "CREATE TABLE sum_pairs AS SELECT number, l, unnest(r) AS r"
        " FROM (SELECT number, unnest(l) AS l, r FROM sums)"
    )
    if contradicted(engine, "sum_pairs"):
        engine.con.execute(
            "DELETE FROM sums WHERE number IN"
            " (SELECT number FROM sum_pairs SEMI JOIN contradicted USING (l, r))"
        )
    engine.con.execute(
        f"INSERT INTO {DECIDED} SELECT l[1], r[1], x.id, y.id, x.currency, x.basis, y.basis,"
        " days, 3, 'reference_sum', 9700, '', 'reference', norm, total, NULL, NULL"
        " FROM sums JOIN rest_l x ON x.leg = l[1] JOIN rest_r y ON y.leg = r[1]"
    )
    engine.con.execute(
        "INSERT INTO extra_members SELECT l[1], 'l', unnest(l[2:]) FROM sums"
        " UNION ALL SELECT l[1], 'r', unnest(r[2:]) FROM sums"
    )
    engine.drop_closed(
        "(SELECT CASE side WHEN 'l' THEN leg END AS l, CASE side WHEN 'r' THEN leg END AS r FROM extra_members)"
    )
