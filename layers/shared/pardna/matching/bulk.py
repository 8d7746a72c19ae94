# ruff: noqa: S608  (statements are built from names and paths of ours; values are parameters)
"""The engine over whole files: Parquet in, Parquet out, nothing in Python's memory.

Input columns: ``id, source, kind, amount_minor, currency, day, batch, name, account`` and ``refs``,
a list of ``{type, value, strong}``. Output: ``matches.parquet`` (with members, level, confidence,
rule, explanation), ``breaks.parquet`` (with class and reason), ``waiting.parquet``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from itertools import accumulate
from pathlib import Path

import duckdb

from pardna.matching.csv_safe import harmless_copy
from pardna.matching.engine import STEPS
from pardna.matching.engine_base import SIDES, Engine
from pardna.matching.model import Pair
from pardna.matching.rules import Rules

_RAW = """
CREATE VIEW raw_{side} AS
SELECT {leg} AS leg, id, source, kind, amount_minor::BIGINT AS basis, currency, day, coalesce(batch, '') AS batch,
       coalesce(name, '') AS name, coalesce(account, '') AS account, refs FROM {source}
"""

#: Business days apart, in words, as `identity.distance` has it.
_APART = """CASE WHEN d.days = 0 THEN 'on the same day' ELSE abs(d.days) || ' business day'
 || CASE WHEN abs(d.days) > 1 THEN 's ' ELSE ' ' END
 || CASE WHEN d.days > 0 THEN 'later' ELSE 'earlier' END || ' on the other side' END"""

#: Why, in a sentence. What it speaks of (references, amounts, days, names) stands beside it.
_SENTENCE = f"""CASE d.rule
 WHEN 'identity' THEN 'Both carry the same ' || d.type || ' and the same amount, ' || {_APART} || '.'
 WHEN 'settlement' THEN 'The payout settles these movements, whose net amounts come to it: difference 0; the other side shows the same amount.'
 WHEN 'group' THEN 'These movements of one counterparty come to the same on both sides, and no other set of them does. Only a person may confirm it.'
 WHEN 'reference_sum' THEN 'Movements under one reference come to the same on both sides.'
 WHEN 'probable' THEN 'The same amount, ' || {_APART}
   || CASE d.type WHEN '' THEN '; no reference is shared' ELSE '; the references share a part' END
   || CASE WHEN d.proposed THEN '. Only a person may confirm it.' ELSE '.' END
 ELSE CASE d.rule WHEN 'reference' THEN 'Both carry the same reference, '
           ELSE 'The references differ in one character, ' END
   || CASE d.variance WHEN '' THEN 'the same amount, ' WHEN 'fee' THEN 'amounts that differ by what the fee schedule keeps, '
           ELSE 'amounts within tolerance, ' END || {_APART} || '.' END"""

_ROW = """d.level, d.rule, d.confidence AS confidence_bp,
        CASE WHEN d.proposed THEN 'proposed' ELSE 'matched' END AS status,
        d.left_id, d.right_id, d.left_minor, d.right_minor, d.currency,
        CASE d.level WHEN 3 THEN 0 ELSE d.left_minor - d.right_minor END AS variance_minor, d.variance AS variance_kind,
        d.days AS business_days, d.type AS reference_type, d.value AS reference,
        d.other AS other_reference, d.left_name, d.right_name, d.margin AS margin_bp"""

_REVERSED = "The charge was given back in full: together they are nothing."
#: Few sentences say why a million matches are what they are: each is made once.
_STORIES = (
    f"""CREATE OR REPLACE TABLE sentences AS SELECT *, {_SENTENCE} AS explanation
FROM (SELECT DISTINCT rule, type, variance, days, proposed FROM decisions) d""",
    "DROP TYPE IF EXISTS sentence",
    f"CREATE TYPE sentence AS ENUM (SELECT explanation FROM sentences UNION SELECT '{_REVERSED}')",
    """CREATE OR REPLACE TABLE sentences AS SELECT * REPLACE (explanation::sentence AS explanation)
