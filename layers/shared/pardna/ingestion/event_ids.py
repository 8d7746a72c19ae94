"""What a provider calls an event, so that one that is sent again in other words is known. Pure.

Where a provider gives its deliveries no name of their own, none is made up: then equal bytes are
known by their hash, and money by its own identity.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

_ID = re.compile(r"[\x21-\x7e]{1,150}")
#: Where an event's id stands in the body.
_FIELDS = {
    "stripe": "id",
    "paypal": "id",
    "square": "event_id",
    "checkout": "id",
    "mollie": "id",
}
#: Where it stands in a header.
_HEADERS = {"standard_webhooks": "webhook-id", "razorpay": "x-razorpay-event-id"}


def event_id(scheme: str, headers: Mapping[str, str], body: bytes) -> str:
    """The id by a signature scheme's rule, at most 150 ASCII characters, or empty.

    A batch of events (Adyen, GoCardless) is named by all of their ids.
    """
    if scheme in _HEADERS:
        return _checked([headers.get(_HEADERS[scheme], "")])
    read = _BATCHES.get(scheme)
    if read is None and scheme not in _FIELDS:
        return ""
    try:
        document = json.loads(body)
        found = list(read(document)) if read else [document[_FIELDS[scheme]]]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    return _checked(found)


def _gocardless(document: Any) -> Iterator[Any]:
    for event in document["events"]:
        yield event["id"]


def _adyen(document: Any) -> Iterator[Any]:
    """Adyen's rule for duplicates: the same reference and event; a success may follow a failure."""
    for one in document["notificationItems"]:
        item = one["NotificationRequestItem"]
        parts = (item["pspReference"], item["eventCode"], str(item["success"]).lower())
        yield ":".join(map(str, parts))


def _checked(found: Sequence[Any]) -> str:
    if not found or not all(isinstance(one, str) and _ID.fullmatch(one) for one in found):
        return ""
    if len(found) == 1:
        return str(found[0])
    return "batch:" + hashlib.sha256("\n".join(sorted(found)).encode()).hexdigest()


_BATCHES: Mapping[str, Callable[[Any], Iterator[Any]]] = {
    "gocardless": _gocardless,
    "adyen": _adyen,
}
