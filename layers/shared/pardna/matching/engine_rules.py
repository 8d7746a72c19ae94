# ruff: noqa: S608  (statements are built from names and integers of ours; values are parameters)
"""Level 2: a reference that agrees once written alike, or is one edit away; amounts by rule."""

from __future__ import annotations

from pardna.matching.engine_base import DECIDED, SIDES, Engine
from pardna.matching.engine_identity import drop_contradicted

#: References that may be compared: of legs that are open and share no identity with anybody (those
#: are compared with their own only), and not of too many legs. First by hash, which is cheap.
_SOFT = """
CREATE TABLE told_{side} AS
SELECT leg, id, source, basis, ordinal, currency, norm FROM soft_{side}
WHERE single AND is_open_{side}(leg) AND (leg IN (SELECT {side} FROM identity_edges)) IS NOT TRUE
"""
_CROWDED = """
SELECT currency, norm FROM told_{side} WHERE hash(currency, norm) IN (
    SELECT hash(currency, norm) FROM told_{side} GROUP BY ALL HAVING count(*) > $cap)
GROUP BY ALL HAVING count(DISTINCT leg) > $cap
"""
_CARRIED = """a.leg AS l, b.leg AS r, a.id AS left_id, b.id AS right_id, a.currency AS currency,
       a.basis AS left_minor, b.basis AS right_minor, (b.ordinal - a.ordinal)::INTEGER AS days,
       b.source AS right_source, a.norm AS value, b.norm AS other"""

_EQUAL = f"""
CREATE TABLE equal AS SELECT {_CARRIED}, 0 AS edits FROM told_l a JOIN told_r b USING (currency, norm)
"""

#: References long enough for one edit, of legs whose reference nobody repeats as it is. A text
#: that is one edit from another shares its first or its last half with it (halves of the shorter).
_LONG = """
CREATE TABLE long_{side} AS
FROM told_{side} ANTI JOIN equal e ON e.{side} = leg WHERE length(norm) BETWEEN 12 AND 64
"""
_HALVES = """
CREATE TABLE halves_{side} AS
SELECT leg, norm, unnest([hash(currency, k, left(norm, k)), hash(currency, -k, right(norm, k))]) AS part
FROM (SELECT leg, currency, norm,
             unnest(list_distinct([length(norm) // 2, (length(norm) - 1) // 2]))::INTEGER AS k
      FROM long_{side})
"""
#: Halves that many share (a year, a customer's number) would pair everybody with everybody: those
#: texts are compared by all that remains of them without one character instead.
_BUSY = """
CREATE TABLE busy AS SELECT DISTINCT part FROM (
    SELECT part FROM halves_l GROUP BY part HAVING count(*) > $cap
    UNION ALL SELECT part FROM halves_r GROUP BY part HAVING count(*) > $cap)
"""
_CUTS = """
CREATE TABLE cuts_{side} AS
SELECT leg, norm, hash(currency, CASE WHEN i = 0 THEN norm
                                 ELSE left(norm, i - 1) || substr(norm, i + 1) END) AS part
FROM (SELECT leg, currency, norm, unnest(range(0, length(norm) + 1))::INTEGER AS i
      FROM long_{side} WHERE leg IN (SELECT leg FROM halves_{side} SEMI JOIN busy USING (part)))
"""
#: Where one character is taken for another that looks like it, shorter references are told apart
#: still: O and 0, I or L and 1, S and 5, Z and 2, B and 8, G and 6.
READ_ALIKE = "translate({0}, 'OILSZBG', '0115286')"
_ALIKE = f"""
CREATE TABLE alike_{{side}} AS SELECT *, {READ_ALIKE.format("norm")} AS read
FROM told_{{side}} ANTI JOIN equal e ON e.{{side}} = leg WHERE length(norm) BETWEEN 8 AND 11
QUALIFY count(*) OVER (PARTITION BY currency, read) <= $cap
"""
_NEAR = f"""
CREATE TABLE near AS SELECT {_CARRIED}, 1 AS edits
FROM (SELECT DISTINCT l, r, ours, theirs FROM (
        SELECT a.leg AS l, b.leg AS r, a.norm AS ours, b.norm AS theirs
        FROM (FROM halves_l ANTI JOIN busy USING (part)) a JOIN halves_r b USING (part)
        WHERE levenshtein(a.norm, b.norm) = 1
        UNION ALL
        SELECT a.leg, b.leg, a.norm, b.norm FROM cuts_l a JOIN cuts_r b USING (part)
        WHERE levenshtein(a.norm, b.norm) = 1)) n
JOIN long_l a ON a.leg = n.l AND a.norm = n.ours JOIN long_r b ON b.leg = n.r AND b.norm = n.theirs
WHERE a.currency = b.currency
UNION ALL
SELECT {_CARRIED}, 1 FROM alike_l a JOIN alike_r b USING (currency, read)
WHERE length(a.norm) = length(b.norm) AND levenshtein(a.norm, b.norm) = 1
"""

#: Pairs that share an identity, but not the amount: a fee may be between them.
_OTHER_AMOUNTS = """
SELECT l, r, e.left_id, e.right_id, e.currency, left_minor, right_minor, days,
       y.source AS right_source, value, value AS other, 0 AS edits
FROM identity_edges e JOIN rest_l x ON x.leg = l JOIN rest_r y ON y.leg = r
WHERE NOT exact AND NOT unknown AND x.single
  AND is_open_l(l) AND is_open_r(r)
"""