FROM sentences""",
)

#: A charge and the refund that gave it back are a match of their own side.
_MATCHES = f"""
COPY (SELECT {_ROW}, e.explanation, NULL AS runner_up, NULL::VARCHAR[] AS more_members
      FROM decisions d JOIN sentences e USING (rule, type, variance, days, proposed) WHERE d.level <> 3 AND d.rival IS NULL
      UNION ALL
      SELECT {_ROW}, e.explanation, rival.id, m.members
      FROM (FROM decisions WHERE level = 3 OR rival IS NOT NULL) d
      JOIN sentences e USING (rule, type, variance, days, proposed)
      LEFT JOIN rest_r rival ON rival.leg = d.rival
      LEFT JOIN (SELECT l, list(id ORDER BY id) AS members FROM (
          SELECT s.leg AS l, x.id FROM settlement_members s JOIN rest_l x ON x.leg = s.member
          UNION ALL SELECT e.l, x.id FROM extra_members e JOIN rest_l x ON e.side = 'l' AND x.leg = e.leg
          UNION ALL SELECT e.l, x.id FROM extra_members e JOIN rest_r x ON e.side = 'r' AND x.leg = e.leg
      ) GROUP BY l) m ON m.l = d.l AND d.level = 3
      UNION ALL
      SELECT {_ROW}, '{_REVERSED}'::sentence, NULL, [f.id]
      FROM (SELECT NULL AS l, v.charge AS r, NULL AS left_id, c.id AS right_id, c.currency,
                   NULL AS left_minor, c.basis AS right_minor, NULL AS days, 2::UTINYINT AS level,
                   'reversal'::rule AS rule, 9900::SMALLINT AS confidence, ''::variance AS variance,
                   NULL::reference_type AS type, v.value, NULL AS other, NULL AS margin, false AS proposed, NULL AS left_name,
                   NULL AS right_name, v.refund
            FROM reversals v JOIN rest_r c ON c.leg = v.charge) d JOIN rest_r f ON f.leg = d.refund)
TO '{{out}}/matches.{{extension}}' ({{options}})
"""

_REASON = """CASE f.code
 WHEN 'amounts_differ' THEN 'Both sides carry ' || f.value || ', but their amounts differ by ' || f.number || ' minor units.'
 WHEN 'outside_window' THEN 'Both sides carry ' || f.value || ' and the same amount, but are ' || f.number || ' business days apart.'
 WHEN 'duplicate' THEN 'It carries ' || f.value || ', which is matched already.'
 WHEN 'duplicate_line' THEN 'It names payout ' || f.value || ', which has its line.'
 WHEN 'ambiguous' THEN 'It has several equally good counterparts by reference ' || f.value || '.'
 WHEN 'lookalikes' THEN 'It has several look-alikes and no reference that tells them apart.'
 WHEN 'group_ambiguous' THEN 'Several sets of the other side''s ' || f.other || ' movements of this counterparty come to it.'
 WHEN 'bank_differs' THEN 'Payout ' || f.value || ' and the line that names it differ by ' || f.number || ' minor units.'
 WHEN 'members_differ' THEN 'What payout ' || f.value || ' settles does not come to it: difference ' || f.number || ' minor units.'
 WHEN 'members_unknown' THEN 'Nobody reports what payout ' || f.value || ' settles.'
 WHEN 'fees_unknown' THEN 'Payout ' || f.value || ' settles movements whose fees are not known.'
 WHEN 'line_shared' THEN 'Several payouts claim the line that names ' || f.value || '.'
 WHEN 'no_bank_line' THEN 'Payout ' || f.value || ' is not on the other side.'
 WHEN 'payout_unknown' THEN 'It is settled by ' || f.value || ', a payout that was never reported.'
 ELSE 'Nothing on the other side explains it.' END"""

_BREAKS = f"""
COPY (SELECT f.class, f.code, x.id AS left_id, y.id AS right_id, x.basis AS left_minor,
        y.basis AS right_minor, coalesce(x.currency, y.currency) AS currency, {_REASON} AS reason, m.members AS more_members
      FROM findings f LEFT JOIN rest_l x ON x.leg = f.l LEFT JOIN rest_r y ON y.leg = f.r
      LEFT JOIN (SELECT s.leg AS l, list(x.id ORDER BY x.id) AS members
                 FROM settlement_members s JOIN rest_l x ON x.leg = s.member
                 WHERE s.leg IN (SELECT l FROM findings) GROUP BY s.leg) m USING (l))
