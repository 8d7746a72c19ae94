"""The simulated bank: its statements tie, chain, stay as they were written, and can be broken."""

from __future__ import annotations

import re
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import mt940
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local.bank import mt940 as writer
from local.bank.amounts import decimal, minor
from tests.unit.local.simulated import JMD_ACCOUNT, USD_ACCOUNT, Branch

CAMT = {"c": "urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"}


@pytest.fixture
def branch(tmp_path: Path) -> Branch:
    return Branch(tmp_path)


def cents(text: str | None) -> int:
    return int(Decimal(str(text)) * 100)


def camt_balance(root: ElementTree.Element, code: str) -> int:
    for balance in root.iterfind(".//c:Bal", CAMT):
        if balance.findtext("c:Tp/c:CdOrPrtry/c:Cd", namespaces=CAMT) == code:
            sign = -1 if balance.findtext("c:CdtDbtInd", namespaces=CAMT) == "DBIT" else 1
            return sign * cents(balance.findtext("c:Amt", namespaces=CAMT))
    raise AssertionError(f"no balance {code}")


def camt_entries(root: ElementTree.Element) -> list[int]:
    return [
        (-1 if entry.findtext("c:CdtDbtInd", namespaces=CAMT) == "DBIT" else 1)
        * cents(entry.findtext("c:Amt", namespaces=CAMT))
        for entry in root.iterfind(".//c:Ntry", CAMT)
    ]


def tell_three_days(branch: Branch, account: str) -> None:
    branch.credit(account=account)
    branch.credit(account=account, name="Ramón Núñez", reference="Hand <3> & more", nth=1)
    branch.ask(
        "POST",
        "/debits",
        account=account,
        amount_minor=2_599,
        value_date="2026-11-24",
        kind="charge",
    )
    branch.credit(7, account=account, value_date="2026-11-25", kind="settlement")


def test_camt_statements_tie_and_each_opens_where_the_last_one_closed(branch: Branch) -> None:
    tell_three_days(branch, JMD_ACCOUNT)

    days = ("2026-11-23", "2026-11-24", "2026-11-25", "2026-11-26")
    roots = [ElementTree.fromstring(branch.statement(day)) for day in days]

    for number, root in enumerate(roots, start=1):
        opening, closing = camt_balance(root, "OPBD"), camt_balance(root, "CLBD")
        assert opening + sum(camt_entries(root)) == closing
        assert root.findtext(".//c:ElctrncSeqNb", namespaces=CAMT) == str(number)
        assert root.findtext(".//c:TxsSummry/c:TtlNtries/c:NbOfNtries", namespaces=CAMT) == str(
            len(camt_entries(root))
        )
    for one, following in pairwise(roots):
        assert camt_balance(one, "CLBD") == camt_balance(following, "OPBD")


def test_mt940_statements_tie_and_each_opens_where_the_last_one_closed(branch: Branch) -> None:
    tell_three_days(branch, USD_ACCOUNT)

    days = ("2026-11-23", "2026-11-24", "2026-11-25", "2026-11-26")
    texts = [branch.statement(day, USD_ACCOUNT).decode("ascii") for day in days]
    read = [mt940.parse(text) for text in texts]

    for statement in read:
        opening = statement.data["final_opening_balance"].amount.amount
        closing = statement.data["final_closing_balance"].amount.amount
        assert opening + sum(line.data["amount"].amount for line in _lines(statement)) == closing
    for one, following in pairwise(read):
        closed = one.data["final_closing_balance"].amount
        assert closed == following.data["final_opening_balance"].amount
    assert [statement.data["statement_number"] for statement in read] == [
        f"{number:05d}" for number in (1, 2, 3, 4)
    ]


def _lines(statement: mt940.models.Transactions) -> list[mt940.models.Transaction]:
    return [line for line in statement if "amount" in line.data]


def test_an_entry_says_who_why_and_how_much_was_kept(branch: Branch) -> None:
    entry = branch.credit(
        490_000,
        name="Ramón & Co",
        end_to_end="E2E-1",
        creditor_reference="RF18539007547034",
        charges_minor=10_000,
    )

    root = ElementTree.fromstring(branch.statement())

    details = root.find(".//c:TxDtls", CAMT)
    assert details is not None
    found = {
        path: details.findtext(path, namespaces=CAMT)
        for path in (
            "c:Refs/c:AcctSvcrRef",
            "c:Refs/c:EndToEndId",
            "c:RltdPties/c:Dbtr/c:Pty/c:Nm",
            "c:RmtInf/c:Ustrd",
            "c:RmtInf/c:Strd/c:CdtrRefInf/c:Ref",
            "c:AmtDtls/c:InstdAmt/c:Amt",
            "c:Chrgs/c:Rcrd/c:Amt",
        )
    }
    assert list(found.values()) == [
        entry["id"],
        "E2E-1",
        "Ramón & Co",
        "PDN-7K3Q-R01-04",
        "RF18539007547034",
        "5000.00",
        "100.00",
    ]


