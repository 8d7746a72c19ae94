"""MT942: interim reports without balances."""

from __future__ import annotations

import pytest

from pardna.formats import mt940, registry
from tests.support.formats import BANK

REPORT = """:20:R1
:25:001-12345
:28C:1/1
:34F:USDD0,
:34F:USDC0,
:13D:2602031730-0500
:61:2602030203C250,00NTRFNONREF//B1
:86:/EREF/E1/REMI/hand PDN-7K3Q-R01-04
:61:2602030203D100,50NTRFNONREF//B2
:61:2602040204EC70,00NTRFNONREF//B3
:90D:1USD100,50
:90C:2USD320,00
-
"""


def test_currency_entries_and_sums() -> None:
    assert registry.detect(REPORT.encode()) == "mt940"
    parsed = mt940.read(REPORT.encode(), BANK)
    (statement,) = parsed.statements
    assert parsed.format == "MT942"
    assert (statement.currency, statement.opening_minor, statement.closing_minor) == (
        "USD",
        None,
        None,
    )
    assert [t.amount_minor for t in statement.transactions] == [25_000, -10_050]
    # What is expected is in the report's own sums, and moves nothing yet.
    assert statement.entries_minor == 21_950
    assert [p.code for p in statement.problems] == ["entry.pending"]


@pytest.mark.parametrize(
    ("old", "new"),
    [(":90D:1USD", ":90D:2USD"), (":90C:2USD320,00", ":90C:2USD320,01"), ("1USD100,50", "rubbish")],
)
def test_sums_that_differ_are_named(old: str, new: str) -> None:
    parsed = mt940.read(REPORT.replace(old, new).encode(), BANK)
    assert "statement.sums" in {p.code for p in parsed.statements[0].problems}


def test_a_withdrawn_currency_is_shown_and_nothing_of_it_counts() -> None:
    text = REPORT.replace("USD", "DEM")
    (statement,) = mt940.read(text.encode(), BANK).statements
    assert (statement.currency, statement.entries_minor) == ("DEM", 21_950)
    assert statement.transactions == ()
    assert "statement.currency" in {p.code for p in statement.problems}
