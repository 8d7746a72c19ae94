"""Truth first: what happened, then what two sides say of it, then the answer key.

``generate(con, rows, seed, folder)`` writes ``left.parquet``, ``right.parquet`` (about `rows` rows
each) and ``key.parquet``; ``generate_shards`` writes a million rows in each of several currencies,
``left-JMD.parquet`` and so on. Deterministic: every choice is a hash of the seed and the row's number.

Cases (in thousandths of the truth): clean identity 505; reference written differently 130; one
character wrong 45; net of a fee, in four schedules 60; lump settlements with refunds and disputes
inside 90; captures in parts 15; truncated reference 25; no reference, but a name 20; charged
twice 8; wrong amount 12; wrong currency 5; far too late 5; missing right 15; missing left 10;
look-alikes that nobody can resolve 55 (pairs and triples of the same amount, day and name).
"""

from __future__ import annotations

from pathlib import Path

import duckdb

CASES = (
    ("clean", 505), ("rewritten", 130), ("one_edit", 45), ("fee", 60), ("lump", 90),
    ("parts", 15), ("truncated", 25), ("named", 20), ("twice", 8), ("amount", 12),
    ("currency", 5), ("late", 5), ("no_right", 15), ("no_left", 10), ("lookalike", 55),
)  # fmt: skip
LUMP = 20
FIRST_DAY = "2026-01-05"
CURRENCIES = ("JMD", "TTD", "BBD", "GYD", "XCD", "BSD", "BZD", "HTG", "SRD", "KYD")
OTHER_CURRENCY = "USD"

#: By source of the right side: basis points, flat, minimum, tier up to which 100 bp more are kept.
FEES = {"p:1": (290, 3000, 0, 0), "p:2": (0, 5000, 0, 0), "p:3": (150, 0, 2500, 0), "p:4": (250, 1000, 0, 500_000)}  # fmt: skip

_GIVEN = "['Avis','Beres','Carlene','Delroy','Errol','Faith','Garnet','Hyacinth','Icilda','Junior','Keisha','Lloyd','Marva','Neville','Olive','Pauline','Rohan','Sonia','Trevor','Una']"
_FAMILY = "['Brown','Campbell','Clarke','Davis','Edwards','Francis','Gordon','Grant','Henry','James','Johnson','Lewis','Morgan','Palmer','Reid','Robinson','Smith','Stewart','Thompson','Williams','Wright','Young']"


def _pick(name: str, size: int, seed: int) -> str:
    """A number below `size`, independent for each name (DuckDB's own hash is not)."""
    return f"(md5_number_lower('{seed}/{name}/' || i) % {size})::BIGINT"


def _truth(rows: int, seed: int, first: int) -> str:
    """One row a movement: its case, amount, day, names, references."""
    bounds, total = [], 0
    for name, share in CASES:
        total += share
        bounds.append(f"WHEN h < {total} THEN '{name}'")

    def pick(name: str, size: int) -> str:
        return _pick(name, size, seed)

    return f"""
CREATE TABLE truth AS
SELECT *, CASE {" ".join(bounds)} END AS "case" FROM (
  SELECT i, {pick("case", 1000)} AS h,
    (CASE WHEN {pick("round", 4)} = 0 THEN ({pick("amount", 40)} + 1) * 50000
          ELSE {pick("amount", 9_900_000)} + 10000 END) AS amount,
    DATE '{FIRST_DAY}' + {pick("day", 28)}::INTEGER AS day,
    (CASE {pick("lag", 6)} WHEN 0 THEN 0 WHEN 1 THEN 1 WHEN 2 THEN 1 ELSE 0 END)::INTEGER AS lag,
    {_GIVEN}[1 + {pick("given", 20)}] || ' ' || {_FAMILY}[1 + {pick("family", 22)}] AS name,
    'E2E' || upper(substr(md5('{seed}e' || i), 1, 14)) AS e2e,
    'INV-' || upper(substr(md5('{seed}r' || i), 1, 6)) || '-' || upper(substr(md5('{seed}s' || i), 1, 8)) AS ref,
    'p:' || (1 + {pick("source", 4)}) AS source,
    {pick("edit", 17)} AS edit, {pick("style", 4)} AS style, {pick("part", 80)} + 10 AS part
  FROM range({first}, {first + rows}) t(i))
"""


_FEE = (
    "CASE source "
    + " ".join(
        f"WHEN '{source}' THEN greatest((amount * {bp} + 5000) // 10000 + {flat}"
        + (
            f" + CASE WHEN amount <= {tier} THEN (amount * 100 + 5000) // 10000 ELSE 0 END"
            if tier
            else ""
        )
        + f", {minimum})"
        for source, (bp, flat, minimum, tier) in FEES.items()
    )
    + " END"
)

