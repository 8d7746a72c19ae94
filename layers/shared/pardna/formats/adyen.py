"""Adyen: webhook notifications (classic and of the balance platform).

Identity: the reference of the modification (``pspReference`` of a capture, refund or chargeback),
which the settlement report carries too; what reverses one gets its reference and ``/reversed``.
An authorisation moves nothing, and neither does what did not succeed. Adyen counts some currencies
with other decimals than ISO 4217 does (its documentation's table).
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
    day,
    each,
    guarded,
    identifier,
    instant,
    movement,
    rescaled,
    whole,
)
from pardna.money.model import exponent
from pardna.runtime.errors import UnreadableFile
from pardna.transactions.model import Kind

FORMAT = "adyen.webhook"
_DIGITS = {"CLP": 2, "CVE": 0, "IDR": 0, "ISK": 2}
#: Event -> what it did, its sign, and what is added to its reference.
_EVENTS = {
    "CAPTURE": (Kind.CHARGE, 1, ""),
    "CAPTURE_FAILED": (Kind.CHARGE, -1, "/reversed"),
    "SETTLED_REVERSED": (Kind.CHARGE, -1, "/reversed"),
    "REFUND": (Kind.REFUND, -1, ""),
    "REFUND_FAILED": (Kind.REFUND, 1, "/reversed"),
    "REFUNDED_REVERSED": (Kind.REFUND, 1, "/reversed"),
    "REFUND_WITH_DATA": (Kind.REFUND, -1, ""),
    "CHARGEBACK": (Kind.DISPUTE, -1, ""),
    "SECOND_CHARGEBACK": (Kind.DISPUTE, -1, "/second"),
    "CHARGEBACK_REVERSED": (Kind.DISPUTE_REVERSAL, 1, "/reversed"),
    "PAYOUT_THIRDPARTY": (Kind.TRANSFER, -1, ""),
    "PAIDOUT_REVERSED": (Kind.TRANSFER, 1, "/reversed"),
}


def read(data: bytes, origin: Origin) -> Parsed:
    """The movements that a notification tells of. Raises UnreadableFile when it is none."""
    document = json_text.loads(data)
    if not isinstance(document, Mapping):
        raise UnreadableFile("adyen.no_notification", "this is no notification of Adyen")
    items = document.get("notificationItems")
    if isinstance(items, list):
        return collect(FORMAT, each(items, lambda row, at: _item(row, origin, at), "item"))
    if "eventCode" in document:
        whole_item = {"NotificationRequestItem": document}
        return collect(FORMAT, guarded(whole_item, lambda r, at: _item(r, origin, at), "item 1"))
    return collect(FORMAT, guarded(document, lambda r, at: _platform(r, origin, at), "event"))


def units(value: Any, currency: str) -> int:
    """ISO minor units of an amount as Adyen counts it."""
    return rescaled(whole(value), _DIGITS.get(currency, exponent(currency)), currency)


def _item(row: Any, origin: Origin, position: str) -> Iterator[Item]:
    item: Json = row["NotificationRequestItem"]
    event = _EVENTS.get(str(item["eventCode"]))
    extra = item.get("additionalData") or {}
    if item["eventCode"] == "CANCEL_OR_REFUND" and extra.get("modification.action") == "refund":
        event = _EVENTS["REFUND"]
    if event is None or str(item.get("success")).lower() != "true":
        return
    kind, sign, suffix = event
    currency = currency_of(item["amount"]["currency"])
    reference = identifier(item["pspReference"], "pspReference")
    original = str(item.get("originalReference") or "")
    merchant = str(item.get("merchantReference") or "")
    own = {Kind.CHARGE: "charge", Kind.REFUND: "refund", Kind.DISPUTE: "dispute"}.get(kind)
    yield movement(
        origin,
        position,
        external_id=f"{reference}{suffix}",
        kind=kind,
        amount=sign * units(item["amount"]["value"], currency),
        currency=currency,
        occurred_at=instant(item.get("eventDate")),
        account=str(item.get("merchantAccountCode") or ""),
        named=[
            *([(own, reference, STRONG)] if own else []),
            ("payment", original, WEAK),
            ("contribution", _contribution(extra), STRONG if kind is Kind.CHARGE else WEAK),
            ("order", merchant, WEAK),
        ],
    )


def _contribution(extra: Json) -> str:
    """Our own id, where the payment was made with it in its metadata."""
    return str(extra.get("metadata.contribution_id") or "")


def _platform(document: Json, origin: Origin, position: str) -> Iterator[Item]:
    """A booked transaction of a balance account; other events move nothing."""
    if document.get("type") != "balancePlatform.transaction.created":
        return
    data: Json = document["data"]
    if data.get("status") != "booked":
        return
    currency = currency_of(data["amount"]["currency"])
    transfer: Json = data.get("transfer") or {}
    yield movement(
        origin,
        position,
        external_id=identifier(data["id"]),
        kind=Kind.TRANSFER,
        amount=units(data["amount"]["value"], currency),
        currency=currency,
        occurred_at=instant(data["bookingDate"]),
        value_date=day(data.get("valueDate")),
        account=str((data.get("balanceAccount") or {}).get("id") or ""),
        description=str(data.get("description") or ""),
        named=[
            ("transfer", str(transfer.get("id") or ""), STRONG),
            ("order", str(transfer.get("reference") or ""), WEAK),
        ],
    )
