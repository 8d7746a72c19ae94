# ruff: noqa: S608  (statements are built from names and integers of ours; values are parameters)
"""The set-based part of the engine: its tables and statements, in DuckDB's SQL, integers only.

Tables: ``legs_l``, ``legs_r`` (one row a leg, `leg` numbered by source and id), ``refs_l``,
``refs_r`` (one row a reference; `strong`, `norm` is the value without case and punctuation),
``free_l``, ``free_r`` (legs that no level has decided), ``calendar`` (business-day ordinals).
Statements take their numbers from `match`'s rules by named parameters.
"""

from __future__ import annotations

LEG_COLUMNS = {
    "id": "VARCHAR",
    "source": "VARCHAR",
    "kind": "VARCHAR",
    "basis": "BIGINT",
    "currency": "VARCHAR",
    "day": "DATE",
    "batch": "VARCHAR",
    "name": "VARCHAR",
    "account": "VARCHAR",
}
REFERENCE_COLUMNS = {"id": "VARCHAR", "type": "VARCHAR", "value": "VARCHAR", "strong": "BOOLEAN"}

#: Without case and punctuation; what people, banks and forms change in a reference.
NORMALISED = "regexp_replace(upper({0}), '[^A-Z0-9]', '', 'g')"

NUMBER_LEGS = """
CREATE TABLE legs_{side} AS
SELECT (row_number() OVER (ORDER BY raw.source, raw.id))::BIGINT AS leg, raw.*, c.ordinal
FROM raw_legs_{side} raw JOIN calendar c USING (day)
"""

#: Normalising is dear: only what some level compares normalised.
NUMBER_REFERENCES = f"""
CREATE TABLE refs_{{side}} AS
SELECT l.leg, l.currency, r.type, r.value, r.strong,
       CASE WHEN NOT r.strong OR list_contains($soft, r.type) OR r.type IN ('payout', 'trace')
            THEN {NORMALISED.format("r.value")} ELSE '' END AS norm
FROM raw_refs_{{side}} r JOIN legs_{{side}} l USING (id)
"""

#: Identities by side, without those that too many legs share: they are nobody's identity.
IDENTITIES = """
CREATE TABLE ids_{side} AS
SELECT DISTINCT leg, currency, type, value FROM refs_{side}
WHERE strong AND list_contains($types, type)
"""
CROWDED_IDENTITIES = """
CREATE TABLE crowded_{side} AS
SELECT currency, type, value FROM ids_{side} GROUP BY currency, type, value HAVING count(*) > $cap
"""

#: Every pair that shares an identity, with what speaks for and against it.
IDENTITY_EDGES = """
CREATE TABLE identity_edges AS
SELECT e.*, y.basis - x.basis AS diff, y.ordinal - x.ordinal AS days,
       x.basis IS NOT NULL AND y.basis IS NOT NULL AND x.basis = y.basis AS exact,
       x.basis IS NULL OR y.basis IS NULL AS unknown
FROM (
    SELECT a.leg AS l, b.leg AS r,
           arg_min(a.type, (list_position($types, a.type), a.value)) AS type,
           arg_min(a.value, (list_position($types, a.type), a.value)) AS value
    FROM ids_l a JOIN ids_r b USING (currency, type, value)
    WHERE NOT EXISTS (SELECT 1 FROM crowded_l c
                      WHERE (c.currency, c.type, c.value) = (a.currency, a.type, a.value))
      AND NOT EXISTS (SELECT 1 FROM crowded_r c
                      WHERE (c.currency, c.type, c.value) = (b.currency, b.type, b.value))
    GROUP BY a.leg, b.leg
) e JOIN legs_l x ON x.leg = e.l JOIN legs_r y ON y.leg = e.r
WHERE x.basis IS NULL OR y.basis IS NULL OR sign(x.basis) = sign(y.basis)
"""

#: Both name the same kind of identity and never the same one: no level may join them.
CONTRADICTED = """
DELETE FROM {edges} WHERE EXISTS (
    SELECT 1 FROM (
        SELECT e.l, e.r FROM {edges} e
        JOIN ids_l a ON a.leg = e.l JOIN ids_r b ON b.leg = e.r AND b.type = a.type
        GROUP BY e.l, e.r, a.type HAVING NOT bool_or(a.value = b.value)
    ) c WHERE c.l = {edges}.l AND c.r = {edges}.r)
"""