_STRONG = "[{'type': 'end_to_end', 'value': e2e, 'strong': true}]"
_NONE = "[]::STRUCT(type VARCHAR, value VARCHAR, strong BOOLEAN)[]"


def _weak(text: str) -> str:
    return f"[{{'type': 'payment_reference', 'value': {text}, 'strong': false}}]"


_GARBLED = (
    "CASE style WHEN 0 THEN lower(ref) WHEN 1 THEN replace(ref, '-', ' ')"
    " WHEN 2 THEN replace(ref, '-', '/') ELSE replace(ref, '-', '') END"
)
#: One character of the reference is another one, the position chosen by the truth.
_EDITED = (
    "left(replace(ref, '-', ''), edit::INTEGER) || CASE WHEN substr(replace(ref, '-', ''),"
    " edit::INTEGER + 1, 1) = 'X' THEN 'Y' ELSE 'X' END || substr(replace(ref, '-', ''), edit::INTEGER + 2)"
)
_COLUMNS = "id, source, kind, amount_minor::BIGINT AS amount_minor, currency, day, batch, name, account, refs"


def _sides(currency: str) -> tuple[str, str]:
    """What each side says."""
    singles = "('clean','rewritten','one_edit','fee','parts','truncated','named','twice','amount','currency','late','no_right','lookalike')"
    left = f"""
CREATE TABLE left_side AS
SELECT 'L' || i AS id, 'ledger:main' AS source, 'charge' AS kind, amount AS amount_minor,
       '{currency}' AS currency, day, '' AS batch, name, '' AS account,
       CASE WHEN "case" IN ('clean','twice','amount','currency','late') THEN {_STRONG}
            WHEN "case" IN ('named','lookalike') THEN {_NONE} ELSE {_weak("ref")} END AS refs
FROM truth WHERE "case" IN {singles}
UNION ALL
SELECT 'L' || i, 'psp:lump', CASE WHEN i % 11 = 0 THEN 'refund' WHEN i % 17 = 0 THEN 'dispute' ELSE 'charge' END,
       CASE WHEN i % 11 = 0 OR i % 17 = 0 THEN -(amount // 10) ELSE amount - {_FEE} END, '{currency}', day,
       batch, '', '', {_NONE}
FROM lumps
UNION ALL
SELECT 'LP' || batch, 'psp:lump', 'payout', -sum(CASE WHEN i % 11 = 0 OR i % 17 = 0 THEN -(amount // 10) ELSE amount - {_FEE} END),
       '{currency}', max(day), '', '', '', [{{'type': 'payout', 'value': batch, 'strong': true}}]
FROM lumps GROUP BY batch
"""
    right = f"""
CREATE TABLE right_side AS
SELECT 'R' || i AS id, source, 'transfer' AS kind,
       CASE "case" WHEN 'fee' THEN amount - {_FEE} WHEN 'amount' THEN amount + 100 + edit ELSE amount END AS amount_minor,
       CASE "case" WHEN 'currency' THEN 'USD' ELSE '{currency}' END AS currency,
       day + CASE "case" WHEN 'late' THEN 120 WHEN 'lookalike' THEN 0 ELSE lag END AS day, '' AS batch,
       CASE WHEN style = 0 THEN upper(name) WHEN style = 1 AND "case" <> 'named' THEN '' ELSE name END AS name, '' AS account,
       CASE WHEN "case" IN ('clean','twice','amount','currency','late') THEN {_STRONG}
            WHEN "case" IN ('rewritten','fee') THEN {_weak(_GARBLED)}
            WHEN "case" = 'one_edit' THEN {_weak(_EDITED)}
            WHEN "case" = 'truncated' THEN {_weak("left(replace(ref, '-', ''), 10)")}
            WHEN "case" IN ('named','lookalike') THEN {_NONE} ELSE {_weak("ref")} END AS refs
FROM truth WHERE "case" NOT IN ('lump','no_right','parts')
UNION ALL
SELECT 'R' || i || 'b', source, 'transfer', amount, '{currency}', day + lag + 1, '', name, '', {_STRONG}
FROM truth WHERE "case" = 'twice'
UNION ALL
SELECT 'R' || i || 'a', source, 'transfer', amount * part // 100, '{currency}', day, '', name, '', {_weak("ref")}
FROM truth WHERE "case" = 'parts'
UNION ALL
SELECT 'R' || i || 'b', source, 'transfer', amount - amount * part // 100, '{currency}', day + lag, '', name, '', {_weak("ref")}
FROM truth WHERE "case" = 'parts'
UNION ALL
SELECT 'RP' || batch, 'bank:main', 'transfer', sum(CASE WHEN i % 11 = 0 OR i % 17 = 0 THEN -(amount // 10) ELSE amount - {_FEE} END),
       '{currency}', max(day) + 1, '', '', '', [{{'type': 'payout', 'value': batch, 'strong': false}}]
FROM lumps GROUP BY batch
"""
    return left, right


