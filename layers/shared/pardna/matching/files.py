# ruff: noqa: S608  (column names are quoted, constants are literals; both are escaped here)
"""Anybody's CSV, JSON or Parquet as the engine's input: columns mapped, amounts made exact.

A row that cannot be read is not dropped: it goes to the rejected rows with the reason.
"""

from __future__ import annotations

from pathlib import Path

import duckdb

from pardna.matching.rules_document import FileColumns
from pardna.money.model import exponent
from pardna.runtime.errors import InvalidInput

_READERS = {
    ".csv": "read_csv('{path}', all_varchar = true, header = true)",
    ".tsv": "read_csv('{path}', all_varchar = true, header = true, delim = '\t')",
    ".json": "read_json('{path}', maximum_object_size = 67108864)",
    ".jsonl": "read_json('{path}', format = 'newline_delimited')",
    ".ndjson": "read_json('{path}', format = 'newline_delimited')",
    ".parquet": "read_parquet('{path}')",
}


def load_file(con: duckdb.DuckDBPyConnection, side: str, path: Path, columns: FileColumns) -> None:
    """Make the tables ``{side}_file`` and ``{side}_rejected`` from a file.

    Raises InvalidInput for a file that cannot be read or lacks a column that the rules name.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None or not path.is_file():
        known = ", ".join(sorted(_READERS))
        raise InvalidInput("match.file", f"{path}: not a file that can be read ({known})")
    try:
        con.execute(
            f"CREATE TABLE {side}_raw AS SELECT row_number() OVER () AS row_of_file, * FROM "
            + reader.format(path=str(path).replace("'", "''"))
        )
    except duckdb.Error as error:
        raise InvalidInput("match.file", f"{path}: {str(error).splitlines()[0]}") from None
    _check_columns(con, side, path, columns)
    con.execute(f"CREATE TABLE {side}_read AS {_read(side, columns)}")
    con.execute(f"CREATE TABLE {side}_exact AS {_exact(con, side, columns)}")
    con.execute(
        f"CREATE TABLE {side}_rejected AS SELECT row_of_file, id, problem FROM {side}_exact"
        " WHERE problem <> ''"
    )
    con.execute(f"CREATE TABLE {side}_file AS {_FILE.format(side=side)}")


#: The same id twice: the second is another row, and says so.
_FILE = """
SELECT CASE WHEN position = 1 THEN id ELSE id || '#' || position END AS id, source, kind,
       minor AS amount_minor, currency, day, batch, name, account, refs
FROM (SELECT *, row_number() OVER (PARTITION BY id ORDER BY row_of_file) AS position
      FROM {side}_exact WHERE problem = '')
"""


def _check_columns(
    con: duckdb.DuckDBPyConnection, side: str, path: Path, columns: FileColumns
) -> None:
    there = {row[0] for row in con.execute(f"DESCRIBE {side}_raw").fetchall()}
    said = [getattr(columns, n) for n in ("amount", "day", "currency", "id", "source", "kind", "batch", "name", "account")]  # fmt: skip
    wanted = [c for c in said if c and not c.startswith("=")]
    wanted += [r.column for r in columns.references]
    missing = sorted(set(wanted) - there)
    if missing:
        raise InvalidInput(
            "match.column",
            f"{path} has no column {missing[0]!r}; it has {', '.join(sorted(there))}",
        )


def _value(column: str) -> str:
    """A column's text, trimmed, or a constant."""
    if column.startswith("=") or not column:
        return "'" + column[1:].replace("'", "''") + "'"
    quoted = '"' + column.replace('"', '""') + '"'
    return f"trim(coalesce({quoted}::VARCHAR, ''))"


def _read(side: str, columns: FileColumns) -> str:
    """Texts of every row, by the engine's names."""
    references = ", ".join(
        f"{{'type': '{r.type.replace(chr(39), '')}', 'value': {_value(r.column)}, 'strong': {r.strong}}}"
        for r in columns.references
    )
    empty = "[]::STRUCT(type VARCHAR, value VARCHAR, strong BOOLEAN)[]"
    listed = f"list_filter([{references}], lambda r: r.value <> '')" if references else empty
    identifier = _value(columns.id) if columns.id else "row_of_file::VARCHAR"
    date_format = columns.date_format.replace("'", "''")
    return f"""
SELECT row_of_file, {identifier} AS id, {_value(columns.source)} AS source,
       {_value(columns.kind)} AS kind, upper({_value(columns.currency)}) AS currency,
       replace({_value(columns.amount)}, ',', '') AS amount,
       try_strptime(left({_value(columns.day)}, {len("2026-01-01") if date_format == "%Y-%m-%d" else 40}), '{date_format}')::DATE AS day,
       {_value(columns.batch)} AS batch, {_value(columns.name)} AS name,
       {_value(columns.account)} AS account, {listed} AS refs
FROM {side}_raw
"""


def _exact(con: duckdb.DuckDBPyConnection, side: str, columns: FileColumns) -> str:
    """Amounts as integers of minor units, exactly; and what is wrong with a row, in a word."""
    cases = []
    for (currency,) in con.execute(f"SELECT DISTINCT currency FROM {side}_read").fetchall():
        try:
            digits = 0 if columns.amount_unit == "minor" else exponent(currency)
        except ValueError:
            continue
        cases.append(f"WHEN currency = '{currency}' THEN {10**digits}")
    scale = f"CASE {' '.join(cases)} END" if cases else "NULL::INTEGER"
    sign = "-" if columns.negate else ""
    return f"""
WITH scaled AS (SELECT *, {scale} AS scale,
                try_cast(CASE WHEN regexp_full_match(amount, '[+-]?[0-9]{{1,17}}([.][0-9]{{1,8}})?')
                         THEN amount END AS DECIMAL(38, 8)) AS plain FROM {side}_read),
     whole AS (SELECT *, plain * scale AS product FROM scaled)
SELECT *, CASE WHEN product = floor(product) THEN {sign}product::BIGINT END AS minor,
       CASE WHEN scale IS NULL THEN 'unknown currency' WHEN plain IS NULL THEN 'not an amount'
            WHEN product <> floor(product) THEN 'more decimals than the currency has'
            WHEN abs(product) > 9000000000000000000 THEN 'amount out of range'
            WHEN day IS NULL THEN 'not a date' WHEN id = '' THEN 'no id' ELSE '' END AS problem
FROM whole
"""
