"""BAI2, OFX and NACHA: the rules that the corpora do not show."""

from __future__ import annotations

import pytest

from pardna.formats import bai2, nacha, ofx, registry
from pardna.formats.text_lines import LINE_MAX
from pardna.runtime.errors import UnreadableFile
from pardna.transactions.model import Strength
from tests.support.formats import BANK

BAI2 = """01,NCB,PARDNA,260203,0900,1,,,2/
02,PARDNA,NCB,1,260203,,JMD,2/
03,001-12345,JMD,010,100000,,,015,585000,,/
16,165,500000,V,260204,,BR1,PDN1,PDN-7K3Q-R01-04, from Marcia/
16,564,15000,0,BR2,,Charge/
49,1200000,4/
98,1200000,1,6/
99,1200000,1,8/
"""


def test_bai2_gives_a_statement_for_each_account() -> None:
    assert registry.detect(BAI2.encode()) == "bai2"
    parsed = bai2.read(BAI2.encode(), BANK)
    (statement,) = parsed.statements
    assert parsed.problems == statement.problems == ()
    assert statement.ties
    credit, debit = statement.transactions
    assert (credit.amount_minor, debit.amount_minor) == (500_000, -15_000)
    assert str(credit.value_date) == "2026-02-04"
    assert credit.description == "PDN-7K3Q-R01-04, from Marcia"
    assert "PDN-7K3Q-R01-04" in {r.value for r in credit.references}


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("49,1200000", "49,1200001", "bai2.account_total"),
        ("98,1200000,1", "98,1200000,2", "bai2.group_total"),
        ("99,1200000,1,8/\n", "", "bai2.truncated"),
        ("16,564,15000", "16,564,15o00", "bai2.amount"),
        ("16,564", "16,010", "bai2.type"),
        ("49,1200000,4/\n", "", "bai2.account_trailer"),
        (",JMD,010", ",JJJ,010", "bai2.currency"),
    ],
)
def test_bai2_names_what_does_not_hold(old: str, new: str, code: str) -> None:
    parsed = bai2.read(BAI2.replace(old, new).encode(), BANK)
    problems = [*parsed.problems, *(p for s in parsed.statements for p in s.problems)]
    assert code in {p.code for p in problems} or (
        code == "bai2.account_trailer" and "bai2.group_total" in {p.code for p in problems}
    )


@pytest.mark.parametrize("status", ["2", "4"])
def test_bai2_groups_that_delete_or_test_do_not_count(status: str) -> None:
    text = BAI2.replace("02,PARDNA,NCB,1,", f"02,PARDNA,NCB,{status},")
    parsed = bai2.read(text.encode(), BANK)
    assert parsed.all_transactions == ()
    assert parsed.statements[0].entries_count == 2
    assert "bai2.group_status" in {p.code for p in parsed.problems}


def test_bai2_without_end_of_line_is_refused_not_read_into_memory() -> None:
    with pytest.raises(UnreadableFile, match="too long"):
        bai2.read(b"01," + b"9" * (LINE_MAX + 10), BANK)


OFX = """OFXHEADER:100
DATA:OFXSGML
VERSION:102
CHARSET:1252

<OFX><BANKMSGSRSV1><STMTTRNRS><STMTRS><CURDEF>JMD<BANKACCTFROM><ACCTID>001-12345</BANKACCTFROM>
<BANKTRANLIST>
<STMTTRN><TRNTYPE>CREDIT<DTPOSTED>20260203120000[-5:EST]<TRNAMT>5000.00<FITID>F1<NAME>Marcia &amp; Co
<MEMO>PDN-7K3Q-R01-04</STMTTRN>
<STMTTRN><TRNTYPE>FEE<DTPOSTED>20260204<TRNAMT>-150,00<FITID>F1</STMTTRN>
</BANKTRANLIST><LEDGERBAL><BALAMT>5850.00<DTASOF>20260204</LEDGERBAL></STMTRS></STMTTRNRS>
</BANKMSGSRSV1></OFX>
"""


def test_ofx_reads_sgml() -> None:
    assert registry.detect(OFX.encode()) == "ofx"
    parsed = ofx.read(OFX.encode(), BANK)
    (statement,) = parsed.statements
    assert parsed.format == "OFX 102"
    assert (statement.opening_minor, statement.closing_minor) == (None, 585_000)
    credit, fee = statement.transactions
    assert credit.occurred_at.isoformat() == "2026-02-03T17:00:00+00:00"
    assert credit.counterparty.name == "Marcia & Co"
    assert fee.amount_minor == -15_000
    assert credit.external_id != fee.external_id
    assert [p.code for p in statement.problems] == ["ofx.fitid_repeated"]


@pytest.mark.parametrize(
    "hostile",
    [
        '<?xml version="1.0"?><!DOCTYPE OFX [<!ENTITY a "b">]><OFX></OFX>',
        "<OFX><!ENTITY lol 'x'></OFX>",
    ],
)
def test_ofx_with_entities_is_refused(hostile: str) -> None:
    with pytest.raises(UnreadableFile):
        ofx.read(hostile.encode(), BANK)


def _nacha(*records: str) -> bytes:
    return "\n".join(r.ljust(94) for r in records).encode()


HEADER = "101 091400606 6910001341810170306A094101FIRST BANK             PARDNA                 "
BATCH = (
    "5200PARDNA                              123456789 PPDPAYMENTS        260203   1091000010000001"
)
ENTRY = (
    "622091400606123456789        0000500000PDN7K3QR0104   MARCIA BROWN            0091000010000001"
)
CONTROL = (
    "820000000100091400600000000000000000005000001234567890                         091000010000001"
)
FILE_CONTROL = "9000001000001000000010009140060000000000000000000500000"


def test_nacha_reads_entries_and_compares_totals() -> None:
    control = CONTROL[:44] + "123456789 " + CONTROL[54:]
    data = _nacha(HEADER, BATCH, ENTRY, control, FILE_CONTROL)
    assert registry.detect(data) == "nacha"
    parsed = nacha.read(data, BANK)
    problems = [*parsed.problems, *parsed.statements[0].problems]
    assert problems == []
    (transaction,) = parsed.statements[0].transactions
    assert transaction.amount_minor == 500_000
    assert transaction.counterparty.name == "MARCIA BROWN"


def test_nacha_return_is_a_status_and_names_what_it_returns() -> None:
    entry = ENTRY[:1] + "26" + ENTRY[3:78] + "1" + ENTRY[79:]
    addenda = "799R01091000020000009      09140060".ljust(79) + "091000010000001"
    parsed = nacha.read(_nacha(HEADER, BATCH, entry, addenda), BANK)
    (transaction,) = parsed.statements[0].transactions
    assert transaction.amount_minor == -500_000
    (status,) = parsed.statuses
    assert (status.status, status.reason_code) == ("RJCT", "R01")
    assert ("091000020000009", Strength.STRONG) in {
        (r.value, r.strength) for r in transaction.references if r.type == "trace"
    }
    codes = {p.code for p in (*parsed.problems, *parsed.statements[0].problems)}
    assert {"nacha.batch_control", "nacha.file_control"} <= codes