#: kind 'match': (l, r) is true. 'break': the leg must end in a break of one of these classes.
#: 'unresolvable': must not be decided by a machine.
_KEY = """
CREATE TABLE key AS
SELECT 'match' AS kind, "case", 'L' || i AS l, 'R' || i AS r, '' AS class, 2 AS legs FROM truth
WHERE "case" IN ('clean','rewritten','one_edit','fee','truncated','named','twice')
UNION ALL SELECT 'match', 'parts', 'L' || i, 'R' || i || 'a', '', 3 FROM truth WHERE "case" = 'parts'
UNION ALL SELECT 'match', 'lump', 'LP' || batch, 'RP' || batch, '', count(*) + 2 FROM lumps GROUP BY batch
UNION ALL SELECT 'break', 'twice', NULL, 'R' || i || 'b', 'DUPLICATE', 1 FROM truth WHERE "case" = 'twice'
UNION ALL SELECT 'break', "case", 'L' || i, 'R' || i, CASE "case" WHEN 'amount' THEN 'AMOUNT_MISMATCH' ELSE 'TIMING' END, 2
FROM truth WHERE "case" IN ('amount','late')
UNION ALL SELECT 'break', "case", 'L' || i, NULL, 'MISSING_BANK', 1 FROM truth WHERE "case" IN ('no_right','currency')
UNION ALL SELECT 'break', "case", NULL, 'R' || i, 'MISSING_INTERNAL', 1 FROM truth WHERE "case" IN ('no_left','currency')
UNION ALL SELECT 'unresolvable', "case", 'L' || i, 'R' || i, 'AMBIGUOUS', 2 FROM truth WHERE "case" = 'lookalike'
"""


def generate(
    con: duckdb.DuckDBPyConnection,
    rows: int,
    seed: int,
    folder: Path,
    currency: str = "JMD",
    first: int = 0,
    suffix: str = "",
) -> None:
    """Write the three files into `folder`; the same numbers give the same files."""
    folder.mkdir(parents=True, exist_ok=True)
    con.execute(_truth(rows, seed, first))
    # Look-alikes: three in a row share amount, day and name, and carry no reference.
    con.execute(
        """UPDATE truth SET amount = t.amount, day = t.day, name = t.name FROM (
           SELECT i, first_value(amount) OVER w AS amount, first_value(day) OVER w AS day,
                  first_value(name) OVER w AS name
           FROM (SELECT i, amount, day, name, (row_number() OVER (ORDER BY i) - 1) // 3 AS trio
                 FROM truth WHERE "case" = 'lookalike')
           WINDOW w AS (PARTITION BY trio ORDER BY i)) t
           WHERE truth.i = t.i"""
    )
    con.execute(
        f"""CREATE TABLE lumps AS SELECT *, 'po_' || upper(substr(md5('{seed}b' || (number + {first})), 1, 14)) AS batch
            FROM (SELECT *, (row_number() OVER (ORDER BY i) - 1) // {LUMP} AS number
                  FROM truth WHERE "case" = 'lump')"""
    )
    for statement in (*_sides(currency), _KEY):
        con.execute(statement)
    for table, name in (("left_side", "left"), ("right_side", "right"), ("key", "key")):
        order = "id" if table != "key" else "coalesce(l, r)"
        columns = _COLUMNS if table != "key" else "*"
        query = f"SELECT {columns} FROM {table} ORDER BY hash({order}, {seed})"
        if suffix and table == "right_side":
            # What shows the wrong currency belongs to that currency's shard.
            for own, where in ((suffix, "="), (f"-{OTHER_CURRENCY}{suffix}", "<>")):
                chosen = query.replace("ORDER BY", f"WHERE currency {where} '{currency}' ORDER BY")
                _copy(con, chosen, folder / f"{name}{own}.parquet")
        else:
            _copy(con, query, folder / f"{name}{suffix}.parquet")
    for table in ("truth", "lumps", "left_side", "right_side", "key"):
        con.execute(f"DROP TABLE {table}")


def _copy(con: duckdb.DuckDBPyConnection, query: str, path: Path) -> None:
    con.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet)")


def generate_shards(
    con: duckdb.DuckDBPyConnection, rows: int, seed: int, folder: Path
) -> tuple[str, ...]:
    """Write `rows` in equal parts of each of `CURRENCIES`; returns the currencies that there are.

    A currency's legs never match another's, so its files are a shard: no candidate pair is cut.
    """
    part = rows // len(CURRENCIES)
    for number, currency in enumerate(CURRENCIES):
        generate(con, part, seed, folder, currency, number * part, f"-{currency}")
    _copy(
        con,
        f"SELECT * FROM '{folder}/left-{CURRENCIES[0]}.parquet' LIMIT 0",
        folder / f"left-{OTHER_CURRENCY}.parquet",
    )
    return (*CURRENCIES, OTHER_CURRENCY)
