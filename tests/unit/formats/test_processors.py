"""Payment processors other than Stripe: one movement has one identity, by whatever route."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import urlencode

import pytest

from pardna.formats import (
    adyen,
    adyen_settlement,
    braintree,
    checkout,
    checkout_settlement,
    gocardless,
    mollie,
    paypal,
    paypal_settlement,
    razorpay,
    registry,
    square,
    worldpay,
)
from pardna.formats.model import Origin, Parsed
from pardna.runtime.errors import UnreadableFile
from pardna.transactions.merging import merge
from pardna.transactions.model import Kind, Transaction

ORIGIN = Origin("kgn-one", "psp", "a" * 64, "m1")


def read(document: Any) -> Parsed:
    """As whoever receives it: by what it is."""
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    return registry.parse(data, ORIGIN)


def only(parsed: Parsed) -> Transaction:
    assert parsed.problems == ()
    (transaction,) = parsed.transactions
    return transaction


def agree(first: Transaction, second: Transaction) -> None:
    """Two routes: one transaction, and one content in either order."""
    assert first.transaction_id == second.transaction_id
    assert merge(first, second).content_hash == merge(second, first).content_hash


def adyen_item(
    code: str, value: int = 10_000, currency: str = "EUR", **more: Any
) -> dict[str, Any]:
    item = {
        "amount": {"currency": currency, "value": value},
        "eventCode": code,
        "eventDate": "2026-02-03T10:00:00+01:00",
        "merchantAccountCode": "m1",
        "merchantReference": "order-1",
        "originalReference": "PAY1",
        "pspReference": "CAP1",
        "success": "true",
    }
    return {"live": "false", "notificationItems": [{"NotificationRequestItem": item | more}]}


ADYEN_HEADINGS = (
    "Company Account,Merchant Account,Psp Reference,Merchant Reference,Payment Method,"
    "Creation Date,TimeZone,Type,Modification Reference,Gross Currency,Gross Debit (GC),"
    "Gross Credit (GC),Exchange Rate,Net Currency,Net Debit (NC),Net Credit (NC),"
    "Commission (NC),Markup (NC),Scheme Fees (NC),Interchange (NC),Batch Number\n"
)
ADYEN_REPORT = ADYEN_HEADINGS + (
    "C,m1,PAY1,order-1,visa,2026-02-03 10:00:00,CET,Settled,CAP1,EUR,,100.00,1,EUR,,97.50,,1,1,0.5,7\n"
    "C,m1,PAY1,order-1,visa,2026-02-04 10:00:00,CET,Refunded,REF1,EUR,40.00,,1,EUR,40.10,,,.1,,,7\n"
    "C,m1,PAY2,order-2,visa,2026-02-04 10:00:00,CET,Settled,CAP2,USD,,50.00,0.9,EUR,,44.00,1,,,,7\n"
    "C,m1,,,,2026-02-05 10:00:00,CET,Fee,Transaction Fees,,,,,EUR,1.40,,,,,,7\n"
    "C,m1,,,,2026-02-05 10:00:00,CET,MerchantPayout,TX1,,,,,EUR,100.00,,,,,,7\n"
)


def test_adyens_webhook_and_report_are_one_charge() -> None:
    webhook = only(read(adyen_item("CAPTURE")))
    report = read(ADYEN_REPORT.encode())
    assert report.problems == ()
    charge = report.transactions[0]
    agree(webhook, charge)
    assert (charge.gross_minor, charge.fee_minor, charge.net_minor) == (10_000, 250, 9_750)


def test_adyens_batch_pays_out_what_its_rows_give() -> None:
    report = adyen_settlement.read(ADYEN_REPORT.encode(), ORIGIN)
    assert sum(t.net_minor or 0 for t in report.transactions) == 0
    assert {t.batch_id for t in report.transactions} == {"m1/7"}
    refund, foreign, payout = report.transactions[1], report.transactions[2], report.transactions[4]
    assert (refund.kind, refund.amount_minor, refund.fee_minor) == (Kind.REFUND, -4_000, 10)
    assert (foreign.currency, foreign.gross_minor, foreign.fee_minor) == ("EUR", 4_500, 100)
    assert (payout.kind, payout.amount_minor) == (Kind.PAYOUT, -10_000)
    # A webhook tells of the same capture in dollars: one movement has one currency.
    dollars = only(read(adyen_item("CAPTURE", 5_000, "USD", pspReference="CAP2")))
    assert dollars.transaction_id != foreign.transaction_id


def test_adyens_fees_finer_than_a_cent_are_not_rounded() -> None:
    report = ADYEN_REPORT.replace(",44.00,1,,,,7", ",44.00,0.5025,,,,7")
    foreign = adyen_settlement.read(report.encode(), ORIGIN).transactions[2]
    assert (foreign.amount_minor, foreign.fee_minor, foreign.net_minor) == (4_400, None, None)


@pytest.mark.parametrize(
    ("code", "more", "amount"),
    [
        ("AUTHORISATION", {}, None),
        ("CAPTURE", {"success": "false"}, None),
        ("REFUND", {}, -10_000),
        ("CHARGEBACK", {}, -10_000),
        ("CHARGEBACK_REVERSED", {}, 10_000),
        ("CAPTURE_FAILED", {}, -10_000),
        ("SETTLED_REVERSED", {}, -10_000),
        ("REFUND_FAILED", {}, 10_000),
        ("CANCEL_OR_REFUND", {"additionalData": {"modification.action": "refund"}}, -10_000),
        ("CANCEL_OR_REFUND", {"additionalData": {"modification.action": "cancel"}}, None),
        ("REPORT_AVAILABLE", {}, None),
    ],
)
def test_only_what_moves_money_is_a_movement(
    code: str, more: dict[str, Any], amount: int | None
) -> None:
    parsed = adyen.read(json.dumps(adyen_item(code, **more)).encode(), ORIGIN)
    assert parsed.problems == ()
    assert [t.amount_minor for t in parsed.transactions] == ([] if amount is None else [amount])


def test_adyen_counts_some_currencies_otherwise() -> None:
    assert only(read(adyen_item("CAPTURE", 12_300, "CLP"))).amount_minor == 123
    assert only(read(adyen_item("CAPTURE", 123, "IDR"))).amount_minor == 12_300
    assert read(adyen_item("CAPTURE", 12_345, "CLP")).problems[0].code == "row.amount"


PAYPAL_REPORT = (
    '"RH","2026/02/04 02:00:00 -0500","A","ACC1","010"\n'
    '"FH","01"\n'
    '"SH","2026/02/03 00:00:00 -0500","2026/02/03 23:59:59 -0500","ACC1",""\n'
    '"CH","Transaction ID","Invoice ID","PayPal Reference ID","PayPal Reference ID Type",'
    '"Transaction Event Code","Transaction Initiation Date","Transaction Completion Date",'
    '"Transaction Debit or Credit","Gross Transaction Amount","Gross Transaction Currency",'
    '"Fee Debit or Credit","Fee Amount","Fee Currency","Custom Field"\n'
    '"SB","T1","inv","","","T0006","2026/02/03 10:00:00 -0500","2026/02/03 10:00:00 -0500",'
    '"CR",10000,"USD","DR",350,"USD","c1"\n'
    '"SB","T2","inv","T1","TXN","T1107","2026/02/03 11:00:00 -0500","2026/02/03 11:00:00 -0500",'
    '"DR",4000,"USD","CR",0,"USD",""\n'
    '"SB","T3","","","","T0006","2026/02/03 12:00:00 -0500","2026/02/03 12:00:00 -0500",'
    '"CR",10000,"JPY","DR",400,"JPY","c2"\n'
    '"SF","USD",10000,4000,0,350\n"SF","JPY",10000,0,0,400\n"SC",3\n"RF","USD",10000,4000,0,350\n'
    '"RC",3\n"FF",3\n'
)


def test_paypals_webhook_and_report_are_one_charge() -> None:
    event = {
        "id": "WH-1",
        "event_type": "PAYMENT.CAPTURE.COMPLETED",
        "resource_type": "capture",
        "create_time": "2026-02-03T15:00:01Z",
        "resource": {
            "id": "T1",
            "amount": {"value": "100.00", "currency_code": "USD"},
            "create_time": "2026-02-03T15:00:00Z",
            "custom_id": "c1",
            "seller_receivable_breakdown": {
                "gross_amount": {"value": "100.00", "currency_code": "USD"},
                "paypal_fee": {"value": "3.50", "currency_code": "USD"},
            },
        },
    }
    report = read(PAYPAL_REPORT.encode())
    assert report.problems == ()
    charge, refund, yen = report.transactions
    agree(only(read(event)), charge)
    assert (charge.gross_minor, charge.fee_minor, charge.net_minor) == (10_000, 350, 9_650)
    assert (refund.kind, refund.amount_minor) == (Kind.REFUND, -4_000)
    assert (yen.amount_minor, yen.fee_minor) == (100, 4)


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ('"SF","USD",10000', '"SF","USD",10001', "paypal.section_total"),
        ('"SC",3', '"SC",4', "paypal.section_count"),
        ('"FF",3\n', "", "paypal.truncated"),
        ('"CR",10000,"USD"', '"XX",10000,"USD"', "row.direction"),
    ],
)
def test_paypals_controls(old: str, new: str, code: str) -> None:
    parsed = paypal_settlement.read(PAYPAL_REPORT.replace(old, new).encode(), ORIGIN)
    assert code in {p.code for p in parsed.problems}


@pytest.mark.parametrize(("value", "minor"), [(100.1, 10_010), (0.07, 7), ("1e2", None)])
def test_numbers_are_exact_even_where_json_has_no_text(value: Any, minor: int | None) -> None:
    event = {
        "event_type": "PAYMENT.CAPTURE.COMPLETED",
        "resource_type": "capture",
        "resource": {
            "id": "T1",
            "amount": {"value": value, "currency_code": "USD"},
            "create_time": "2026-02-03T15:00:00Z",
        },
    }
    parsed = paypal.read(json.dumps(event).encode(), ORIGIN)
    assert [t.amount_minor for t in parsed.transactions] == ([] if minor is None else [minor])


def test_gocardless_payment_and_payout_item_are_one_charge() -> None:
    payment = {
        "id": "PM1",
        "amount": 10_000,
        "currency": "GBP",
        "status": "paid_out",
        "charge_date": "2026-02-03",
        "created_at": "2026-02-01T10:00:00Z",
        "links": {"payout": "PO1"},
        "metadata": {"contribution_id": "c1"},
    }
    listing = {
        "object": gocardless.OBJECT,
        "payout": "PO1",
        "currency": "GBP",
        "created_at": "2026-02-05T00:00:00Z",
        "payout_items": [
            {"type": "payment_paid_out", "amount": "10000.0", "links": {"payment": "PM1"}},
            {"type": "gocardless_fee", "amount": "-120.0", "links": {"payment": "PM1"}},
            {"type": "gocardless_fee", "amount": "-0.5", "links": {"payment": "PM1"}},
        ],
    }
    items = read(listing)
    agree(only(read({"payments": [payment]})), items.transactions[0])
    assert items.transactions[1].kind is Kind.FEE
    assert [p.code for p in items.problems] == ["row.amount"]
    payout = {
        "id": "PO1",
        "amount": 9_880,
        "currency": "GBP",
        "status": "paid",
        "created_at": "2026-02-05T00:00:00Z",
        "arrival_date": "2026-02-06",
    }
    assert only(read({"payouts": payout})).amount_minor == -9_880
    bare = {"payout_items": listing["payout_items"]}
    assert gocardless.read(json.dumps(bare).encode(), ORIGIN).transactions == ()


def test_mollie_payment_and_balance_transaction_are_one_charge() -> None:
    payment = {
        "resource": "payment",
        "id": "tr_1",
        "amount": {"value": "10.00", "currency": "EUR"},
        "status": "paid",
        "createdAt": "2026-02-03T10:00:00+00:00",
    }
    entry = {
        "resource": "balance_transaction",
        "id": "baltr_1",
        "type": "payment",
        "resultAmount": {"value": "9.71", "currency": "EUR"},
        "initialAmount": {"value": "10.00", "currency": "EUR"},
        "deductions": {"value": "-0.29", "currency": "EUR"},
        "createdAt": "2026-02-03T10:00:00+00:00",
        "context": {"paymentId": "tr_1"},
    }
    balance = only(read({"_embedded": {"balance_transactions": [entry]}}))
    agree(only(read(payment)), balance)
    assert (balance.gross_minor, balance.fee_minor, balance.net_minor) == (1_000, 29, 971)
    pounds = payment | {
        "amount": {"value": "8.60", "currency": "GBP"},
        "settlementAmount": {"value": "10.00", "currency": "EUR"},
    }
    agree(only(read(pounds)), balance)
    assert mollie.read(json.dumps(payment | {"status": "open"}).encode(), ORIGIN).transactions == ()


def test_square_payment_and_payout_entry_are_one_charge() -> None:
    def money(amount: int, currency: str = "USD") -> dict[str, Any]:
        return {"amount": amount, "currency": currency}

    payment = {
        "id": "P1",
        "status": "COMPLETED",
        "amount_money": money(1_000),
        "created_at": "2026-02-03T10:00:00Z",
        "reference_id": "c1",
        "processing_fee": [{"amount_money": money(59)}],
    }
    event = {
        "merchant_id": "m1",
        "type": "payment.updated",
        "event_id": "e",
        "data": {"type": "payment", "object": {"payment": payment}},
    }
    entry = {
        "id": "poe_1",
        "payout_id": "po_1",
        "type": "CHARGE",
        "effective_at": "2026-02-03T10:00:00Z",
        "gross_amount_money": money(1_000),
        "fee_amount_money": money(59),
        "net_amount_money": money(941),
        "type_charge_details": {"payment_id": "P1"},
    }
    agree(only(read(event)), only(read({"payout_entries": [entry]})))
    entry["fee_amount_money"] = money(59, "CAD")
    mixed = square.read(json.dumps({"payout_entries": [entry]}).encode(), ORIGIN)
    assert mixed.problems[0].code == "row.currency"


def test_razorpay_event_and_reconciliation_are_one_charge() -> None:
    payment = {
        "id": "pay_1",
        "entity": "payment",
        "amount": 100_000,
        "currency": "INR",
        "status": "captured",
        "fee": 2_900,
        "created_at": 1_567_692_556,
    }
    event = {
        "entity": "event",
        "event": "payment.captured",
        "payload": {"payment": {"entity": payment}},
    }
    line = {
        "entity_id": "pay_1",
        "type": "payment",
        "debit": 0,
        "credit": 97_100,
        "amount": 100_000,
        "currency": "INR",
        "fee": 2_900,
        "created_at": 1_567_692_556,
        "settlement_id": "setl_1",
    }
    listed = only(read({"entity": "collection", "count": 1, "items": [line]}))
    agree(only(read(event)), listed)
    assert listed.batch_id == "setl_1"
    waiting = {"entity": "collection", "items": [payment | {"status": "authorized"}]}
    assert razorpay.read(json.dumps(waiting).encode(), ORIGIN).transactions == ()


WORLDPAY = """<?xml version="1.0"?>
<!DOCTYPE paymentService PUBLIC "-//WorldPay//DTD WorldPay PaymentService v1//EN"
 "http://dtd.worldpay.com/paymentService_v1.dtd">
