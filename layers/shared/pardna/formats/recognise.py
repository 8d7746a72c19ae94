"""How formats give themselves away: the marks of each, asked in an order that leaves no doubt.

Every function gets the beginning of a file, its lines ended by line feeds (JSON: the whole document),
and names a format family of `pardna.formats.registry.READERS`, or nothing. No pattern may look at a
run of blanks more than once: a file of nothing else would keep it busy for minutes.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from typing import Any

_ACCOUNT_REPORT = re.compile(
    r"<(?:[\w.-]+:)?BkToCstmr(?:Stmt|AcctRpt|DbtCdtNtfctn)(?:V\d\d)?[\s/>]"
)
_STATUS_REPORT = re.compile(r"<(?:[\w.-]+:)?CstmrPmtStsRpt[\s/>]")
_OFX = re.compile(r"<\?OFX\b|<OFX\s*>|^[ \t]*OFXHEADER\s*:", re.IGNORECASE | re.MULTILINE)
_SWIFT = re.compile(r"(?:^|[\n{]|4:)[ \t]*:(?:20|25|60F|61):")
_SWIFT_BLOCKS = ("{1:", "{2:", "{4:")
_BAI2 = re.compile(r"01\s*,[^\n]*(?:/|\n\s*02\s*,)")
_NACHA = re.compile(r"101.{20}\d{6}[^\n]{5}094")

#: Headings that only one report has, all of which must be there.
_HEADINGS = {
    "stripe.payout_report": {"automatic_payout_id", "balance_transaction_id"},
    "adyen.settlement": {"Psp Reference", "Gross Debit (GC)", "Net Credit (NC)"},
    "checkout.settlement": {"Payment ID", "Payout ID", "Net In Holding Currency"},
    "checkout.settlement ": {"Payout ID", "Payout Amount", "Currency Account ID"},
}
_STRIPE_OBJECTS = {"event": "stripe.event", "pardna.stripe_listing": "stripe.balance"}
_STRIPE_ID = re.compile(r"(?:ch|py|pi|re|pyr|po|dp|du|txn|pm|tr|card|seti|cs|in|cus|acct)_\w+")
_MOLLIE = frozenset({"payment", "refund", "chargeback", "capture", "settlement"})
_GOCARDLESS = frozenset({"payments", "payouts", "payout_items", "refunds", "events"})
_RAZORPAY_COLLECTED = re.compile(r"(?:pay|rfnd|setl|setlod|trf|adj|disp)_[A-Za-z0-9]+")


def is_archive(head: bytes) -> bool:
    """Whether bytes begin as a ZIP or gzip archive does; see `pardna.formats.archive`."""
    return head.startswith((b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b"))


def xml_kind(head: str) -> str:
    """The family of an XML document by its elements."""
    if _ACCOUNT_REPORT.search(head):
        return "camt"
    if _STATUS_REPORT.search(head):
        return "pain.002"
    if _OFX.search(head):
        return "ofx"
    if "<paymentService" in head and ("<notify" in head or "<reply" in head):
        return "worldpay"
    if "<notification>" in head and "<kind>" in head:
        return "braintree"
    return ""


def text_kind(head: str) -> str:
    """The family of a text that is neither XML nor JSON.

    First by how it begins, which only its sender wrote; then by marks further down, which a
    customer's text in a report may hold too.
    """
    start = head.lstrip()
    if start.startswith(_SWIFT_BLOCKS):
        return "mt940"
    if kind := _heading_kind(start.split("\n", maxsplit=1)[0]):
        return kind
    if _OFX.match(start):
        return "ofx"
    if _NACHA.match(start):
        return "nacha"
    if _BAI2.match(start):
        return "bai2"
    if re.match(r"(?:bt_signature|bt_payload)=", start):
        return "braintree"
    if re.match(r"\"?(?:RH|FH)\"?\s*[,\t]", start) and re.search(r"^\"?CH\"?[,\t]", head, re.M):
        return "paypal.settlement"
    if _SWIFT.search(head):
        return "mt940"
    return "ofx" if _OFX.search(head[:4096]) else ""


def _heading_kind(line: str) -> str:
    """The report that a CSV's line of headings belongs to."""
    for delimiter in (",", ";", "\t"):
        try:
            names = {name.strip() for name in next(csv.reader([line], delimiter=delimiter), [])}
        except csv.Error:
            return ""
        for family, needed in _HEADINGS.items():
            if needed <= names:
                return family.strip()
    return ""


def json_kind(document: Any) -> str:
    """The family of a JSON document: its own marks only, for what a customer wrote may say anything."""
    if not isinstance(document, Mapping):
        return ""
    if (kind := _STRIPE_OBJECTS.get(str(document.get("object")))) is not None:
        return kind
    return (
        _stripe(document)
        or _adyen(document)
        or _razorpay(document)
        or _square(document)
        or _paypal(document)
        or _gocardless(document)
        or _mollie(document)
        or _checkout(document)
        or ("braintree" if "bt_payload" in document else "")
    )


def _stripe(document: Mapping[str, Any]) -> str:
    kind = document.get("object")
    if not isinstance(kind, str):
        return ""
    page = kind in ("list", "search_result") and isinstance(document.get("data"), list)
    named = "livemode" in document or _STRIPE_ID.fullmatch(str(document.get("id")))
    return "stripe.object" if page or named else ""


def _adyen(document: Mapping[str, Any]) -> str:
    if "notificationItems" in document or {"pspReference", "eventCode"} <= document.keys():
        return "adyen.webhook"
    if "SaleToPOIRequest" in document:  # a terminal's own events
        return "adyen.webhook"
    if isinstance(document.get("type"), str) and document.get("environment") in ("test", "live"):
        return "adyen.webhook"
    data = document.get("data")
    if isinstance(data, Mapping) and "balancePlatform" in data:
        return "adyen.webhook"
    return ""


def _razorpay(document: Mapping[str, Any]) -> str:
    entity = document.get("entity")
    if entity == "event" and "payload" in document:
        return "razorpay"
    if isinstance(document.get("payment_links"), list):
        return "razorpay"
    if entity == "collection" and isinstance(document.get("items"), list):
        return "razorpay"
    return "razorpay" if entity and _RAZORPAY_COLLECTED.match(str(document.get("id"))) else ""


def _square(document: Mapping[str, Any]) -> str:
    if "payout_entries" in document:
        return "square"
    return "square" if {"merchant_id", "event_id", "type"} <= document.keys() else ""


def _paypal(document: Mapping[str, Any]) -> str:
    if {"event_type", "resource_type", "resource"} <= document.keys():
        return "paypal.webhook"
    return "paypal.webhook" if {"webhook_id", "webhook_event"} <= document.keys() else ""


def _gocardless(document: Mapping[str, Any]) -> str:
    if document.get("object") == "pardna.gocardless_listing":
        return "gocardless"
    found = _GOCARDLESS & document.keys()
    return "gocardless" if len(found) == 1 and document.keys() <= found | {"meta", "linked"} else ""


def _mollie(document: Mapping[str, Any]) -> str:
    if str(document.get("resource")) in _MOLLIE:
        return "mollie"
    return "mollie" if isinstance(document.get("_embedded"), Mapping) else ""


def _checkout(document: Mapping[str, Any]) -> str:
    kind, identity = document.get("type"), document.get("id")
    named = isinstance(kind, str) and kind.startswith(("payment_", "dispute_", "card_"))
    return "checkout.webhook" if named and str(identity).startswith("evt_") else ""
