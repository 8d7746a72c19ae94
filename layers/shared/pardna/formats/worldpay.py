"""Worldpay (WPG): order notifications in XML.

Worldpay's messages begin with a known document type, which is cut away before they are parsed; any
other, and any entity, is refused as everywhere. Identity: order, kind of journal and its reference.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from pardna.formats.items import Item, collect
from pardna.formats.model import Origin, Parsed
from pardna.formats.psp import STRONG, WEAK, currency_of, guarded, identifier, movement, rescaled
from pardna.formats.xml import child, children, local, stream, text, without_mark
from pardna.runtime.errors import InvalidInput, UnreadableFile
from pardna.transactions.model import Kind

FORMAT = "worldpay"
_DOCTYPE = re.compile(
    rb"""<!DOCTYPE\s+paymentService\s+PUBLIC\s+["']-//World[Pp]ay/[^"'<>\[\]]*["']"""
    rb"""\s+["'][^"'<>\[\]]*["']\s*>"""
)
_JOURNALS = {
    "CAPTURED": (Kind.CHARGE, 1),
    "SETTLED": (Kind.CHARGE, 1),
    "REFUNDED": (Kind.REFUND, -1),
    "REFUNDED_BY_MERCHANT": (Kind.REFUND, -1),
    "REFUND_FAILED": (Kind.REFUND, 1),
    "CHARGED_BACK": (Kind.DISPUTE, -1),
    "CHARGEBACK_REVERSED": (Kind.DISPUTE_REVERSAL, 1),
}
#: States that come and go without money moving.
_STILL = frozenset(
    {
        *("SENT_FOR_AUTHORISATION", "AUTHORISED", "REFUSED", "CANCELLED", "EXPIRED", "ERROR"),
        *("SENT_FOR_REFUND", "REFUND_REQUESTED", "INFORMATION_REQUESTED", "INFORMATION_SUPPLIED"),
    }
)


def read(data: bytes, origin: Origin) -> Parsed:
    """The movements of a notification. Raises UnreadableFile when it is none."""
    events = []
    plain = _DOCTYPE.sub(b"", without_mark(data), count=1)
    for event, element in stream(plain, frozenset({"orderStatusEvent"})):
        if event == "end" and local(element) == "orderStatusEvent":
            events.append(element)
    if not events:
        raise UnreadableFile("worldpay.no_event", "there is no order event in this message")
    return collect(
        FORMAT,
        (
            item
            for number, element in enumerate(events, 1)
            for item in guarded(element, lambda e, at: _order(e, origin, at), f"order {number}")
        ),
    )


def _order(element: Any, origin: Origin, position: str) -> Iterator[Item]:
    order = identifier(element.get("orderCode"), "order code")
    journals = children(element, "journal")
    for number, journal in enumerate(journals, 1):
        name = journal.get("journalType") or ""
        if name in _STILL:
            continue
        if name not in _JOURNALS:
            raise InvalidInput("worldpay.journal", "the kind of journal is unknown")
        yield _journal(element, journal, name, order, origin, f"{position} journal {number}")


def _journal(
    element: Any, journal: Any, name: str, order: str, origin: Origin, position: str
) -> Item:
    kind, sign = _JOURNALS[name]
    amount = child(journal, "accountTx/amount")
    amount = child(element, "payment/amount") if amount is None else amount
    if amount is None:
        raise InvalidInput("worldpay.amount", "no amount is given")
    currency = currency_of(amount.get("currencyCode"))
    value, exponent = amount.get("value") or "", amount.get("exponent") or ""
    if not (re.fullmatch(r"[0-9]{1,20}", value) and re.fullmatch(r"[0-6]", exponent)):
        raise InvalidInput("worldpay.amount", "the amount is not digits")
    references = [r.get("reference") or "" for r in children(journal, "journalReference")]
    reference = next((r for r in references if r), "")
    # Captured and settled are two views of one charge.
    about = "CAPTURED" if kind is Kind.CHARGE else name
    return movement(
        origin,
        position,
        external_id=f"{order}/{about}" if kind is Kind.CHARGE else f"{order}/{about}/{reference}",
        kind=kind,
        amount=sign * rescaled(int(value), int(exponent), currency),
        currency=currency,
        occurred_at=_booked(journal),
        name=text(element, "payment/cardHolderName"),
        named=[
            ("charge", order, STRONG if kind is Kind.CHARGE else WEAK),
            *(("order", r, WEAK) for r in references),
        ],
    )


def _booked(journal: Any) -> datetime:
    found = child(journal, "bookingDate/date")
    if found is None:
        raise InvalidInput("row.time", "the journal has no booking date")
    try:
        parts = [int(found.get(name) or "") for name in ("year", "month", "dayOfMonth")]
        return datetime(parts[0], parts[1], parts[2], tzinfo=UTC)
    except ValueError:
        raise InvalidInput("row.time", "the booking date is none") from None
