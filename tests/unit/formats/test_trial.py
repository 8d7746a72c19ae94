"""Trying a profile on a sample."""

from __future__ import annotations

import pytest

from pardna.formats.trial import try_profile
from pardna.runtime.errors import UnreadableFile
from tests.unit.formats.test_csv_profile import STATEMENT, a_profile


def test_each_row_is_shown_as_what_it_becomes() -> None:
    tried = try_profile(STATEMENT.replace("150.00,,", "15O.00,,").encode(), a_profile())
    assert [(row.position, row.transaction is not None) for row in tried.rows] == [
        ("line 4", True),
        ("line 5", False),
    ]
    assert (tried.read, tried.refused) == (1, 1)
    assert "control.debits" in {p.code for p in tried.controls}


def test_a_long_sample_is_cut() -> None:
    heading = "Date,Narrative,Ref,Debit,Credit,Balance\n"
    line = "03/02/2026,x,R,,1.00,\n"
    tried = try_profile((heading + line * 1000).encode(), a_profile(marked=[]), rows_max=10)
    assert len(tried.rows) == 10
    assert tried.read == 1000
    assert tried.sums_minor == {"JMD": 100_000}


def test_a_sample_of_something_else_is_refused() -> None:
    with pytest.raises(UnreadableFile):
        try_profile(b"hello", a_profile())


def test_a_whole_file_ties_and_a_cut_one_does_not() -> None:
    assert try_profile(STATEMENT.encode(), a_profile()).ties is True
    assert try_profile(STATEMENT.replace("Total,2", "Total,3").encode(), a_profile()).ties is False
    bare = "Date,Narrative,Ref,Debit,Credit,Balance\n03/02/2026,x,R,,1.00,\n"
    assert try_profile(bare.encode(), a_profile(marked=[])).ties is None
