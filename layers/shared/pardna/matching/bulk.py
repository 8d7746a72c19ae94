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
from pathlib import Path

import duckdb

from pardna.matching.csv_safe import harmless_copy
from pardna.matching.engine_levels import Engine
from pardna.matching.model import Pair
from pardna.matching.rules import Rules

_LEGS = """
CREATE VIEW raw_legs_{side} AS
SELECT id, source, kind, amount_minor::BIGINT AS basis, currency, day, coalesce(batch, '') AS batch,
       coalesce(name, '') AS name, coalesce(account, '') AS account FROM {table}
"""
_REFERENCES = """
CREATE VIEW raw_refs_{side} AS
SELECT id, ref.type AS type, ref.value AS value, ref.strong AS strong
FROM (SELECT id, unnest(refs) AS ref FROM {table})
"""

#: Business days apart, in words, as `identity.distance` has it.
_APART = """CASE WHEN d.days = 0 THEN 'on the same day' ELSE abs(d.days) || ' business day'
 || CASE WHEN abs(d.days) > 1 THEN 's ' ELSE ' ' END
 || CASE WHEN d.days > 0 THEN 'later' ELSE 'earlier' END || ' on the other side' END"""

_SENTENCE = f"""CASE d.rule
 WHEN 'identity' THEN 'Both carry ' || d.type || ' ' || d.value || ' and the same amount, ' || x.basis || ' minor units, ' || {_APART} || '.'
 WHEN 'settlement' THEN 'Payout ' || d.value || ' settles ' || d.other || ' movements whose net amounts come to '
   || -x.basis || ' minor units: difference 0; the other side shows the same amount.'
 WHEN 'reference_sum' THEN 'Movements under the reference ' || d.value || ' come to ' || d.other || ' minor units on both sides.'
 WHEN 'probable' THEN 'The same amount, ' || x.basis || ' minor units, ' || {_APART}
   || CASE WHEN d.type = '' THEN '; no reference is shared' ELSE '; the references ' || d.value || ' and ' || d.other || ' share a part' END
   || '; the names read ' || x.name || ' and ' || y.name || '.'
 ELSE CASE WHEN d.value = d.other THEN 'Both carry the reference ' || d.value
           ELSE 'The references ' || d.value || ' and ' || d.other || ' differ in one character' END
   || CASE WHEN d.diff = 0 THEN ', the same amount, ' || x.basis || ' minor units, '
           ELSE ', amounts ' || x.basis || ' and ' || y.basis || ' minor units, '
             || CASE d.variance WHEN 'fee' THEN 'what the fee schedule keeps, ' ELSE 'within tolerance, ' END END
   || {_APART} || '.' END"""

_MATCHES = f"""
COPY (SELECT d.level, d.rule, d.confidence AS confidence_bp,
        CASE WHEN d.proposed THEN 'proposed' ELSE 'matched' END AS status,
        x.id AS left_id, y.id AS right_id, x.basis AS left_minor, y.basis AS right_minor,
        x.currency, -d.diff AS variance_minor, d.variance AS variance_kind, d.days AS business_days,
        coalesce(m.members, []) AS more_members, rival.id AS runner_up, d.margin AS margin_bp,
        {_SENTENCE} AS explanation
      FROM decisions d JOIN legs_l x ON x.leg = d.l JOIN legs_r y ON y.leg = d.r
      LEFT JOIN legs_r rival ON rival.leg = d.rival
      LEFT JOIN (SELECT l, list(id ORDER BY id) AS members FROM (
          SELECT s.leg AS l, x.id FROM settlement_members s JOIN legs_l x ON x.leg = s.member
          UNION ALL SELECT e.l, x.id FROM extra_members e JOIN legs_l x ON e.side = 'l' AND x.leg = e.leg
          UNION ALL SELECT e.l, x.id FROM extra_members e JOIN legs_r x ON e.side = 'r' AND x.leg = e.leg
      ) GROUP BY l) m ON m.l = d.l)
TO '{{out}}/matches.{{extension}}' ({{options}})
"""

_REASON = """CASE f.code
 WHEN 'amounts_differ' THEN 'Both sides carry ' || f.value || ', but their amounts differ by ' || f.number || ' minor units.'
 WHEN 'outside_window' THEN 'Both sides carry ' || f.value || ' and the same amount, but are ' || f.number || ' business days apart.'
 WHEN 'duplicate' THEN 'It carries ' || f.value || ', which is matched already.'
 WHEN 'duplicate_line' THEN 'It names payout ' || f.value || ', which has its line.'
 WHEN 'ambiguous' THEN 'It has several equally good counterparts by reference ' || f.value || '.'
 WHEN 'lookalikes' THEN 'It has several look-alikes and no reference that tells them apart.'
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
        y.basis AS right_minor, coalesce(x.currency, y.currency) AS currency, {_REASON} AS reason
      FROM findings f LEFT JOIN legs_l x ON x.leg = f.l LEFT JOIN legs_r y ON y.leg = f.r)
TO '{{out}}/breaks.{{extension}}' ({{options}})
"""
_WAITING = """
COPY (SELECT x.id AS left_id, y.id AS right_id FROM waiting w
      LEFT JOIN legs_l x ON x.leg = w.l LEFT JOIN legs_r y ON y.leg = w.r)
TO '{out}/waiting.{extension}' ({options})
"""
FORMATS = {"parquet": "FORMAT parquet", "csv": "FORMAT csv, HEADER"}


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
    left_table: str,
    right_table: str,
    rules: Rules,
    pair: Pair,
    reference_date: date,
    out: Path,
    formats: tuple[str, ...] = ("parquet",),
    progress: Callable[[str], None] = lambda _: None,
) -> BulkCounts:
    """Match two tables or views of `con` and write what became of them to `out`."""
    for side, table in (("l", left_table), ("r", right_table)):
        con.execute(_LEGS.format(side=side, table=table))
        con.execute(_REFERENCES.format(side=side, table=table))
    engine = Engine(con, rules, pair, reference_date)
    progress("reading")
    engine.prepare()
    for step in engine.steps():
        progress(step.__name__.strip("_").replace("_", " "))
        step()
    progress("writing")
    out.mkdir(parents=True, exist_ok=True)
    for extension in formats:
        values = {"out": str(out).replace("'", "''"), "extension": extension}
        for statement in (_MATCHES, _BREAKS, _WAITING):
            written = statement.format(**values, options=FORMATS[extension])
            con.execute(harmless_copy(con, written) if extension == "csv" else written)
    return _counts(con, engine)


def _counts(con: duckdb.DuckDBPyConnection, engine: Engine) -> BulkCounts:
    def number(query: str) -> int:
        rows = con.execute(query).fetchall()
        return int(rows[0][0])

    return BulkCounts(
        left=number("SELECT count(*) FROM legs_l"),
        right=number("SELECT count(*) FROM legs_r"),
        matches_by_level=dict(
            con.sql(
                "SELECT level, count(*) FROM decisions WHERE NOT proposed GROUP BY 1 ORDER BY 1"
            ).fetchall()
        ),
        proposals=number("SELECT count(*) FROM decisions WHERE proposed"),
        breaks_by_class=dict(
            con.sql("SELECT class, count(*) FROM findings GROUP BY 1 ORDER BY 1").fetchall()
        ),
        waiting=number("SELECT count(*) FROM waiting"),
        caps=dict(engine.caps),
    )