<paymentService version="1.4" merchantCode="M"><notify><orderStatusEvent orderCode="O1">
<payment><amount value="5000" currencyCode="GBP" exponent="2" debitCreditIndicator="credit"/>
<lastEvent>CAPTURED</lastEvent></payment><journal journalType="CAPTURED">
<bookingDate><date dayOfMonth="3" month="2" year="2026"/></bookingDate>
<journalReference type="capture" reference="r1"/></journal></orderStatusEvent></notify>
</paymentService>"""


def test_worldpays_own_document_type_is_cut_away_and_no_other() -> None:
    charge = only(read(WORLDPAY.encode()))
    assert (charge.external_id, charge.amount_minor) == ("O1/CAPTURED", 5_000)
    refund = worldpay.read(WORLDPAY.replace("CAPTURED", "REFUNDED").encode(), ORIGIN)
    assert refund.transactions[0].amount_minor == -5_000
    for hostile in (
        WORLDPAY.replace("//WorldPay//", "//Else//"),
        WORLDPAY.replace('v1.dtd">', 'v1.dtd" [<!ENTITY x SYSTEM "file:///etc/passwd">]>'),
    ):
        with pytest.raises(UnreadableFile):
            worldpay.read(hostile.encode(), ORIGIN)


BRAINTREE = """<notification><timestamp type="datetime">2026-02-03T10:00:00Z</timestamp>
<kind>transaction_settled</kind><subject><transaction><id>t1</id><type>sale</type>
<currency-iso-code>USD</currency-iso-code><amount>100.00</amount>
<merchant-account-id>m1</merchant-account-id></transaction></subject></notification>"""


def test_braintrees_notification_as_form_json_and_xml() -> None:
    payload = base64.encodebytes(BRAINTREE.encode()).decode()
    form = urlencode({"bt_signature": "k|s", "bt_payload": payload}).encode()
    as_json = {"bt_signature": "k|s", "bt_payload": payload}
    found = [only(read(form)), only(read(as_json)), only(read(BRAINTREE.encode()))]
    assert {t.content_hash for t in found} == {found[0].content_hash}
    assert found[0].amount_minor == 10_000
    with pytest.raises(UnreadableFile):
        braintree.read(b"bt_payload=%%%", ORIGIN)


def test_checkouts_webhook_and_breakdown_are_one_charge() -> None:
    event = {
        "id": "evt_1",
        "type": "payment_captured",
        "created_on": "2026-02-03T10:00:00Z",
        "data": {
            "id": "pay_1",
            "action_id": "act_1",
            "amount": 10_000,
            "currency": "USD",
            "processed_on": "2026-02-03T10:00:00Z",
            "metadata": {"contribution_id": "c1"},
        },
    }
    report = (
        "Client Entity ID,Type,Payment ID,Reference,Processed On,Available On,Holding Currency,"
        "Payout ID,Gross In Holding Currency,Deduction In Holding Currency,Net In Holding Currency\n"
        "m1,Charge,pay_1,r,2026-02-03T10:00:00,2026-02-05,USD,PO1,100.00,-3.20,96.80\n"
        "m1,Refund,pay_1,r,2026-02-04T10:00:00,2026-02-05,USD,PO1,-10.00,0,-10.00\n"
        "m1,Refund,pay_1,r,2026-02-04T11:00:00,2026-02-05,USD,PO1,-10.00,0,-10.00\n"
    )
    parsed = read(report.encode())
    assert parsed.problems == ()
    agree(only(read(event)), parsed.transactions[0])
    assert len({t.external_id for t in parsed.transactions}) == 3
    assert checkout.read(json.dumps(event | {"type": "card_verified"}).encode(), ORIGIN).format
    finer = read(report.replace("96.80", "96.7999").encode())
    assert finer.transactions[0].gross_minor == 10_000
    assert finer.transactions[0].net_minor is None
    assert [p.code for p in finer.problems] == ["row.net_finer"]
    payouts = (
        "Currency Account ID,Holding Currency,Payout ID,Payout Date,Payout Amount\n"
        "ca_1,USD,PO1,2026-02-05,76.80\n"
    )
    payout = only(checkout_settlement.read(payouts.encode(), ORIGIN))
    assert payout.amount_minor + sum(t.net_minor or 0 for t in parsed.transactions) == 0


@pytest.mark.parametrize(
    ("currency", "counted", "minor"),
    [("CLP", 12_300, 123), ("CLP", 12_345, None), ("JPY", 100, 100), ("BHD", 1_000, 1_000)],
)
def test_checkout_counts_pesos_in_hundredths(
    currency: str, counted: int, minor: int | None
) -> None:
    event = {
        "id": "evt_1",
        "type": "payment_captured",
        "created_on": "2026-02-03T10:00:00Z",
        "data": {"id": "pay_1", "action_id": "a", "amount": counted, "currency": currency},
    }
    parsed = read(event)
    assert [t.amount_minor for t in parsed.transactions] == ([] if minor is None else [minor])
    assert [p.code for p in parsed.problems] == (["row.amount"] if minor is None else [])


DISBURSEMENT = """<notification><timestamp type="datetime">2026-02-03T10:00:00Z</timestamp>
<kind>disbursement</kind><subject><disbursement><id>d1</id><amount>100.00</amount>
<disbursement-type>credit</disbursement-type><merchant-account><id>m1</id>
<currency-iso-code>USD</currency-iso-code></merchant-account></disbursement></subject>
</notification>"""


@pytest.mark.parametrize(("kind", "minor"), [("credit", -10_000), ("debit", 10_000), ("", -10_000)])
def test_braintree_sends_to_the_bank_or_takes_from_it(kind: str, minor: int) -> None:
    payout = only(read(DISBURSEMENT.replace(">credit<", f">{kind}<").encode()))
    assert (payout.kind, payout.amount_minor) == (Kind.PAYOUT, minor)


def test_paypals_transaction_detail_report_is_refused() -> None:
    """It has the same records, and lists what moved no money too."""
    detail = PAYPAL_REPORT.replace('"Custom Field"', '"Transactional Status"')
    with pytest.raises(UnreadableFile, match="transaction detail"):
        read(detail.encode())
