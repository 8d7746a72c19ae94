"""CSV by a profile: what is understood, what is named, what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pardna.formats import csv_profile
from pardna.formats.mapped_amounts import number
from pardna.formats.profile import Amounts, Profile
from pardna.money.model import Money, MoneyError
from pardna.runtime.errors import UnreadableFile
from pardna.transactions.model import Kind
from tests.support.formats import BANK, DOWNLOAD

STATEMENT = """Account Number,001-12345
Opening Balance,,"1,000.00"
Date,Narrative,Ref,Debit,Credit,Balance
03/02/2026,PDN-7K3Q-R01-04 from Marcia,NCB1,,"5,000.00","6,000.00"
04/02/2026,Service charge,NCB2,150.00,,"5,850.00"
Total,2,,150.00,"5,000.00"
"""


def a_profile(**changes: Any) -> Profile:
    """A profile for `STATEMENT`."""
    whole: dict[str, Any] = {
        **DOWNLOAD,
        "marked": [
            {"marker": "Account Number", "states": {"account": 2}},
            {"marker": "Opening Balance", "states": {"opening": 3}},
            {"marker": "Total", "states": {"count": 2, "debits": 4, "credits": 5}},
        ],
    }
    return Profile.model_validate(whole | changes)


def test_a_statement_is_read_with_its_header_and_control_line() -> None:
    parsed = csv_profile.read(STATEMENT.encode(), BANK, a_profile())
    assert parsed.problems == ()
    (statement,) = parsed.statements
    assert (statement.account, statement.opening_minor, statement.closing_minor) == (
        "001-12345",
        100_000,
        585_000,
    )
    assert statement.ties
    credit, debit = statement.transactions
    assert (credit.amount_minor, debit.amount_minor) == (500_000, -15_000)
    assert credit.value_date is not None
    assert credit.value_date.isoformat() == "2026-02-03"
    assert "PDN-7K3Q-R01-04" in {r.value for r in credit.references}
    assert credit.raw_position == "line 4"


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("Total,2", "Total,3", "control.count"),
        ('Total,2,,150.00,"5,000.00"', 'Total,2,,150.00,"5,000.01"', "control.credits"),
        ("150.00,,", "15O.00,,", "row.amount"),
        ("04/02/2026", "2026-02-04", "row.date"),
        ('NCB2,150.00,,"5,850.00"', "NCB2,150.00", "row.cells"),
        (",,\"5,000.00\"", ",1.00,\"5,000.00\"", "row.amount"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_and_the_other_rows_count(old: str, new: str, code: str) -> None:
    parsed = csv_profile.read(STATEMENT.replace(old, new, 1).encode(), BANK, a_profile())
    problems = [*parsed.problems, *parsed.statements[0].problems]
    assert code in {p.code for p in problems}
    assert all("line" in p.position and p.reason for p in problems)
    assert parsed.statements[0].transactions


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1", "cp1252"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_any_encoding_and_any_line_end(encoding: str, ending: str) -> None:
    text = STATEMENT.replace("Marcia", "Renée").replace("\n", ending)
    parsed = csv_profile.read(text.encode(encoding), BANK, a_profile())
    assert parsed.problems == ()
    assert "Renée" in parsed.statements[0].transactions[0].description


def test_a_missing_column_is_refused_by_name() -> None:
    with pytest.raises(UnreadableFile, match="Credit"):
        csv_profile.read(STATEMENT.replace(",Credit,", ",Haben,").encode(), BANK, a_profile())


def test_a_column_named_twice_is_refused() -> None:
    with pytest.raises(UnreadableFile, match="two columns"):
        csv_profile.read(STATEMENT.replace("Ref,", "Date,").encode(), BANK, a_profile(
            references=[]
        ))  # fmt: skip


def test_new_and_vanished_columns_are_named() -> None:
    known = ["Date", "Narrative", "Ref", "Debit", "Credit", "Balance", "Branch"]
    parsed = csv_profile.read(STATEMENT.encode(), BANK, a_profile(known_columns=known))
    drift = [p for p in parsed.statements[0].problems if p.code == "csv.drift"]
    assert [p.reason for p in drift] == ["vanished columns: Branch"]


def test_an_id_that_comes_twice_is_named() -> None:
    text = STATEMENT.replace("NCB2", "NCB1")
    parsed = csv_profile.read(text.encode(), BANK, a_profile(id_columns=["Ref"]))
    assert [p.code for p in parsed.statements[0].problems] == ["row.repeated"]
    assert [p.code for p in parsed.problems] == ["control.debits"]
    assert len(parsed.statements[0].transactions) == 1


def test_a_row_behind_the_footer_and_an_unmarked_row_are_named() -> None:
    marked = [{"marker": "Total", "footer": True, "states": {"count": 2}}]
    text = STATEMENT + "05/02/2026,Late,NCB3,,1.00,1.00\n"
    parsed = csv_profile.read(text.encode(), BANK, a_profile(marked=marked))
    assert [p.code for p in parsed.statements[0].problems] == ["row.after_footer"]
    only_credits = a_profile(marked=marked, detail={"marker": "NCB1", "at": 3, "states": {}})
    parsed = csv_profile.read(STATEMENT.encode(), BANK, only_credits)
    assert len(parsed.statements[0].transactions) == 1
    assert "row.kind" in {p.code for p in parsed.statements[0].problems}


def test_newest_first_still_ties() -> None:
    lines = STATEMENT.splitlines()
    lines[3], lines[4] = lines[4], lines[3]
    text = "\n".join(line for line in lines if not line.startswith("Opening"))
    parsed = csv_profile.read(text.encode(), BANK, a_profile(newest_first=True))
    assert parsed.statements[0].ties


def test_a_processors_rows_have_gross_fee_and_net() -> None:
    profile = Profile.model_validate(
        {
            "name": "wallet",
            "side": "psp",
            "currency": "JMD",
            "amounts": {"amount": "gross", "fee": "fee", "net": "net"},
            "dates": {"occurred": "at", "formats": ["%Y-%m-%dT%H:%M:%S%z"]},
            "id_columns": ["id"],
            "kinds": {"column": "type", "values": {"payment": "charge", "refund": "refund"}},
            "skip": [{"column": "state", "values": ["pending"]}],
            "references": [{"column": "order", "type": "contribution", "strength": "strong"}],
            "batch_column": "batch",
        }
    )
    text = (
        "id,type,state,at,gross,fee,net,order,batch\n"
        "1,payment,done,2026-02-03T10:00:00-05:00,100.00,3.50,96.50,c1,b1\n"
        "2,refund,done,2026-02-03T11:00:00-05:00,-100.00,-1.00,-99.00,c1,b1\n"
        "3,payment,pending,2026-02-03T10:00:00-05:00,5.00,0,5.00,c3,b1\n"
        "4,payment,done,2026-02-03T10:00:00-05:00,100.00,3.50,96.00,c4,b1\n"
    )
    parsed = csv_profile.read(text.encode(), BANK, profile)
    charge, refund = parsed.transactions
    assert (charge.kind, charge.gross_minor, charge.fee_minor) == (Kind.CHARGE, 10_000, 350)
    assert charge.batch_id == "b1"
    assert charge.occurred_at.isoformat() == "2026-02-03T15:00:00+00:00"
    assert (refund.kind, refund.amount_minor, refund.fee_minor) == (Kind.REFUND, -10_000, -100)
    assert [p.code for p in parsed.problems] == ["row.net"]


@pytest.mark.parametrize(
    ("text", "minor"),
    [
        ("1,234.56", 123456),
        ("-1,234.56", -123456),
        ("1,234.56-", -123456),
        ("(1,234.56)", -123456),
        ("1234.56 DR", -123456),
        ("1234.56CR", 123456),
        ("J$1,234.56", 123456),
        ("JMD 1,234.56", 123456),
        ("-$5", -500),
        ("$-5", -500),
        ("\u22125.00", -500),
        ("12,34,567.00", 123456700),
        (".5", 50),
        ("+7", 700),
    ],
)
def test_numbers_as_people_write_them(text: str, minor: int) -> None:
    assert number(text, Amounts(amount="a"), "JMD") == minor


@pytest.mark.parametrize(
    "text",
    ["", "-", "1,23.45", "1.2.3", "1 000", "abc", "1e5", "٣", "1,2345.00", "0.001", "--5", "()"],
)
def test_what_is_no_number(text: str) -> None:
    with pytest.raises(MoneyError):
        number(text, Amounts(amount="a"), "JMD")


@given(st.integers(-(10**12), 10**12))
def test_a_number_written_is_the_number_read(minor: int) -> None:
    whole, part = divmod(abs(minor), 100)
    sign = "-" if minor < 0 else ""
    european = f"{sign}{whole:,}.{part:02d}".translate(str.maketrans(",.", ".,"))
    marks = Amounts(amount="a", decimal_mark=",", thousands_mark=".")
    assert number(f"{sign}{whole:,}.{part:02d}", Amounts(amount="a"), "JMD") == minor
    assert number(european, marks, "JMD") == minor
    assert number(str(Money(minor, "JMD")), Amounts(amount="a"), "JMD") == minor


@pytest.mark.parametrize(
    "changes",
    [
        {"amounts": {"amount": "a", "debit": "b", "credit": "c"}},
        {"amounts": {"debit": "b"}},
        {"amounts": {}},
        {"amounts": {"amount": "a", "decimal_mark": ",", "thousands_mark": ","}},
        {"dates": {"occurred": "d", "formats": []}},
        {"dates": {"occurred": "d", "formats": ["%H:%M"]}},
        {"dates": {"occurred": "d", "formats": ["%Y%Y%m%d"]}},
        {"dates": {"occurred": "d", "zone": "Mars/Olympus"}},
        {"currency": "BTC"},
        {"currency": ""},
        {"name": "../etc"},
        {"code": "import os"},
        {"headings": False},
        {"account_column": {"start": 1, "length": 3}},
        {"kind": "fixed_width"},
    ],
)
def test_a_profile_that_cannot_work_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        a_profile(**changes)


def test_a_profile_is_data_and_comes_back_as_it_went() -> None:
    profile = a_profile()
    assert Profile.model_validate_json(profile.model_dump_json()) == profile
