"""What the engine exports is as harmless in a spreadsheet as what the reports export."""

from __future__ import annotations

import duckdb
from hypothesis import given, settings
from hypothesis import strategies as st

from pardna.matching.csv_safe import harmless as query_of
from pardna.runtime.spreadsheets import FORMULA_STARTS, harmless

#: Texts made of what decides: formula starts, what may stand before them, and plain letters.
texts = st.lists(st.sampled_from([*FORMULA_STARTS, " ", "\x00", "\ufeff", "'", "a", "1"]), max_size=6).map("".join)  # fmt: skip


@given(st.one_of(texts, st.text(max_size=40)))
def test_any_text_comes_back_whole_behind_at_most_an_apostrophe(text: str) -> None:
    clean = text.replace("\x00", "")
    shown = harmless(text)

    assert shown in (clean, f"'{clean}")
    assert not shown.lstrip(" ").startswith(FORMULA_STARTS)


@settings(max_examples=25)  # of fifty texts each
@given(st.lists(texts, min_size=1, max_size=50))
def test_the_engine_and_the_reports_have_one_rule(given_texts: list[str]) -> None:
    with duckdb.connect() as con:
        con.execute("CREATE TABLE t (n INT, said VARCHAR)")
        con.executemany("INSERT INTO t VALUES (?, ?)", list(enumerate(given_texts)))
        rows = con.execute(f"SELECT said FROM ({query_of(con, 'FROM t')}) ORDER BY n").fetchall()
    assert [said for (said,) in rows] == [harmless(text) for text in given_texts]