#: Pairs whose normalised references agree, or are one edit apart when long enough. Legs that share
#: an identity with somebody are compared with those only.
RULE_EDGES = """
CREATE TABLE edges AS
WITH soft_l AS (SELECT DISTINCT leg, currency, norm FROM refs_l JOIN single_l USING (leg)
                ANTI JOIN identity_edges i ON i.l = leg
                WHERE length(norm) >= 6 AND list_contains($soft, type)),
     soft_r AS (SELECT DISTINCT leg, currency, norm FROM refs_r JOIN free_r USING (leg)
                ANTI JOIN identity_edges i ON i.r = leg
                WHERE length(norm) >= 6 AND list_contains($soft, type)),
     held_l AS (SELECT *, count(*) OVER (PARTITION BY currency, norm) AS holders FROM soft_l),
     held_r AS (SELECT *, count(*) OVER (PARTITION BY currency, norm) AS holders FROM soft_r),
     equal AS (SELECT a.leg AS l, b.leg AS r, min(a.norm) AS value, min(b.norm) AS other, 0 AS edits
               FROM held_l a JOIN held_r b USING (currency, norm)
               WHERE a.holders <= $cap AND b.holders <= $cap GROUP BY a.leg, b.leg),
     long_l AS (SELECT * FROM held_l s ANTI JOIN equal e ON e.l = s.leg
                WHERE length(norm) BETWEEN 12 AND 64 AND holders <= $cap),
     long_r AS (SELECT * FROM held_r s ANTI JOIN equal e ON e.r = s.leg
                WHERE length(norm) BETWEEN 12 AND 64 AND holders <= $cap),
     cut_l AS (SELECT leg, currency, norm, {cuts} AS cut FROM long_l),
     cut_r AS (SELECT leg, currency, norm, {cuts} AS cut FROM long_r),
     near AS (SELECT a.leg AS l, b.leg AS r, min(a.norm) AS value, min(b.norm) AS other, 1 AS edits
              FROM cut_l a JOIN cut_r b USING (currency, cut)
              WHERE levenshtein(a.norm, b.norm) = 1 GROUP BY a.leg, b.leg),
     identical AS (SELECT l, r, value, value AS other, 0 AS edits FROM identity_edges
                   WHERE NOT exact AND NOT unknown
                   AND l IN (SELECT leg FROM single_l) AND r IN (SELECT leg FROM free_r))
SELECT e.*, x.basis AS left_minor, y.basis AS right_minor, y.basis - x.basis AS diff,
       y.ordinal - x.ordinal AS days, ({fee})::BIGINT AS fee
FROM (SELECT l, r, min(value) AS value, min(other) AS other, min(edits) AS edits
      FROM (FROM equal UNION ALL FROM near UNION ALL FROM identical) GROUP BY l, r) e
JOIN legs_l x ON x.leg = e.l JOIN legs_r y ON y.leg = e.r
WHERE sign(x.basis) = sign(y.basis)
  AND y.ordinal - x.ordinal BETWEEN -$before AND $after
"""

#: A text and all that remains of it without one character: texts one edit apart share one of these.
CUTS = """unnest(list_distinct(list_concat([norm],
          [left(norm, i::INTEGER - 1) || substr(norm, i::INTEGER + 1) FOR i IN range(1, length(norm) + 1)])))"""

#: Which amounts a rule accepts: equal, within tolerance, or what the fee schedule leaves.
RULE_AMOUNTS = """
CREATE TABLE ruled AS
SELECT *, CASE WHEN diff = 0 THEN '' WHEN fee IS NOT NULL AND abs(left_minor - fee - right_minor) <= 1
               THEN 'fee' ELSE 'rounding' END AS variance,
       9900 - 400 * edits
       - CASE WHEN diff = 0 THEN 0
              WHEN fee IS NOT NULL AND abs(left_minor - fee - right_minor) <= 1 THEN 100
              ELSE 200 END AS confidence
FROM edges
WHERE diff = 0 OR abs(diff) <= greatest($tolerance, abs(left_minor) * $tolerance_bp // 10000)
   OR (fee IS NOT NULL AND abs(left_minor - fee - right_minor) <= 1)
"""

