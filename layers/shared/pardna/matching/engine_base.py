# ruff: noqa: S608  (statements are built from names and integers of ours; values are parameters)
"""What the engine's levels share: the database of one run, its legs, and how candidates are chosen.

Relations, for each side (``l``, ``r``): ``legs_*`` (all legs as they are read; `leg` is the row's
place in its file, so it never decides anything), ``ids_*`` (the identities of all legs; after level 1
of those that it left over), ``rest_*`` (the legs that level 1 left over), ``refs_*`` (their other
references, normalised), ``open_*`` (a bit for each leg, by its number: whether
nothing has decided it yet; asked by ``is_open_*``). What is decided goes to ``identified`` (level 1), ``ruled``
(level 2) and ``decided`` (the others), which ``decisions`` shows as one, and to ``findings`` and
``waiting``, with all that its explanation needs.

Where an order must decide, it is that of ids: the input's order changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from datetime import date
from typing import Any, Self

import duckdb

from pardna.matching.assignment import Edge, assign
from pardna.matching.model import IDENTITIES, Pair
from pardna.matching.rules import BusinessDays, PairRules, Rail, Rules, Window
from pardna.runtime.errors import InvalidInput

_CHUNK = 50_000
#: DuckDB gives a core this many rows at a time: of fewer, threads only wait for each other, and the
#: second core is better used by the statements of the other side.
_ROWS_A_TASK = 122_880
#: SQL, or SQL and its parameters.
Statement = str | tuple[str, Mapping[str, Any]]
SIDES = ("l", "r")
REFERENCE = "STRUCT(type VARCHAR, value VARCHAR, strong BOOLEAN)[]"
#: What the engine reads: one relation a side, ``raw_l`` and ``raw_r``, with these columns and
#: `leg`, the row's number from 0 on, which stays the same while the engine runs.
LEG_COLUMNS = {
    "id": "VARCHAR", "source": "VARCHAR", "kind": "VARCHAR", "basis": "BIGINT",
    "currency": "VARCHAR", "day": "DATE", "batch": "VARCHAR", "name": "VARCHAR",
    "account": "VARCHAR", "refs": REFERENCE,
}  # fmt: skip

#: Without case and punctuation; what people, banks and forms change in a reference.
NORMALISED = "regexp_replace(upper({0}), '[^A-Z0-9]+', '', 'g')"

#: Words that repeat are enums: they cost little to keep and to write.
_TABLES = """
CREATE TYPE rule AS ENUM ('identity', 'settlement', 'reference', 'reference_one_edit', 'reference_sum',
    'group', 'probable', 'reversal');
CREATE TYPE variance AS ENUM ('', 'fee', 'rounding');
CREATE TYPE reference_type AS ENUM ({types});
CREATE TYPE currency AS ENUM ({currencies});
CREATE TABLE identified (l INTEGER, r INTEGER, left_id VARCHAR, right_id VARCHAR, currency currency,
    left_minor BIGINT, right_minor BIGINT, days INTEGER, type reference_type, value VARCHAR);
CREATE TABLE ruled (l INTEGER, r INTEGER, left_id VARCHAR, right_id VARCHAR, currency currency,
    left_minor BIGINT, right_minor BIGINT, days INTEGER, edits UTINYINT, confidence SMALLINT,
    variance variance, value VARCHAR, other VARCHAR, cost INTEGER);
CREATE TABLE decided (l INTEGER, r INTEGER, left_id VARCHAR, right_id VARCHAR, currency currency,
    left_minor BIGINT, right_minor BIGINT, days INTEGER, level UTINYINT, rule rule,
    confidence SMALLINT, variance variance, type reference_type, value VARCHAR, other VARCHAR,
    rival INTEGER, margin INTEGER, proposed BOOLEAN DEFAULT false,
    left_name VARCHAR, right_name VARCHAR);
CREATE VIEW decisions AS
SELECT l, r, left_id, right_id, currency, left_minor, right_minor, days, 1::UTINYINT AS level,
    'identity'::rule AS rule, 10000::SMALLINT AS confidence, ''::variance AS variance, type, value,
    NULL::VARCHAR AS other, NULL::INTEGER AS rival, NULL::INTEGER AS margin, false AS proposed,
    NULL::VARCHAR AS left_name, NULL::VARCHAR AS right_name FROM identified
UNION ALL SELECT l, r, left_id, right_id, currency, left_minor, right_minor, days, 2::UTINYINT,
    CASE edits WHEN 0 THEN 'reference'::rule ELSE 'reference_one_edit'::rule END, confidence,
    variance, 'reference'::reference_type, value, other, NULL, NULL, false, NULL, NULL FROM ruled
