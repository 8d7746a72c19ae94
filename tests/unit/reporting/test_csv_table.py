"""The report as CSV: one table, exact amounts, nothing that a spreadsheet would run."""

from __future__ import annotations

import csv
import io

import pytest

from pardna.money.model import Money
from pardna.reporting import csv_table
from pardna.runtime.spreadsheets import FORMULA_STARTS
from tests.support.reports import a_report


def read(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


def test_every_part_of_the_report_has_its_lines() -> None:
    rows = read(csv_table.render(a_report()))

    sections = {row["section"] for row in rows}
    assert sections == {
        "round", "contribution", "payment", "match", "break", "clearing", "account",
        "trial balance", "draw", "draw step",
    }  # fmt: skip
    (payment,) = [row for row in rows if row["section"] == "payment"]
    assert payment["name"] == "Marcia Brown"
    assert Money.parse(payment["amount"], payment["currency"]) == Money(500_000, "JMD")
    (found,) = [row for row in rows if row["section"] == "break"]
    assert found["explanation"] == "Nobody is known to owe this."


def test_negative_amounts_stay_numbers() -> None:
    rows = read(csv_table.render(a_report()))

    assert "-4805.00" in {row["amount"] for row in rows}


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", " ="])
def test_no_cell_starts_a_formula(start: str) -> None:
    formula = f'{start}HYPERLINK("http://x","y")'

    rows = read(csv_table.render(a_report(formula, formula, formula)))

    texts = [value for row in rows for name, value in row.items() if name != "amount"]
    assert f"'{formula}" in texts
    assert not [text for text in texts if text.lstrip(" ").startswith(FORMULA_STARTS)]


def test_equal_facts_give_equal_bytes() -> None:
    assert csv_table.render(a_report()) == csv_table.render(a_report())
