"""The simulated bank: payment files are paid once, and refused with the right reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.bank.folders import Folders
from tests.unit.local.simulated import JMD_ACCOUNT, USD_ACCOUNT, Branch, a_payment_file


@pytest.fixture
def branch(tmp_path: Path) -> Branch:
    return Branch(tmp_path)


@pytest.mark.parametrize("version", ["03", "09"])
def test_a_payment_file_is_paid_answered_and_moved(branch: Branch, version: str) -> None:
    branch.upload("batch-1.xml", a_payment_file(amounts=("5000.00", "2500.50"), version=version))

    payments = branch.ask("GET", "/payments")
    assert payments["paid"] == 2
    assert [one["end_to_end"] for one in payments["payments"]] == ["batch-1-1", "batch-1-2"]
    answer = branch.answers()["pain002_batch-1.xml"]
    assert "<GrpSts>ACSC</GrpSts>" in answer
    assert answer.count("<TxSts>ACSC</TxSts>") == 2
    home = branch.desk.folders["ncb"].home
    assert [path.name for path in (home / "done").iterdir()] == ["batch-1.xml"]
    assert list((home / "in").iterdir()) == []


def test_the_next_statement_carries_the_debits_with_their_references(branch: Branch) -> None:
    branch.upload("batch-1.xml", a_payment_file())

    statement = branch.statement("2026-11-23").decode()

    assert "<EndToEndId>batch-1-1</EndToEndId>" in statement
    assert "<PmtInfId>batch-1-P1</PmtInfId>" in statement
    assert "<MsgId>batch-1</MsgId>" in statement
    assert "<CdtDbtInd>DBIT</CdtDbtInd>" in statement


@pytest.mark.parametrize("again", ["batch-1.xml", "batch-1-retry.xml"])
def test_a_message_sent_twice_is_paid_once(branch: Branch, again: str) -> None:
    branch.upload("batch-1.xml", a_payment_file())
    branch.upload(again, a_payment_file())

    assert branch.ask("GET", "/payments")["paid"] == 1
    assert branch.ask("GET", "/payments")["files_received"] == 2
    refused = branch.answers()["pain002_batch-1_2.xml"]
    assert "<GrpSts>RJCT</GrpSts>" in refused
    assert "<Cd>AM05</Cd>" in refused
    assert "<TxInfAndSts>" not in refused
    assert "<GrpSts>ACSC</GrpSts>" in branch.answers()["pain002_batch-1.xml"]


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        (a_payment_file(control_sum="5000.01"), "AM10"),
        (a_payment_file(count=2), "AM18"),
        (a_payment_file(day="2026-13-01"), "DT01"),
        (a_payment_file(account="999"), "AC02"),
        (a_payment_file(account=USD_ACCOUNT), "AC02"),
        (a_payment_file(currency="USD"), "AM03"),
        (a_payment_file(amounts=("0.00",)), "AM01"),
        (a_payment_file(amounts=("1000000.01",)), "AM02"),
        (a_payment_file(amounts=("300000.00",)), "AM04"),
        (a_payment_file(creditor_account="not-a-number"), "AC03"),
    ],
)
def test_what_cannot_be_paid_is_rejected_with_its_reason(
    branch: Branch, file: bytes, reason: str
) -> None:
    branch.upload("batch-1.xml", file)

    answer = branch.answers()["pain002_batch-1.xml"]
    assert "<GrpSts>RJCT</GrpSts>" in answer
    assert f"<Cd>{reason}</Cd>" in answer
    assert branch.ask("GET", "/payments")["paid"] == 0
    assert branch.desk.books.entries == {}


@pytest.mark.parametrize(
    "content", [b"garbage", b"<a/>", b"<!DOCTYPE x><a/>", a_payment_file()[:-40]]
)
def test_an_unreadable_file_is_answered_under_its_own_name(branch: Branch, content: bytes) -> None:
    branch.upload("odd.xml", content)

    assert "<Cd>FF01</Cd>" in branch.answers()["pain002_odd.xml.xml"]


def test_large_items_go_by_real_time_settlement_only(branch: Branch) -> None:
    branch.credit(200_000_000)

    branch.upload("batch-1.xml", a_payment_file(amounts=("1000000.01",), service="URGP"))

    assert branch.ask("GET", "/payments")["paid"] == 1


def test_a_file_is_paid_in_part_when_the_money_ends(branch: Branch) -> None:
    branch.upload("batch-1.xml", a_payment_file(amounts=("200000.00", "60000.00", "50000.00")))

    answer = branch.answers()["pain002_batch-1.xml"]
    assert "<GrpSts>PART</GrpSts>" in answer
    statuses = [one["status"] for one in branch.ask("GET", "/payments")["payments"]]
    assert statuses == ["ACSC", "RJCT", "ACSC"]


def test_a_payee_can_be_refused(branch: Branch) -> None:
    branch.ask("POST", "/refusals", creditor_account="100200300", reason="AC04")

    branch.upload("batch-1.xml", a_payment_file())

    assert "<Cd>AC04</Cd>" in branch.answers()["pain002_batch-1.xml"]
    assert "not a reason" in branch.refused(
        "POST", "/refusals", creditor_account="1", reason="XX99"
    )


def test_held_payments_are_paid_when_they_are_released(branch: Branch) -> None:
    branch.ask("POST", "/faults", name="hold_payments")
    branch.upload("batch-1.xml", a_payment_file())
    assert branch.answers() == {}

    branch.ask("DELETE", "/faults")

    assert branch.ask("GET", "/payments")["paid"] == 1


def test_a_debit_for_a_day_already_stated_falls_on_the_next(branch: Branch) -> None:
    branch.statement("2026-11-23")

    branch.upload("batch-1.xml", a_payment_file(day="2026-11-20"))

    (entry,) = branch.desk.books.entries.values()
    assert (entry.booking_date, entry.value_date) == ("2026-11-24", "2026-11-20")
    assert branch.desk.books.balance_minor(JMD_ACCOUNT) == 25_000_000 - 500_000


def test_only_finished_files_count(tmp_path: Path) -> None:
    folders = Folders(tmp_path, "ncb")
    incoming = folders.home / "in"
    for name in ("whole.xml", "half.xml.part", "open.xml"):
        (incoming / name).write_bytes(b"x")

    assert folders.complete_uploads({incoming / "open.xml"}) == [incoming / "whole.xml"]


def test_processed_files_keep_their_name_and_are_never_overwritten(tmp_path: Path) -> None:
    folders = Folders(tmp_path, "ncb")
    retired = []
    for _ in range(3):
        upload = folders.home / "in" / "a.xml"
        upload.write_bytes(b"x")
        retired.append(folders.retire(upload).name)

    assert retired == ["a.xml", "a.xml.2", "a.xml.3"]