UNION ALL FROM decided;
CREATE TABLE findings (class VARCHAR, code VARCHAR, l INTEGER, r INTEGER, value VARCHAR,
    number BIGINT, other BIGINT);
CREATE TABLE waiting (l INTEGER, r INTEGER);
CREATE TABLE extra_members (l INTEGER, side VARCHAR, leg INTEGER);
"""
DECIDED = """decided (l, r, left_id, right_id, currency, left_minor, right_minor, days, level, rule,
    confidence, variance, type, value, other, rival, margin)"""

#: Open legs as bits: legs are numbered from 0, and asking one bit costs less than a join. Each
#: connection keeps them in a variable of its own.
_OPEN = """
SET VARIABLE open_{side} = ~bitstring('0', {legs});
CREATE OR REPLACE MACRO is_open_{side}(leg) AS get_bit(getvariable('open_{side}'), leg) = 1;
"""
_CLOSE = """
SET VARIABLE open_{side} = (SELECT coalesce(getvariable('open_{side}') & ~bitstring_agg(leg, 0, {last}),
                                            getvariable('open_{side}')) FROM ({closed}))
"""

_LEGS = """
CREATE VIEW legs_{side} AS
SELECT raw.* REPLACE (currency::currency AS currency), c.ordinal FROM raw_{side} raw JOIN calendar c USING (day)
"""

#: The references of all legs: files are read for them once only.
_CARRIED = """
CREATE TABLE carried_{side} AS
SELECT leg, id, basis, ordinal, currency, several, TRY_CAST(ref.type AS reference_type) AS type,
       ref.value AS value, ref.strong AS strong
FROM (SELECT leg, id, basis, ordinal, currency, len(refs) > 1 AS several, unnest(refs) AS ref
      FROM legs_{side})
"""

#: Normalising is dear: only what some level compares normalised.
_REFERENCES = f"""
CREATE TABLE refs_{{side}} AS
SELECT leg, id, source, basis, ordinal, currency, single, type, coalesce({{soft}}, false) AS soft,
       CASE type WHEN 'payout' THEN value END AS value, {NORMALISED.format("value")} AS norm
FROM (SELECT leg, type, value FROM carried_{{side}}
      WHERE NOT strong OR {{soft}} OR type IN ('payout', 'trace'))