#: Which amounts a rule accepts: equal, within tolerance, or what the fee schedule leaves.
_RULED = """
INSERT INTO ruled BY NAME
SELECT l, r, left_id, right_id, currency, left_minor, right_minor, days, edits, confidence, variance,
       value, CASE WHEN edits > 0 THEN other END AS other,
       (10000 - confidence) * 1000 + abs(days) AS cost FROM (
  SELECT *, CASE WHEN diff = 0 THEN '' WHEN by_fee THEN 'fee' ELSE 'rounding' END AS variance,
         9900 - 400 * edits - CASE WHEN diff = 0 THEN 0 WHEN by_fee THEN 100 ELSE 200 END AS confidence
  FROM (SELECT *, right_minor - left_minor AS diff,
               CASE WHEN left_minor = right_minor THEN false
                    ELSE coalesce(abs(left_minor - ({fee})::HUGEINT - right_minor) <= 1, false) END AS by_fee
        FROM ({pairs})
        WHERE sign(left_minor) = sign(right_minor) AND {within})
  WHERE diff = 0 OR by_fee OR abs(diff) <= greatest($tolerance, abs(left_minor::HUGEINT) * $tolerance_bp // 10000))
"""

#: Legs with several references can be the same pair more than once: the best of them, once.
_ONCE = """
CREATE OR REPLACE TABLE ruled AS SELECT * EXCLUDE (place) FROM (
  SELECT *, row_number() OVER (PARTITION BY l, r ORDER BY cost, value, other) AS place FROM ruled)
WHERE place = 1
"""


def level_2(engine: Engine) -> None:
    """A normalised reference agrees, or is one edit away; the amount is within tolerance.

    Leaves in ``ruled`` the pairs whose legs had no other; what was chosen among others is in
    ``decided``, with its rival.
    """
    con = engine.con
    if not _pairs(engine):
        return
    if engine.number("SELECT count(*) - count(DISTINCT (l, r)) FROM ruled"):
        con.execute(_ONCE)
    drop_contradicted(engine, "ruled")
    engine.choose("ruled")
    con.execute(
        f"INSERT INTO {DECIDED} SELECT l, r, left_id, right_id, currency, left_minor, right_minor,"
        " days, 2, CASE WHEN edits = 0 THEN 'reference' ELSE 'reference_one_edit' END, confidence,"
        " variance, 'reference', value, other, c.rival, (c.rival_cost - c.cost) // 1000"
        " FROM ruled e JOIN (FROM chosen WHERE NOT contested) c USING (l, r)"
    )
    con.execute(
        "INSERT INTO findings SELECT 'AMBIGUOUS', 'ambiguous', l, NULL, e.value, NULL, NULL"
        " FROM chosen c JOIN ruled e USING (l, r) WHERE c.contested"
    )
    con.execute("DELETE FROM ruled WHERE l IN (FROM shared_l) OR r IN (FROM shared_r)")
    engine.drop_closed("ruled")


def _pairs(engine: Engine) -> bool:
    """Fill ``ruled``. Whether anything could be in it: where a side has no reference left and no
    identity came with another amount, nothing is looked for."""
    cap = {"cap": engine.own.candidates_max}
    _tell(engine, cap)
    engine.con.execute(_EQUAL)
    if all(engine.both("SELECT count(*) FROM told_{side}").values()):
        engine.both(_LONG, _HALVES, (_ALIKE, cap))
        cuts = [_CUTS.format(side=side) for side in SIDES]
        same = _ruled(engine, f"FROM equal UNION ALL ({_OTHER_AMOUNTS})")
        engine.at_once((same,), ((_BUSY, cap), *cuts, _NEAR))
        engine.con.execute(*_ruled(engine, "FROM near"))
        return True
    if engine.number("SELECT count(*) FROM identity_edges WHERE NOT exact AND NOT unknown"):
        engine.con.execute(*_ruled(engine, _OTHER_AMOUNTS))
        return True
    return False


def _ruled(engine: Engine, pairs: str) -> tuple[str, dict[str, int]]:
    own = engine.own
    return (
        _RULED.format(fee=_fee_sql(engine), pairs=pairs, within=engine.within("l", "r", "days")),
        {
            "tolerance": own.tolerance_minor,
            "tolerance_bp": own.tolerance_bp,
        },
    )


def _tell(engine: Engine, cap: dict[str, int]) -> None:
    """``told_*``: references to compare, without those that too many legs share."""
    crowds = 0
    busy = "CREATE TABLE busy_references_{side} AS " + _CROWDED
    for side, found in engine.both(_SOFT, (busy, cap)).items():
        engine.cap(f"references_shared_by_too_many_{side}", found)
        crowds += found
    if crowds:
        engine.both(
            "CREATE OR REPLACE TABLE told_{side} AS FROM told_{side}"
            " ANTI JOIN busy_references_{side} USING (currency, norm)"
        )


def _fee_sql(engine: Engine) -> str:
    """The fee that a schedule predicts for the left amount, as an expression; NULL without one."""
    cases = []
    for schedule in engine.own.fees:
        if schedule.currency not in engine.currencies:
            continue
        tiers = " ".join(
            (f"WHEN left_minor <= {t.up_to_minor} " if t.up_to_minor else "WHEN true ")
            + f"THEN (left_minor::HUGEINT * {t.bp} + 5000) // 10000 + {t.flat_minor}"
            for t in schedule.tiers
        )
        source = schedule.source.replace("'", "''")
        only = f" AND right_source = '{source}'" if source else ""
        currency = "".join(c for c in schedule.currency if c.isalnum())
        cases.append(
            f"WHEN currency = '{currency}'{only} AND left_minor > 0 THEN "
            f"greatest(CASE {tiers} ELSE 0 END, {schedule.minimum_minor})"
        )
    return f"CASE {' '.join(cases)} END" if cases else "NULL"