#: A charge and the refund that gave all of it back: together they are nothing, to nobody's account.
#: Not a refund that our books know as one of theirs: then each of the two has its counterpart.
REVERSALS = """
CREATE TABLE reversals AS
WITH pairs AS (
    SELECT DISTINCT c.leg AS charge, r.leg AS refund, a.value
    FROM legs_r c JOIN refs_r a ON a.leg = c.leg AND a.type = 'charge' AND a.strong
    JOIN refs_r b ON b.currency = a.currency AND b.type = 'charge' AND b.value = a.value
    JOIN legs_r r ON r.leg = b.leg
    WHERE c.kind = 'charge' AND r.kind = 'refund' AND c.source = r.source
      AND c.basis > 0 AND r.basis = -c.basis
      AND r.leg NOT IN (SELECT r FROM identity_edges))
SELECT charge, refund, any_value(value) AS value FROM pairs
WHERE charge IN (SELECT charge FROM pairs GROUP BY charge HAVING count(DISTINCT refund) = 1)
  AND refund IN (SELECT refund FROM pairs GROUP BY refund HAVING count(DISTINCT charge) = 1)
GROUP BY charge, refund
"""

#: What left legs name as payouts, under every name that they give.
PAYOUT_NAMES = """
CREATE TABLE payout_names AS
SELECT DISTINCT p.leg, p.currency, r.norm FROM legs_l p
JOIN free_l f ON f.leg = p.leg JOIN refs_l r ON r.leg = p.leg
WHERE p.kind = 'payout' AND r.type IN ('payout', 'trace') AND r.norm <> ''
"""

SETTLEMENT_MEMBERS = f"""
CREATE TABLE settlement_members AS
SELECT min(n.leg) AS leg, m.leg AS member, any_value(m.basis) AS basis
FROM (SELECT leg, currency, basis, {NORMALISED.format("batch")} AS norm
      FROM legs_l JOIN free_l USING (leg) WHERE batch <> '' AND kind <> 'payout') m
JOIN payout_names n ON n.currency = m.currency AND n.norm = m.norm
GROUP BY m.leg
"""

#: One row a payout: what its members come to, and what the bank shows under its name.
SETTLEMENTS = """
CREATE TABLE settlements AS
WITH payouts AS (SELECT leg, currency, basis, ordinal FROM legs_l JOIN free_l USING (leg)
                 WHERE kind = 'payout'),
     sums AS (SELECT leg, count(*) AS members, sum(basis)::BIGINT AS total,
                     count(*) FILTER (WHERE basis IS NULL) AS unknown
              FROM settlement_members GROUP BY leg),
     lines AS (SELECT DISTINCT n.leg, b.leg AS line, x.basis FROM payout_names n
               JOIN refs_r b ON b.currency = n.currency AND b.norm = n.norm
               JOIN free_r f ON f.leg = b.leg JOIN legs_r x ON x.leg = b.leg),
     banked AS (SELECT l.leg, count(*) AS lines,
                       min_by(l.line, (abs(l.basis + p.basis), l.line)) AS line
                FROM lines l JOIN payouts p USING (leg) GROUP BY l.leg)
SELECT p.leg, p.basis, p.ordinal, coalesce(s.members, 0) AS members, coalesce(s.total, 0) AS total,
       coalesce(s.unknown, 0) AS unknown, coalesce(b.lines, 0) AS lines, b.line,
       y.basis AS line_basis, y.ordinal - p.ordinal AS days,
       coalesce((SELECT min(value) FROM refs_l r WHERE r.leg = p.leg AND r.type = 'payout'), '') AS name
FROM payouts p LEFT JOIN sums s USING (leg) LEFT JOIN banked b USING (leg)
LEFT JOIN legs_r y ON y.leg = b.line
"""