def test_the_same_transfer_told_twice_is_booked_once_and_a_look_alike_twice(
    branch: Branch,
) -> None:
    first = branch.credit()

    assert branch.credit() == first
    assert branch.credit(nth=2)["id"] != first["id"]
    assert len(branch.desk.books.entries) == 2


def test_a_statement_once_written_never_changes(branch: Branch) -> None:
    branch.credit()
    first = branch.statement()
    late = branch.credit(reference="late")

    assert branch.statement() == first
    assert branch.statement(name="again.xml") == first
    assert late["booking_date"] == "2026-11-24"
    assert late["value_date"] == "2026-11-23"
    assert late["id"].encode() in branch.statement("2026-11-24")


def test_books_survive_a_restart(branch: Branch) -> None:
    branch.credit()
    before = branch.statement()

    reopened = Branch(branch.root)

    assert reopened.statement() == before
    assert reopened.desk.digest() == branch.desk.digest()


def test_a_closing_balance_can_be_wrong_by_a_cent(branch: Branch) -> None:
    branch.credit()
    true = ElementTree.fromstring(branch.statement())

    wrong = ElementTree.fromstring(branch.statement(corrupt="closing_balance"))

    assert camt_balance(wrong, "CLBD") == camt_balance(true, "CLBD") + 1
    assert camt_entries(wrong) == camt_entries(true)


@pytest.mark.parametrize("account", [JMD_ACCOUNT, USD_ACCOUNT])
def test_a_page_can_be_missing(branch: Branch, account: str) -> None:
    tell_three_days(branch, account)

    page = branch.statement(account=account, corrupt="missing_page").decode()

    if account == JMD_ACCOUNT:
        assert page.count("<Ntry>") == 1
        assert "<LastPgInd>false</LastPgInd>" in page
        assert "ITBD" in page
        assert "CLBD" not in page
    else:
        assert page.count("\n:61:") == 1
        assert ":62M:" in page
        assert ":62F:" not in page


@pytest.mark.parametrize("account", [JMD_ACCOUNT, USD_ACCOUNT])
def test_a_file_can_be_cut_off(branch: Branch, account: str) -> None:
    branch.credit(account=account)

    whole = branch.statement(account=account)
    cut = branch.statement(account=account, corrupt="truncated")

    assert whole.startswith(cut)
    assert len(cut) < len(whole)


def test_what_makes_no_sense_is_refused(branch: Branch) -> None:
    branch.credit()
    branch.statement("2026-11-25")

    assert "last statement" in branch.refused(
        "POST", "/statements", account=JMD_ACCOUNT, date="2026-11-24"
    )
    assert "not a date" in branch.refused("POST", "/statements", account=JMD_ACCOUNT, date="today")
    assert "no such account" in branch.refused(
        "POST", "/statements", account="1", date="2026-11-23"
    )
    assert "JMD" in branch.refused(
        "POST",
        "/credits",
        account=JMD_ACCOUNT,
        amount_minor=1,
        currency="USD",
        value_date="2026-11-23",
    )
    assert "positive" in branch.refused(
        "POST", "/credits", account=JMD_ACCOUNT, amount_minor=-1, value_date="2026-11-23"
    )
    assert "file name" in branch.refused(
        "POST", "/statements", account=JMD_ACCOUNT, date="2026-11-25", name="../x"
    )
    assert branch.control.handle("POST", "/credits", b'{"amount_minor": 1.5}')[0] == 400


names = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=70)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None
)
@given(name=names, reference=names, end_to_end=st.from_regex(r"[A-Za-z0-9-]{0,35}", fullmatch=True))
def test_any_text_makes_a_statement_that_the_reader_understands(
    tmp_path: Path, name: str, reference: str, end_to_end: str
) -> None:
    branch = Branch(tmp_path)
    day = "2026-11-23"
    for account in (JMD_ACCOUNT, USD_ACCOUNT):
        branch.desk.books.statements.clear()
        entry = branch.credit(
            account=account, name=name, reference=reference, end_to_end=end_to_end, value_date=day
        )
        content = branch.statement(day, account).decode()
        assert entry["id"] in content
        if account == JMD_ACCOUNT:
            ElementTree.fromstring(content)
            continue
        lines = content.split("\r\n")
        assert all(len(line) <= 65 + len(":86:") for line in lines if not line.startswith("{"))
        assert all(re.match(r"[{:/]|-}|[^-: ]", line) for line in lines[:-1])
        assert _lines(mt940.parse(content))
        if end_to_end:
            joined = content.replace("\r\n", "")
            assert f"/EREF/{end_to_end}" in joined


def test_accents_are_dropped_where_the_format_has_none() -> None:
    assert writer.plain("Ramón Núñez & Söhne £5") == "Ramon Nunez   Sohne  5"


@settings(deadline=None)
@given(st.integers(min_value=0, max_value=10**15))
def test_amounts_survive_the_way_out_and_back(amount: int) -> None:
    assert minor(decimal(amount)) == amount


@pytest.mark.parametrize("text", ["", "1,00", "-1.00", "1.005", "1e3", "."])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"amount|decimals"):
        minor(text)
