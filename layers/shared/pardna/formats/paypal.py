"""PayPal: webhook events (versions 1 and 2 of the API), bare or in the body that verifies them.

Identity: the transaction id, which is the id of a capture, sale or refund and the settlement
report's ``Transaction ID``. Authorisations and orders move nothing; disputes move money by
transactions of their own, which the report brings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pardna.formats import json_text
from pardna.formats.items import Item, collect
from pardna.formats.model import Origin, Parsed
from pardna.formats.psp import (
    STRONG,
    WEAK,
    Json,
    currency_of,
    decimal,
    guarded,
    identifier,
    instant,
    movement,
)
from pardna.runtime.errors import UnreadableFile
from pardna.transactions.model import Kind

FORMAT = "paypal.webhook"
_EVENTS = {
    "PAYMENT.CAPTURE.COMPLETED": (Kind.CHARGE, 1),
    "PAYMENT.SALE.COMPLETED": (Kind.CHARGE, 1),
    "PAYMENT.CAPTURE.REFUNDED": (Kind.REFUND, -1),
    "PAYMENT.SALE.REFUNDED": (Kind.REFUND, -1),
    "PAYMENT.REFUND.COMPLETED": (Kind.REFUND, -1),
}


def read(data: bytes, origin: Origin) -> Parsed:
    """The movement that an event tells of. Raises UnreadableFile when it is no event."""
    document = json_text.loads(data)
    event = document.get("webhook_event", document) if isinstance(document, Mapping) else None
    if not isinstance(event, Mapping) or not isinstance(event.get("event_type"), str):
        raise UnreadableFile("paypal.no_event", "this is no event of PayPal")
    return collect(FORMAT, guarded(event, lambda row, at: _one(row, origin, at), "event"))


def _one(event: Json, origin: Origin, position: str) -> Iterator[Item]:
    known = _EVENTS.get(event["event_type"])
    if known is None:
        return
    kind, sign = known
    thing: Json = event["resource"]
    amount, currency = _money(thing["amount"])
    parts = thing.get("seller_receivable_breakdown") or thing.get("seller_payable_breakdown") or {}
    fee = _fee(thing, parts, currency, sign)
    own_id = identifier(thing["id"])
    parent = thing.get("capture_id") or thing.get("sale_id") or _up(thing)
    strength = STRONG if kind is Kind.CHARGE else WEAK
    yield movement(
        origin,
        position,
        external_id=own_id,
        kind=kind,
        amount=sign * amount,
        currency=currency,
        occurred_at=instant(thing.get("create_time") or event.get("create_time")),
        fee=fee,
        named=[
            ("charge" if kind is Kind.CHARGE else "refund", own_id, STRONG),
            ("charge", parent, WEAK),
            ("contribution", str(thing.get("custom_id") or thing.get("custom") or ""), strength),
            (
                "order",
                _text(thing.get("invoice_id") or thing.get("invoice_number")),
                WEAK,
            ),
        ],
    )


def _text(value: Any) -> str:
    return str(value or "")


def _money(amount: Json) -> tuple[int, str]:
    """Version 2 says ``value`` and ``currency_code``, version 1 ``total`` and ``currency``."""
    currency = currency_of(amount.get("currency_code") or amount.get("currency"))
    value = amount.get("value", amount.get("total"))
    return abs(decimal(value, currency)), currency


def _fee(thing: Json, parts: Json, currency: str, sign: int) -> int | None:
    """PayPal's fee, where it is in the movement's currency; given back with a refund it is negative."""
    given = parts.get("paypal_fee") or thing.get("transaction_fee")
    if not isinstance(given, Mapping):
        return None
    fee, fee_currency = _money(given)
    return sign * fee if fee_currency == currency else None


def _up(thing: Json) -> str:
    """The capture that a refund's links lead up to."""
    for link in thing.get("links") or ():
        if link.get("rel") == "up" and "/captures/" in str(link.get("href")):
            return str(link["href"]).rpartition("/")[2]
    return ""
