"""Every format that is text, in every encoding and with every line end: it says the same."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import Any

import pytest

from pardna.formats import registry
from pardna.formats.items import collect
from pardna.formats.model import Parsed
from pardna.formats.streaming import open_stream
from pardna.runtime.errors import UnreadableFile
from tests.support.formats import BANK, a_camt053, an_entry
from tests.unit.formats.test_bank_texts import (
    BAI2,
    BATCH,
    CONTROL,
    ENTRY,
    FILE_CONTROL,
    HEADER,
    OFX,
)
from tests.unit.formats.test_mt940 import GOOD
from tests.unit.formats.test_mt942 import REPORT
from tests.unit.formats.test_pain002 import REPORT as STATUSES
from tests.unit.formats.test_processors import (
    ADYEN_REPORT,
    BRAINTREE,
    PAYPAL_REPORT,
    WORLDPAY,
    adyen_item,
)

STRIPE_REPORT = (
    "automatic_payout_id,balance_transaction_id,currency,gross,fee,net,reporting_category,"
    "source_id,created,description\n"
    "po_1,txn_1,jmd,50.00,2.00,48.00,charge,ch_1,2026-02-03 10:00:00,Renée\n"
)
BREAKDOWN = (
    "Client Entity ID,Type,Payment ID,Reference,Processed On,Available On,Holding Currency,"
    "Payout ID,Gross In Holding Currency,Deduction In Holding Currency,Net In Holding Currency\n"
    "m1,Charge,pay_1,Renée,2026-02-03T10:00:00,2026-02-05,USD,PO1,100.00,-3.20,96.80\n"
)
PAYOUTS = (
    "Currency Account ID,Holding Currency,Payout ID,Payout Date,Payout Amount\n"
    "ca_1,USD,PO1,2026-02-05,76.80\n"
)
NAMED = "<RmtInf><Ustrd>Renée</Ustrd></RmtInf>"
TEXTS = {
    "mt940": GOOD.replace("Marcia Lee", "Renée Lee"),
    "mt942": REPORT.replace("hand", "Renée"),
    "bai2": BAI2.replace("Marcia", "Renée"),
    "ofx": OFX.replace("Marcia", "Renée"),
    "nacha": "\n".join(
        r.ljust(94)
        for r in (HEADER, BATCH, ENTRY.replace("MARCIA", "RENÉE "), CONTROL, FILE_CONTROL)
    ),
    "adyen.settlement": ADYEN_REPORT.replace("order-1", "Renée"),
    "paypal.settlement": PAYPAL_REPORT.replace('"inv"', '"Renée"'),
    "stripe.payout_report": STRIPE_REPORT,
    "checkout breakdown": BREAKDOWN,
    "checkout payouts": PAYOUTS.replace("ca_1", "Renée"),
}
XML = {
    "camt": a_camt053(an_entry(details=f"<TxDtls>{NAMED}</TxDtls>")).decode(),
    "pain.002": STATUSES.format(version="10").partition("?>")[2].replace("closed", "Renée"),
    "ofx 2": '<?OFX OFXHEADER="200" VERSION="211"?>\n<OFX><BANKMSGSRSV1><STMTTRNRS><STMTRS>'
    "<CURDEF>USD</CURDEF><BANKACCTFROM><ACCTID>1</ACCTID></BANKACCTFROM><BANKTRANLIST><STMTTRN>"
    "<TRNTYPE>CREDIT</TRNTYPE><DTPOSTED>20260203</DTPOSTED><TRNAMT>1.00</TRNAMT><FITID>1</FITID>"
    "<NAME>Renée</NAME></STMTTRN></BANKTRANLIST></STMTRS></STMTTRNRS></BANKMSGSRSV1></OFX>",
    "worldpay": WORLDPAY.partition("?>")[2].replace("</lastEvent>", "</lastEvent>é").lstrip(),
    "braintree": BRAINTREE.replace("<type>", "<order-id>Renée</order-id><type>"),
}
JSON: dict[str, Any] = {
    "adyen": adyen_item("CAPTURE", merchantReference="Renée"),
    "gocardless": {
        "payments": [
            {
                "id": "PM1",
                "amount": 1,
                "currency": "GBP",
                "status": "paid_out",
                "description": "Renée",
                "created_at": "2026-02-01T10:00:00Z",
            }
        ]
    },
}
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1", "cp1252")
ENDS = ("\n", "\r\n", "\r")


def said(data: bytes) -> Parsed:
    """What a file says, by both ways of reading it."""
    parsed = registry.parse(data, BANK)
    assert collect(*open_stream(io.BytesIO(data), BANK)) == parsed
    return parsed


def of_worth(parsed: Parsed) -> bool:
    return bool(parsed.all_transactions or parsed.statuses)


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("end", ENDS, ids=["lf", "crlf", "cr"])
def test_a_text_says_the_same(name: str, encoding: str, end: str) -> None:
    text = TEXTS[name]
    plain = said(text.encode())
    assert of_worth(plain)
    assert said(text.replace("\n", end).encode(encoding)) == plain


@pytest.mark.parametrize("name", XML)
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("end", ENDS, ids=["lf", "crlf", "cr"])
def test_xml_says_the_same_in_the_encoding_that_it_declares(
    name: str, encoding: str, end: str
) -> None:
    declared = {"utf-8-sig": "UTF-8", "utf-16-le": "UTF-16", "utf-16-be": "UTF-16"}
    written = {"cp1252": "windows-1252", "latin-1": "ISO-8859-1"}.get(encoding, encoding)
    head = f'<?xml version="1.0" encoding="{declared.get(encoding, written)}"?>'
    plain = said(XML[name].encode())
    assert of_worth(plain)
    assert said((head + XML[name]).replace("\n", end).encode(encoding)) == plain


@pytest.mark.parametrize("name", ["camt", "pain.002"])
def test_xml_in_another_encoding_than_it_declares_is_refused(name: str) -> None:
    with pytest.raises(UnreadableFile, match="malformed"):
        said(XML[name].encode("latin-1"))


@pytest.mark.parametrize("name", JSON)
@pytest.mark.parametrize("encoding", ENCODINGS[:5])
@pytest.mark.parametrize("end", ENDS, ids=["lf", "crlf", "cr"])
def test_json_says_the_same(name: str, encoding: str, end: str) -> None:
    text = json.dumps(JSON[name], indent=1, ensure_ascii=False)
    plain = said(text.encode())
    assert of_worth(plain)
    assert said(text.replace("\n", end).encode(encoding)) == plain


@pytest.mark.parametrize("name", TEXTS)
def test_blank_lines_before_and_after_do_not_matter(name: str) -> None:
    plain = said(TEXTS[name].encode())
    found = said(f"\n\n{TEXTS[name]}\n\n".encode())
    for one, other in zip(plain.all_transactions, found.all_transactions, strict=True):
        assert replace(one, raw_position="") == replace(other, raw_position="")
