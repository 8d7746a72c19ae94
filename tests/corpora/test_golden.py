"""Statements of the corpora beside what other people's parsers made of them, entry by entry."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from pardna.formats import camt053, registry
from pardna.formats.model import Origin
from pardna.money.model import MoneyError, exponent
from pardna.runtime.errors import UnreadableFile
from tests.corpora import expectations

ORIGIN = Origin("corpora", "corpora", "0" * 64)
MT940 = expectations.CORPORA / "bank" / "mt940_golden"
#: That parser calls RC, a credit that is reversed, ``ReverseDebit``; by the statement's own balances
#: it takes money out.
SIGNS = {"Credit": 1, "Debit": -1, "ReverseDebit": -1}
Entry = tuple[str, int, str]


def _minor(amount: str, currency: str) -> int:
    try:
        digits = exponent(currency)
    except MoneyError:  # withdrawn: shown in hundredths
        digits = 2
    return int(Decimal(amount).scaleb(digits))


def _goldens(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.json"))


def _statements(golden: Path) -> Iterator[tuple[str, list[Entry]]]:
    """Account and entries (value date, signed minor units, bank's reference) of each statement."""
    for said in json.loads(golden.read_text(), parse_float=str, parse_int=str):
        if "statement_lines" in said:
            currency = said["opening_balance"]["iso_currency_code"]
            entries = [
                (
                    line["value_date"],
                    SIGNS[line["ext_debit_credit_indicator"]] * _minor(line["amount"], currency),
                    line["bank_ref"] or "",
                )
                for line in said["statement_lines"]
            ]
            yield said["account_id"], entries
        else:
            entries = [
                (
                    line["valueDate"],
                    (1 if line["isCredit"] else -1) * _minor(line["amount"], line["currency"]),
                    "",
                )
                for line in said["transactions"]
            ]
            yield said["accountId"], entries


def test_mt940_entries_are_those_of_two_other_parsers(
    record_property: Callable[[str, Any], None],
) -> None:
    goldens = _goldens(MT940)
    if not goldens:
        pytest.skip(f"the corpora are not there: {MT940}")
    different = {}
    read = 0
    for golden in goldens:
        folder = expectations.CORPORA / "bank" / "mt940" / golden.parent.name
        inputs = sorted(folder.glob(f"{golden.stem}.*"))
        if not inputs:
            continue
        read += 1
        parsed = registry.parse(inputs[0].read_bytes(), ORIGIN)
        wanted = [
            (account, sum(e[1] for e in rows), len(rows)) for account, rows in _statements(golden)
        ]
        got = [(s.account, s.entries_minor, s.entries_count) for s in parsed.statements]
        rows = [e[:2] for _, entries in _statements(golden) for e in entries]
        ours = [(str(t.value_date), t.amount_minor) for t in parsed.all_transactions]
        if got != wanted or (ours and ours != rows):
            different[golden.name] = (wanted, got)
    record_property("corpus", ("mt940 beside others", read - len(different), 0, read))
    assert read >= 12
    assert different == {}


def _camt_goldens() -> list[Path]:
    folders = ("camt052_golden", "camt053_golden", "camt054_golden")
    return [p for f in folders for p in _goldens(expectations.CORPORA / "bank" / f)]


def test_camt_entries_are_those_of_another_parser(
    record_property: Callable[[str, Any], None],
) -> None:
    goldens = _camt_goldens()
    if not goldens:
        pytest.skip(f"the corpora are not there: {expectations.CORPORA}")
    different = {}
    for golden in goldens:
        folder = str(golden.parent).replace("_golden", "")
        data = Path(folder, f"{golden.stem}.xml").read_bytes()
        # That parser gives signed minor units, and of several statements the last one's.
        entries = json.loads(golden.read_text())["getEntries"] or []
        wanted = sum(int(e["getAmount"]["getAmount"]) for e in entries)
        got = camt053.read(data, ORIGIN).statements[-1].entries_minor
        if got != wanted:
            different[golden.name] = (wanted, got)
    record_property(
        "corpus", ("camt beside another", len(goldens) - len(different), 0, len(goldens))
    )
    assert different == {}


#: Headings of a processor's report in the corpora -> the family that those of its kind are.
FAMILIES = {
    "adyen_settlement": ("Gross Debit (GC)", "adyen.settlement"),
    "paypal_settlement": ("Gross Transaction Amount", "paypal.settlement"),
    "stripe_settlement": ("reporting_category", "stripe.payout_report"),
    "checkoutcom_settlement": ("Payout ID", "checkout.settlement"),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_real_headings_are_known_and_no_others(name: str) -> None:
    """As merchants of these processors have them; those of their other reports need a profile."""
    listing = expectations.CORPORA / "psp" / "settlement_columns" / "columns.json"
    if not listing.exists():
        pytest.skip(f"the corpora are not there: {listing}")
    mark, family = FAMILIES[name]
    known = 0
    for headings in json.loads(listing.read_text())["columns"][name]:
        out = io.StringIO()
        if headings[0] == "CH":
            out.write("RH,2026/02/04 02:00:00 -0500,A,ACC1,010\nFH,01\nSH,a,b,c\n")
        csv.writer(out).writerow(headings)
        csv.writer(out).writerow(["" for _ in headings])
        data = out.getvalue().encode()
        if mark not in headings:
            with pytest.raises(UnreadableFile):
                registry.parse(data, ORIGIN)
        elif "Transactional Status" in headings:
            with pytest.raises(UnreadableFile, match="detail"):
                registry.parse(data, ORIGIN)
        else:
            assert registry.detect(data) == family
            known += 1
            # No heading is missing; an empty row is none, or is named.
            assert registry.parse(data, ORIGIN).transactions == ()
    assert known