JOIN rest_{{side}} USING (leg)
"""
_SINGLE = {"l": "batch = '' AND kind <> 'payout'", "r": "true"}


class Engine:
    """One run over one pair in a database of its own. Use `match`, or `run_bulk` for Parquet.

    A context manager: it holds a second connection and a thread.
    """

    def __init__(
        self, con: duckdb.DuckDBPyConnection, rules: Rules, pair: Pair, reference_date: date
    ) -> None:
        self.con = con
        self._threads = self.number("SELECT current_setting('threads')")
        self._second = con.cursor()
        self._beside = ThreadPoolExecutor(1)
        self.rules = rules
        self.pair = pair
        self.own: PairRules = rules.of(pair)
        self.days = BusinessDays(rules.closed_days)
        self.today = self.days.ordinal(reference_date)
        self.identity_types = list(self.own.identity_types or IDENTITIES[pair])
        self.caps: dict[str, int] = {}
        self.counts: dict[str, int] = {}
        #: Those that occur in the legs.
        self.currencies: frozenset[str] = frozenset()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self._beside.shutdown()
        self._second.close()
        # Of a database that failed there is nothing to give back.
        with suppress(duckdb.Error):
            self.con.execute(f"SET threads = {self._threads}")

    def read(self) -> None:
        """Read ``raw_l`` and ``raw_r`` (`LEG_COLUMNS`). Raises InvalidInput for a leg without id,
        currency or day: it could be neither matched nor told of."""
        con = self.con
        # What stands in memory needs no checkpoint; one would copy it all.
        con.execute("SET checkpoint_threshold = '1TB'")
        lacking = self.both(
            "SELECT count(*) - least(count(id), count(currency), count(day), count(source),"
            " count(kind)) FROM raw_{side}"
        )
        for bad in filter(None, lacking.values()):
            raise InvalidInput("match.row", f"{bad} rows lack an id, source, kind, currency or day")
        self.counts = self.both("SELECT count(*) FROM raw_{side}")
        if max(self.counts.values()) <= 2 * _ROWS_A_TASK:
            con.execute("SET threads = 1")
        days = con.execute("SELECT day FROM raw_l UNION SELECT day FROM raw_r").fetchall()
        con.execute("CREATE TABLE calendar (day DATE, ordinal INTEGER)")
        self.insert("calendar", ["DATE", "INTEGER"], [(d, self.days.ordinal(d)) for (d,) in days])
        currencies = con.execute(
            "SELECT currency FROM raw_l UNION SELECT currency FROM raw_r"
        ).fetchall()
        self.currencies = frozenset(c for (c,) in currencies)
        told = (*self.identity_types, *self.own.soft_types)
        types = dict.fromkeys((*told, "", "reference", "payout", "trace", "rail"))
        con.execute(
            _TABLES.format(types=_words(types), currencies=_words(sorted(self.currencies) or [""]))
        )
        for side in SIDES:
            con.execute(_LEGS.format(side=side))
        self.open_all()

    def open_all(self) -> None:
        """Every leg is open."""
        opened = [_OPEN.format(side=side, legs=max(legs, 1)) for side, legs in self.counts.items()]
        for con in (self.con, self._second):
            _run(con, opened)

    def read_references(self) -> None:
        """``carried_*``, and of it ``ids_*``: the strong references that identify."""
        identities = f"strong AND type IN ({_words(self.identity_types)})"
        self.both(_CARRIED, "CREATE VIEW ids_{side} AS FROM carried_{side} WHERE " + identities)
        self.read_rails()

    def read_rails(self) -> None:
        """``rail_N_*``, bits as those of open legs: who says the N-th rail that has its own windows."""
        query = [
            f"SET VARIABLE rail_{number}_{side} = (SELECT coalesce(bitstring_agg(leg, 0,"
            f" {max(legs, 1) - 1}), bitstring('0', {max(legs, 1)})) FROM carried_{side}"
            f" WHERE type = 'rail' AND value IN ({_words([one.rail])}))"
            for number, one in enumerate(self.own.rails)
            for side, legs in self.counts.items()
        ]
        if query:
            self.at_once(query, query)

    def within(self, left: str, right: str, days: str) -> str:
        """Whether `days` are within the window of a pair of legs, as an expression."""

        def fits(window: Window | Rail) -> str:
            return f"{days} BETWEEN {-window.before} AND {window.after}"

        return self._by_rail({"l": left, "r": right}, fits, fits(self.own.rule_window))

    def waits(self, side: str, leg: str = "leg") -> str:
        """The business days that a leg may stand alone, as an expression."""
        return self._by_rail(
            {side: leg}, lambda rail: str(rail.waiting_days), str(self.own.waiting_days)
        )

    def _by_rail(self, legs: Mapping[str, str], of: Callable[[Rail], str], otherwise: str) -> str:
        """What holds `of` the first rail that one of the legs says, as an expression."""
        cases = " ".join(
            f"WHEN {' OR '.join(_says(number, *leg) for leg in legs.items())} THEN {of(rail)}"
            for number, rail in enumerate(self.own.rails)
        )
        return f"(CASE {cases} ELSE {otherwise} END)" if cases else f"({otherwise})"

    def keep_rest(self) -> None:
        """After level 1: the legs that are still open, and their references."""
        soft = f"type IN ({_words(self.own.soft_types)})" if self.own.soft_types else "false"
        self.close("SELECT {side} AS leg FROM identified")
        self.at_once(
            *(
                (
                    f"CREATE TABLE rest_{side} AS SELECT * EXCLUDE (day, account, refs),"
                    f" {_SINGLE[side]} AS single FROM legs_{side}"
                    f" WHERE is_open_{side}(leg)",
                    _REFERENCES.format(side=side, soft=soft),
                    f"CREATE VIEW soft_{side} AS FROM refs_{side} WHERE soft AND length(norm) >= 6",
                    f"CREATE TABLE rest_ids_{side} AS SELECT leg, type, value FROM ids_{side}"
                    f" WHERE is_open_{side}(leg)",
                    f"CREATE OR REPLACE VIEW ids_{side} AS FROM rest_ids_{side}",
                    f"DROP TABLE carried_{side}",
                )
                for side in SIDES
            )
        )
        self.drop_closed("(SELECT NULL AS l, unnest([charge, refund]) AS r FROM reversals)")

    def drop_closed(self, *more: str) -> None:
        """Take what is decided or found off ``open_*``; `more` are tables with columns l and r.

        What level 1 decided is in no ``rest_*`` and was never open; level 2 gives what it decided.
        """
        self.close(
            " UNION ALL ".join(
                f"SELECT {{side}} AS leg FROM {table} WHERE {{side}} IS NOT NULL"
                for table in ("decided", "findings", *more)
            )
        )

    def close(self, closed: str) -> None:
        """Take the legs that a query gives, in which ``{side}`` is the side, off ``open_*``."""
        query = [
            _CLOSE.format(side=side, last=max(legs, 1) - 1, closed=closed.format(side=side))
            for side, legs in self.counts.items()
        ]
        self.at_once(query, query)

    def both(self, *statements: Statement) -> dict[str, int]:
        """The same for the left and the right side at once, ``{side}`` being the side. Gives the
        number that the last statement gives; of one that makes a table: its rows."""
        made = self.at_once(
            *(
                tuple(
                    one.replace("{side}", side)
                    if isinstance(one, str)
                    else (one[0].replace("{side}", side), one[1])
                    for one in statements
                )
                for side in SIDES
            )
        )
        return dict(zip(SIDES, made, strict=True))

    def at_once(self, first: Sequence[Statement], second: Sequence[Statement]) -> tuple[int, int]:
        """Run two rows of statements beside each other: neither may need what the other makes.

        A statement over few rows, or a plan's last step, leaves a core idle.
        """
        later = self._beside.submit(_run, self._second, second)
        try:
            made = _run(self.con, first)
        finally:
            wait([later])
        return made, later.result()

    def number(self, query: str, parameters: object = None) -> int:
        """The single number that a query gives."""
        [(found,)] = self.con.execute(query, parameters).fetchall()
        return int(found)

    def cap(self, name: str, found: int) -> None:
        """Remember that something was cut off."""
        if found:
            self.caps[name] = self.caps.get(name, 0) + found

    def insert(self, table: str, types: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
        """Insert Python rows, column by column (rows one by one would take minutes a million)."""
        columns = ", ".join(f"unnest(?::{type_}[])" for type_ in types)
        for start in range(0, len(rows), _CHUNK):
            chunk = rows[start : start + _CHUNK]
            self.con.execute(
                f"INSERT INTO {table} SELECT {columns}",
                [list(column) for column in zip(*chunk, strict=True)],
            )

    # ---------------------------------------------------------------- choosing

    def choose(self, candidates: str) -> None:
        """Choose among `candidates`, a table with columns l, r, left_id, right_id, cost; a pair once.

        Makes ``alone`` (pairs whose legs have no other candidate) and ``chosen`` (l, r, cost, rival,
        rival_cost, contested): what global assignment picked among the others.
        """
        shared = self.both(
            f"CREATE OR REPLACE TABLE shared_{{side}} AS SELECT {{side}} FROM {candidates}"
            " GROUP BY {side} HAVING count(*) > 1"
        )
        self.con.execute(
            f"CREATE OR REPLACE VIEW alone AS FROM {candidates}"
            " ANTI JOIN shared_l USING (l) ANTI JOIN shared_r USING (r)"
        )
        rows: list[tuple[Any, ...]] = []
        if any(shared.values()):
            rows = self.con.execute(
                "SELECT l, r, cost, dense_rank() OVER (ORDER BY left_id, l), dense_rank() OVER (ORDER BY right_id, r)"
                f" FROM {candidates} WHERE l IN (FROM shared_l) OR r IN (FROM shared_r)"
            ).fetchall()
        left = {rank: leg for leg, _, _, rank, _ in rows}
        right = {rank: leg for _, leg, _, _, rank in rows}
        picked, large = assign(
            (Edge(a, b, cost) for _, _, cost, a, b in rows), self.own.component_max
        )
        self.cap("components_too_large", large)
        self.con.execute(
            "CREATE OR REPLACE TABLE chosen (l INTEGER, r INTEGER, cost BIGINT, rival INTEGER,"
            " rival_cost BIGINT, contested BOOLEAN)"
        )
        self.insert(
            "chosen",
            ["BIGINT"] * 5 + ["BOOLEAN"],
            [
                (
                    left[c.edge.left],
                    right[c.edge.right],
                    c.edge.cost,
                    None if c.runner_up is None else right[c.runner_up[1]],
                    c.runner_up_cost,
                    c.contested,
                )
                for c in picked
            ],
        )


def _run(con: duckdb.DuckDBPyConnection, statements: Sequence[Statement]) -> int:
    rows: list[Any] = []
    for one in statements:
        query, parameters = (one, None) if isinstance(one, str) else one
        rows = con.execute(query, parameters).fetchall()
    return int(rows[0][0]) if rows else 0


def _says(number: int, side: str, leg: str) -> str:
    return f"get_bit(getvariable('rail_{number}_{side}'), {leg}) = 1"


def _words(words: Iterable[str]) -> str:
    return ", ".join("'" + word.replace("'", "''") + "'" for word in words)
