"""Braintree: webhook notifications, as the form it posts, as JSON of its parts, or as bare XML.

``bt_payload`` is base64 of an XML notification. Identity: the transaction, the disbursement, the
dispute. A notification without a currency is named, and nothing is guessed.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs

from pardna.formats import json_text
from pardna.formats.items import Item, collect
from pardna.formats.model import Origin, Parsed
from pardna.formats.psp import (
    STRONG,
    WEAK,
    currency_of,
    day,
    decimal,
    guarded,
    identifier,
    instant,
    movement,
)
from pardna.formats.xml import child, children, local, stream, text, without_mark
from pardna.runtime.errors import TooLarge, UnreadableFile
from pardna.transactions.model import Kind

FORMAT = "braintree"
BYTES_MAX = 4 * 1024 * 1024
_DISPUTES = {
    "dispute_opened": (Kind.DISPUTE, -1),
    "dispute_won": (Kind.DISPUTE_REVERSAL, 1),
}


def read(data: bytes, origin: Origin) -> Parsed:
    """The movement that a notification tells of. Raises UnreadableFile when it is none."""
    if len(data) > BYTES_MAX:
        raise TooLarge("braintree.too_large", f"a notification has at most {BYTES_MAX} bytes")
    found = None
    for event, element in stream(_xml(data), frozenset({"notification"})):
        if event == "end" and local(element) == "notification":
            found = element
    if found is None:
        raise UnreadableFile("braintree.no_notification", "there is no notification in this")
    return collect(FORMAT, guarded(found, lambda e, at: _one(e, origin, at), "notification"))


def _xml(data: bytes) -> bytes:
    """The XML inside a form, inside JSON, or as it is."""
    data = without_mark(data)
    start = data.lstrip()[:1]
    if start == b"<":
        return data.strip()
    if start == b"{":
        document = json_text.loads(data)
        payload = document.get("bt_payload") if isinstance(document, Mapping) else None
    else:
        try:
            fields = parse_qs(data.decode("ascii"), max_num_fields=20)
        except (UnicodeDecodeError, ValueError):
            fields = {}
        payload = next(iter(fields.get("bt_payload", [])), None)
    if not isinstance(payload, str):
        raise UnreadableFile("braintree.no_payload", "there is no payload in this")
    try:
        # A form's plus signs arrive as blanks when the sender did not escape them.
        plain = payload.replace(" ", "+").replace("\n", "").replace("\r", "")
        return base64.b64decode(plain, validate=True).strip()
    except (binascii.Error, ValueError):
        raise UnreadableFile("braintree.no_payload", "the payload is not base64") from None


def _one(element: Any, origin: Origin, position: str) -> Iterator[Item]:
    kind = text(element, "kind")
    told = instant(text(element, "timestamp"))
    subject = child(element, "subject")
    if kind in ("transaction_settled", "transaction_disbursed"):
        yield _transaction(child(subject, "transaction"), origin, position, told)
    elif kind == "disbursement":
        yield _disbursement(child(subject, "disbursement"), origin, position, told)
    elif kind in _DISPUTES:
        yield _dispute(child(subject, "dispute"), kind, origin, position)


def _transaction(element: Any, origin: Origin, position: str, told: Any) -> Item:
    details = child(element, "disbursement-details")
    currency = currency_of(text(element, "currency-iso-code"))
    credit = text(element, "type") == "credit"
    amount = decimal(text(element, "amount"), currency)
    own_id = identifier(text(element, "id"))
    moment = text(element, "created-at")
    return movement(
        origin,
        position,
        external_id=own_id,
        kind=Kind.REFUND if credit else Kind.CHARGE,
        amount=-amount if credit else amount,
        currency=currency,
        occurred_at=instant(moment) if moment else told,
        value_date=day(text(details, "disbursement-date")) if details is not None else None,
        account=text(element, "merchant-account-id"),
        named=[
            ("refund" if credit else "charge", own_id, STRONG),
            ("charge", text(element, "refunded-transaction-id"), WEAK),
            (
                "contribution",
                text(element, "custom-fields/contribution-id"),
                WEAK if credit else STRONG,
            ),
            ("order", text(element, "order-id"), WEAK),
        ],
    )


def _disbursement(element: Any, origin: Origin, position: str, told: Any) -> Item:
    currency = currency_of(text(element, "merchant-account/currency-iso-code"))
    own_id = identifier(text(element, "id"))
    amount = abs(decimal(text(element, "amount"), currency))
    # One that is taken from the bank brings money in; nearly all are sent there.
    taken = text(element, "disbursement-type").lower() == "debit"
    members = [m.text or "" for m in children(child(element, "transaction-ids"), "item")]
    return movement(
        origin,
        position,
        external_id=own_id,
        kind=Kind.PAYOUT,
        amount=amount if taken else -amount,
        currency=currency,
        occurred_at=told,
        value_date=day(text(element, "disbursement-date")),
        account=text(element, "merchant-account/id"),
        fee=0,
        batch_id=own_id,
        named=[("payout", own_id, WEAK), *(("member", m, WEAK) for m in members[:40])],
    )


def _dispute(element: Any, kind: str, origin: Origin, position: str) -> Item:
    what, sign = _DISPUTES[kind]
    currency = currency_of(text(element, "currency-iso-code"))
    own_id = identifier(text(element, "id"))
    won = text(element, "amount-won") if sign > 0 else ""
    amount = won or text(element, "amount-disputed", "amount")
    return movement(
        origin,
        position,
        external_id=own_id if sign < 0 else f"{own_id}/won",
        kind=what,
        amount=sign * decimal(amount, currency),
        currency=currency,
        occurred_at=instant(text(element, "updated-at" if sign > 0 else "created-at")),
        account=text(element, "merchant-account-id"),
        named=[
            ("dispute", own_id, STRONG),
            ("charge", text(element, "transaction/id"), WEAK),
        ],
    )