#: Legs whose soft reference is shared by one leg on one side and a few on the other, which together
#: come to the same: captures in parts, payments in one.
REFERENCE_SUMS = """
CREATE TABLE sums AS
WITH told_l AS (SELECT DISTINCT x.leg, x.currency, r.norm, x.basis, x.ordinal
                FROM refs_l r JOIN free_l USING (leg) JOIN legs_l x ON x.leg = r.leg
                WHERE x.batch = '' AND x.kind <> 'payout' AND length(r.norm) >= 6
                AND list_contains($soft, r.type)
                AND NOT EXISTS (SELECT 1 FROM identity_edges i WHERE i.l = x.leg)),
     told_r AS (SELECT DISTINCT x.leg, x.currency, r.norm, x.basis, x.ordinal
                FROM refs_r r JOIN free_r USING (leg) JOIN legs_r x ON x.leg = r.leg
                WHERE length(r.norm) >= 6 AND list_contains($soft, r.type)
                AND NOT EXISTS (SELECT 1 FROM identity_edges i WHERE i.r = x.leg)),
     group_l AS (SELECT currency, norm, count(*) AS legs, sum(basis) AS total, list(leg ORDER BY leg) AS l,
                 min(ordinal) AS first, max(ordinal) AS last, count(DISTINCT sign(basis)) AS signs
                 FROM told_l GROUP BY currency, norm HAVING count(*) <= $most),
     group_r AS (SELECT currency, norm, count(*) AS legs, sum(basis) AS total, list(leg ORDER BY leg) AS r,
                 min(ordinal) AS first, max(ordinal) AS last, count(DISTINCT sign(basis)) AS signs
                 FROM told_r GROUP BY currency, norm HAVING count(*) <= $most),
     found AS MATERIALIZED (
               SELECT row_number() OVER (ORDER BY a.l, b.r) AS id, a.norm, a.l, b.r,
               b.last - a.first AS days, a.total::BIGINT AS total
               FROM group_l a JOIN group_r b USING (currency, norm)
               WHERE a.total = b.total AND a.legs + b.legs > 2 AND least(a.legs, b.legs) = 1
               AND a.signs = 1 AND b.signs = 1
               AND b.last - a.first <= $after AND b.first - a.last >= -$before),
     crowded AS (SELECT id FROM (SELECT id, count(*) OVER (PARTITION BY leg) AS claims
                                 FROM (SELECT id, unnest(l) AS leg FROM found)) WHERE claims > 1
                 UNION ALL
                 SELECT id FROM (SELECT id, count(*) OVER (PARTITION BY leg) AS claims
                                 FROM (SELECT id, unnest(r) AS leg FROM found)) WHERE claims > 1)
SELECT * FROM found ANTI JOIN crowded USING (id)
"""

#: Legs that level 4 looks at, with what its blocks are made of.
PROBABLE_LEGS = """
CREATE TABLE probable_{side} AS
WITH free AS (SELECT x.leg, x.currency, x.basis, x.ordinal, lower(x.name) AS name
              FROM legs_{side} x JOIN free_{side} USING (leg)
              ANTI JOIN identity_edges e ON e.{side} = x.leg
              WHERE x.basis <> 0 {only}),
     crowds AS (SELECT currency, basis, count(*) AS crowd FROM free GROUP BY currency, basis)
SELECT free.*, crowds.crowd FROM free JOIN crowds USING (currency, basis)
"""