TO '{{out}}/breaks.{{extension}}' ({{options}})
"""
_WAITING = """
COPY (SELECT x.id AS left_id, y.id AS right_id FROM waiting w
      LEFT JOIN rest_l x ON x.leg = w.l LEFT JOIN rest_r y ON y.leg = w.r
      UNION ALL
      SELECT x.id, NULL FROM settlement_members s JOIN rest_l x ON x.leg = s.member
      WHERE s.leg IN (SELECT l FROM waiting))
TO '{out}/waiting.{extension}' ({options})
"""
#: Large dictionaries of values that hardly repeat cost more than they save.
FORMATS = {"parquet": "FORMAT parquet, DICTIONARY_SIZE_LIMIT 1000", "csv": "FORMAT csv, HEADER"}


@dataclass(frozen=True, slots=True)
class BulkCounts:
    """What became of the rows."""

    left: int
    right: int
    matches_by_level: dict[int, int]
    proposals: int
    breaks_by_class: dict[str, int]
    waiting: int
    caps: dict[str, int]


def run_bulk(
    con: duckdb.DuckDBPyConnection,
    left: str,
    right: str,
    rules: Rules,
    pair: Pair,
    reference_date: date,
    out: Path,
    formats: tuple[str, ...] = ("parquet",),
    progress: Callable[[str], None] = lambda _: None,
) -> BulkCounts:
    """Match two tables of `con`, or ``read_parquet(...)`` calls, and write what became of them to
    `out`. Raises InvalidInput for rows without id, source, kind, currency or day."""
    for side, source in zip(SIDES, (left, right), strict=True):
        con.execute(_RAW.format(side=side, source=source, leg=_row_number(con, source)))
    with Engine(con, rules, pair, reference_date) as engine:
        progress("reading")
        engine.read()
        for step in STEPS:
            progress(step.__name__.replace("_", " "))
            step(engine)
        progress("writing")
        _write(engine, out, formats)
        return _counts(con, engine)


def _write(engine: Engine, out: Path, formats: tuple[str, ...]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for statement in _STORIES:
        engine.con.execute(statement)
    for extension in formats:
        values = {"out": str(out).replace("'", "''"), "extension": extension}
        matches, breaks, waiting = (
            harmless_copy(engine.con, written) if extension == "csv" else written
            for statement in (_MATCHES, _BREAKS, _WAITING)
            for written in (statement.format(**values, options=FORMATS[extension]),)
        )
        engine.at_once((matches,), (breaks, waiting))


def _row_number(con: duckdb.DuckDBPyConnection, source: str) -> str:
    """A row's number from 0 on, as an expression: of Parquet files, one after the other."""
    if not source.startswith("read_parquet("):
        return "rowid::INTEGER"
    files = con.execute(f"SELECT file_index, count(*) FROM {source} GROUP BY ALL ORDER BY ALL")
    rows = [count for _, count in files.fetchall()]
    if len(rows) < 2:
        return "file_row_number::INTEGER"
    return f"(file_row_number + {[0, *accumulate(rows)]}[file_index::INTEGER + 1])::INTEGER"


def _counts(con: duckdb.DuckDBPyConnection, engine: Engine) -> BulkCounts:
    def number(query: str) -> int:
        rows = con.execute(query).fetchall()
        return int(rows[0][0])

    return BulkCounts(
        left=engine.counts["l"],
        right=engine.counts["r"],
        matches_by_level=dict(
            con.sql(
                "SELECT level, count(*) FROM (SELECT level FROM decisions WHERE NOT proposed"
                " UNION ALL SELECT 2 FROM reversals) GROUP BY 1 ORDER BY 1"
            ).fetchall()
        ),
        proposals=number("SELECT count(*) FROM decisions WHERE proposed"),
        breaks_by_class=dict(
            con.sql("SELECT class, count(*) FROM findings GROUP BY 1 ORDER BY 1").fetchall()
        ),
        waiting=number("SELECT count(*) FROM waiting"),
        caps=dict(engine.caps),
    )
