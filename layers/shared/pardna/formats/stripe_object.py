"""Single objects of Stripe's API, and lists of them, as its pages and exports give them.

Charges, payment intents, refunds, payouts, disputes, balance transactions, and events about them. What else a list
holds (a transfer between accounts, a payment method) moves none of our money and is passed over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pardna.formats import json_text
from pardna.formats.items import Item, collect
from pardna.formats.model import Origin, Parsed, Problem
from pardna.formats.stripe_event import items
from pardna.formats.stripe_objects import from_balance_transaction
from pardna.runtime.errors import InvalidInput, UnreadableFile

FORMAT = "stripe.object"
_PAGES = frozenset({"list", "search_result"})


def read(data: bytes, origin: Origin) -> Parsed:
    """The transactions of an object or list. Raises UnreadableFile when it is neither."""
    document = json_text.loads(data)
    if not isinstance(document, Mapping) or not isinstance(document.get("object"), str):
        raise UnreadableFile("stripe.no_object", "this is no object of Stripe's API")
    if document["object"] not in _PAGES:
        return collect(FORMAT, _one(document, origin, "object"))
    rows = document.get("data")
    if not isinstance(rows, list):
        raise UnreadableFile("stripe.no_object", "the list has no data")
    return collect(
        FORMAT,
        (item for n, row in enumerate(rows, 1) for item in _one(row, origin, f"row {n}")),
    )


def _one(thing: Any, origin: Origin, position: str) -> Iterator[Item]:
    if not isinstance(thing, Mapping):
        yield Problem("stripe.row", position, "this is no object")
        return
    if thing.get("object") == "balance_transaction":
        try:
            yield from_balance_transaction(thing, origin, position)
        except InvalidInput as error:
            yield Problem(error.code, position, error.detail)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            reason = f"the object lacks or garbles a field ({type(error).__name__})"
            yield Problem("stripe.row", position, reason)
        return
    if thing.get("object") == "event":
        content = thing.get("data")
        inner = content.get("object") if isinstance(content, Mapping) else None
        if isinstance(inner, Mapping) and isinstance(thing.get("type"), str):
            yield from items(thing, inner, origin, position)
        else:
            yield Problem("stripe.row", position, "the event has no object or no type")
        return
    moved = thing.get("object") == "payment_intent" and thing.get("status") == "succeeded"
    event = {
        "type": "payment_intent.succeeded" if moved else "",
        "created": thing.get("created"),
    }
    yield from items(event, thing, origin, position)
