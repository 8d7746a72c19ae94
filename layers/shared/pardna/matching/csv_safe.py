"""CSV for people's spreadsheets: no text of it is run as a formula (OWASP, CSV injection).

A text that begins with what a spreadsheet takes for a formula gets an apostrophe before it. Programs
that need texts to the letter read the Parquet beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pardna.runtime.spreadsheets import FORMULA_STARTS

if TYPE_CHECKING:
    import duckdb

_STARTS = ", ".join(f"chr({ord(start)})" for start in FORMULA_STARTS)


def harmless(con: duckdb.DuckDBPyConnection, query: str) -> str:
    """The query with each of its texts made harmless; other types are left as they are."""
    described = con.execute(f"DESCRIBE {query}").fetchall()
    shown = ", ".join(_shown(str(name), str(kind)) for name, kind, *_ in described)
    return f"SELECT {shown} FROM ({query})"  # noqa: S608  (names are the query's own, quoted)


def harmless_copy(con: duckdb.DuckDBPyConnection, statement: str) -> str:
    """``COPY (query) TO ...`` with the query made harmless."""
    head, _, tail = statement.rpartition(")\nTO ")
    query = head.partition("COPY (")[2]
    return f"COPY ({harmless(con, query)}) TO {tail}"


def _shown(name: str, kind: str) -> str:
    column = '"' + name.replace('"', '""') + '"'
    if kind != "VARCHAR":
        return column
    clean = f"replace({column}, chr(0), '')"
    risky = f"left(ltrim({clean}, ' '), 1) IN ({_STARTS})"
    return f"CASE WHEN {risky} THEN chr(39) || {clean} ELSE {clean} END AS {column}"