#: Pairs that agree in amount and nearly in day, with what their references and names say.
#: Blocks: an amount that few have; an amount and a name; an amount and a reference's beginning or
#: end. Weights in basis points; `reference` is 2 for a part of the other, 1 for two edits, -1 for
#: another; a reference that only one side has speaks against the pair.
PROBABLE_EDGES = """
CREATE TABLE edges AS
WITH said_l AS (SELECT p.leg, p.currency, p.basis, r.norm FROM probable_l p JOIN refs_l r ON r.leg = p.leg
                WHERE length(r.norm) >= 6 AND list_contains($soft, r.type)),
     said_r AS (SELECT p.leg, p.currency, p.basis, r.norm FROM probable_r p JOIN refs_r r ON r.leg = p.leg
                WHERE length(r.norm) >= 6 AND list_contains($soft, r.type)),
     blocks AS (
       SELECT a.leg AS l, b.leg AS r FROM probable_l a
       JOIN probable_r b ON a.currency = b.currency AND a.basis = b.basis
       WHERE a.crowd <= $cap AND b.crowd <= $cap
       UNION
       SELECT a.leg, b.leg FROM probable_l a
       JOIN probable_r b ON a.currency = b.currency AND a.basis = b.basis AND a.name = b.name
       WHERE a.name <> ''
       UNION
       SELECT a.leg, b.leg FROM said_l a
       JOIN said_r b ON a.currency = b.currency AND a.basis = b.basis AND left(a.norm, 6) = left(b.norm, 6)
       UNION
       SELECT a.leg, b.leg FROM said_l a
       JOIN said_r b ON a.currency = b.currency AND a.basis = b.basis AND right(a.norm, 6) = right(b.norm, 6)),
     near AS (SELECT k.l, k.r, b.ordinal - a.ordinal AS days, a.name AS ours, b.name AS theirs,
              row_number() OVER (PARTITION BY k.l ORDER BY abs(b.ordinal - a.ordinal), k.r) AS position_l,
              row_number() OVER (PARTITION BY k.r ORDER BY abs(b.ordinal - a.ordinal), k.l) AS position_r
              FROM blocks k JOIN probable_l a ON a.leg = k.l JOIN probable_r b ON b.leg = k.r
              WHERE b.ordinal - a.ordinal BETWEEN -$before AND $after),
     kept AS (SELECT *, CASE WHEN ours = '' OR theirs = '' THEN -1 WHEN ours = theirs THEN 1000
                        ELSE (jaro_winkler_similarity(ours, theirs) * 1000)::INTEGER END AS alike
              FROM near WHERE position_l <= $cap AND position_r <= $cap),
     told AS (SELECT k.l, k.r,
              max(CASE WHEN contains(a.norm, b.norm) OR contains(b.norm, a.norm) THEN 2
                       WHEN least(length(a.norm), length(b.norm)) >= 12 AND levenshtein(a.norm, b.norm) <= 2 THEN 1
                       ELSE -1 END) AS reference,
              arg_max(a.norm, length(a.norm)) AS value, arg_max(b.norm, length(b.norm)) AS other
              FROM kept k JOIN said_l a ON a.leg = k.l JOIN said_r b ON b.leg = k.r GROUP BY k.l, k.r)
SELECT k.l, k.r, k.days, coalesce(t.reference, 0) AS reference, coalesce(t.value, '') AS value,
       coalesce(t.other, '') AS other,
       5000
       + CASE coalesce(t.reference, 0) WHEN 2 THEN 3000 WHEN 1 THEN 2000 WHEN -1 THEN -2500 ELSE 0 END
       + CASE WHEN k.alike < 0 THEN 0 WHEN k.alike >= 950 THEN 1500 WHEN k.alike >= 880 THEN 1000
              WHEN k.alike >= 750 THEN 0 ELSE -1500 END
       + CASE WHEN (sl.leg IS NULL) <> (sr.leg IS NULL) THEN -1000 ELSE 0 END
       + greatest(0, 1000 - 200 * abs(k.days)) AS score
FROM kept k LEFT JOIN told t USING (l, r)
LEFT JOIN (SELECT DISTINCT leg FROM said_l) sl ON sl.leg = k.l
LEFT JOIN (SELECT DISTINCT leg FROM said_r) sr ON sr.leg = k.r
"""

#: Of level 4's edges: the best cost of each leg, and which legs have it twice.
PROBABLE_TIES = """
CREATE TABLE ties AS
WITH ranked AS (SELECT l, r, cost, min(cost) OVER (PARTITION BY l) AS best_l,
                min(cost) OVER (PARTITION BY r) AS best_r FROM probable),
     tied_l AS (SELECT l FROM ranked WHERE cost = best_l GROUP BY l HAVING count(*) > 1),
     tied_r AS (SELECT r FROM ranked WHERE cost = best_r GROUP BY r HAVING count(*) > 1)
SELECT l, NULL::BIGINT AS r FROM tied_l
UNION SELECT k.l, NULL FROM ranked k JOIN tied_r USING (r) WHERE k.cost = k.best_l
UNION ALL SELECT NULL, r FROM tied_r
"""

#: What each chosen pair's legs had elsewhere, among all edges.
PROBABLE_RIVALS = """
CREATE TABLE rivals AS
SELECT l, r, min(cost) AS rival_cost, arg_min(rival, cost) AS rival FROM (
    SELECT c.l, c.r, e.cost, e.r AS rival FROM chosen c JOIN probable e ON e.l = c.l AND e.r <> c.r
    UNION ALL
    SELECT c.l, c.r, e.cost, NULL FROM chosen c JOIN probable e ON e.r = c.r AND e.l <> c.l)
GROUP BY l, r
"""
