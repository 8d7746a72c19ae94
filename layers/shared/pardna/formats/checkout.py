"""Checkout.com: payment and dispute webhooks.

Amounts are integers of minor units, with the decimals that Checkout.com's documentation gives each
currency. Identity: the action (capture, refund); the settlement breakdown names only the payment,
so that both are led together by payment, kind and amount.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pardna.formats import json_text
from pardna.formats.items import Item, collect
from pardna.formats.model import Origin, Parsed
from pardna.formats.psp import (
    STRONG,
    WEAK,
    Json,
    currency_of,
    guarded,
    identifier,
    instant,
    movement,
    rescaled,
    whole,
)
from pardna.runtime.errors import UnreadableFile
from pardna.transactions.model import Kind

FORMAT = "checkout.webhook"
#: Counted in hundredths, of which its documentation wants none.
_DIGITS = {"CLP": 2}
_EVENTS = {
    "payment_captured": (Kind.CHARGE, 1),
    "payment_refunded": (Kind.REFUND, -1),
    "dispute_received": (Kind.DISPUTE, -1),
    "dispute_won": (Kind.DISPUTE_REVERSAL, 1),
}


def read(data: bytes, origin: Origin) -> Parsed:
    """The movement that an event tells of. Raises UnreadableFile when it is no event."""
    event = json_text.loads(data)
    if not isinstance(event, Mapping) or not isinstance(event.get("data"), Mapping):
        raise UnreadableFile("checkout.no_event", "this is no event of Checkout.com")
    return collect(FORMAT, guarded(event, lambda row, at: _one(row, origin, at), "event"))


def identity(payment: str, kind: Kind, amount: int, currency: str) -> str:
    """What webhook and breakdown both know of a movement; another currency is another movement."""
    return f"{payment}/{kind.value}/{amount}/{currency}"


def _one(event: Json, origin: Origin, position: str) -> Iterator[Item]:
    known = _EVENTS.get(str(event.get("type")))
    if known is None:
        return
    kind, sign = known
    thing: Json = event["data"]
    dispute = kind in (Kind.DISPUTE, Kind.DISPUTE_REVERSAL)
    payment = identifier(thing["payment_id"] if dispute else thing["id"], "payment")
    currency = currency_of(thing["currency"])
    counted = whole(thing["amount"])
    amount = sign * (
        rescaled(counted, _DIGITS[currency], currency) if currency in _DIGITS else counted
    )
    metadata = thing.get("metadata") or {}
    yield movement(
        origin,
        position,
        external_id=identity(payment, kind, amount, currency),
        kind=kind,
        amount=amount,
        currency=currency,
        occurred_at=instant(thing.get("processed_on") or event.get("created_on")),
        named=[
            ("charge", payment, STRONG if kind is Kind.CHARGE else WEAK),
            (
                "refund" if kind is Kind.REFUND else "action",
                str(thing.get("action_id") or ""),
                WEAK,
            ),
            ("dispute", str(thing["id"]) if dispute else "", STRONG),
            (
                "contribution",
                str(metadata.get("contribution_id") or ""),
                STRONG if sign > 0 and not dispute else WEAK,
            ),
            (
                "order",
                str(thing.get("reference") or thing.get("payment_reference") or ""),
                WEAK,
            ),
        ],
    )
