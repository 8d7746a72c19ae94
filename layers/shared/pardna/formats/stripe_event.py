"""Stripe webhook events, of any API version. See `stripe_objects` for identity and amounts.

An event that moves no money (``payment_intent.payment_failed``, ``customer.created``) is read and
says nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pardna.formats import json_text
from pardna.formats.items import Item, collect
from pardna.formats.model import Origin, Parsed, Problem
from pardna.formats.stripe_objects import (
    Json,
    from_balance_transaction,
    from_charge,
    from_payout,
    from_refund,
    identifier,
)
from pardna.runtime.errors import InvalidInput, UnreadableFile
from pardna.transactions.model import Transaction

FORMAT = "stripe.event"


def read(data: bytes, origin: Origin) -> Parsed:
    """The transactions that one event tells of. Raises UnreadableFile when it is no Stripe event."""
    event = json_text.loads(data)
    if not isinstance(event, Mapping) or event.get("object") != "event":
        raise UnreadableFile("stripe.no_event", "this is not a Stripe event")
    content = event.get("data")
    thing = content.get("object") if isinstance(content, Mapping) else None
    if not isinstance(thing, Mapping) or not isinstance(event.get("type"), str):
        raise UnreadableFile("stripe.no_event", "the event has no object or no type")
    return collect(FORMAT, items(event, thing, origin))


def items(event: Json, thing: Json, origin: Origin, position: str = "event") -> Iterator[Item]:
    """What an object says, as an event of its type would; what cannot be read ends it, named."""
    try:
        yield from _transactions(event, thing, origin, position)
    except InvalidInput as error:
        yield Problem(error.code, position, error.detail)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = f"the object lacks or garbles a field ({type(error).__name__})"
        yield Problem("stripe.event", position, reason)


def _transactions(event: Json, thing: Json, origin: Origin, position: str) -> Iterator[Transaction]:
    kind = thing.get("object")
    if kind == "payment_intent" and event["type"] == "payment_intent.succeeded":
        yield from_charge(_charge_of(thing, event), origin, position, thing)
    elif kind == "charge" and thing.get("status") == "succeeded" and thing.get("captured"):
        yield from_charge(thing, origin, f"{position} charge")
        refunds = (thing.get("refunds") or {}).get("data") or []
        for number, refund in enumerate(refunds, 1):
            if _refund_stands(refund):
                yield from_refund(refund, origin, f"{position} refund {number}")
    elif kind == "refund" and _refund_stands(thing):
        yield from_refund(thing, origin, position)
    elif kind == "dispute":
        for number, entry in enumerate(thing.get("balance_transactions") or [], 1):
            # The event gives the dispute's id where a listing would give the dispute itself.
            whole = dict(entry) | {"source": {**thing, "balance_transactions": None}}
            yield from_balance_transaction(whole, origin, f"{position} movement {number}")
    elif kind == "payout":
        yield from_payout(thing, origin, position)


def _refund_stands(refund: Json) -> bool:
    return refund.get("status") not in ("failed", "canceled")


def _charge_of(intent: Json, event: Json) -> Json:
    """The charge of a payment intent: expanded, in the old list, or as little as its id."""
    latest: Any = intent.get("latest_charge")
    listed = (intent.get("charges") or {}).get("data") or []
    if isinstance(latest, Mapping):
        return latest
    for charge in listed:
        if not latest or charge.get("id") == latest:
            return dict(charge)
    if not identifier(latest):
        raise InvalidInput("stripe.no_charge", "a succeeded payment intent names no charge")
    return {
        "id": latest,
        "amount": intent.get("amount_received") or intent["amount"],
        "currency": intent["currency"],
        "created": event["created"],
        "payment_intent": intent["id"],
        "description": intent.get("description"),
    }
