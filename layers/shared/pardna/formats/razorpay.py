"""Razorpay: webhook events, objects and lists of its API, and its settlement reconciliation.

Amounts are integers of minor units; a settlement names no currency and is in rupees. Identity: the
entity's own id, by every route. In the reconciliation ``credit`` or ``debit`` is net, ``fee``
contains its tax. What is not captured or processed moves nothing.
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
    each,
    identifier,
    instant,
    movement,
    whole,
)
from pardna.runtime.errors import UnreadableFile
from pardna.transactions.model import Kind

FORMAT = "razorpay"
_RECONCILED = {
    "payment": Kind.CHARGE,
    "refund": Kind.REFUND,
    "adjustment": Kind.ADJUSTMENT,
    "transfer": Kind.TRANSFER,
}


def read(data: bytes, origin: Origin) -> Parsed:
    """The movements of an event, object or list. Raises UnreadableFile when it is none."""
    document = json_text.loads(data)
    if not isinstance(document, Mapping):
        raise UnreadableFile("razorpay.no_object", "this is nothing of Razorpay's API")
    if document.get("entity") == "event":
        payload: Json = document.get("payload") or {}
        rows = [part.get("entity") for part in payload.values() if isinstance(part, Mapping)]
    elif document.get("entity") == "collection":
        rows = list(document.get("items") or [])
    else:
        rows = [document]  # a list of payment links says nothing: none has been paid by being one
    return collect(FORMAT, each(rows, lambda row, at: _one(row, origin, at)))


def _one(row: Json, origin: Origin, position: str) -> Iterator[Item]:
    if "entity_id" in row:
        yield _reconciled(row, origin, position)
        return
    match row.get("entity"):
        case "payment" if row.get("status") in ("captured", "refunded"):
            yield _payment(row, origin, position)
        case "refund" if row.get("status", "processed") == "processed":
            yield _refund(row, origin, position)
        case "settlement" if row.get("status") == "processed":
            yield _settlement(row, origin, position)
        case "dispute" if whole(row.get("amount_deducted") or 0):
            yield _dispute(row, origin, position)


def _contribution(row: Json) -> str:
    notes = row.get("notes")
    return str(notes.get("contribution_id") or "") if isinstance(notes, Mapping) else ""


def _payment(row: Json, origin: Origin, position: str) -> Item:
    own_id, fee = identifier(row["id"]), row.get("fee")
    return movement(
        origin,
        position,
        external_id=own_id,
        kind=Kind.CHARGE,
        amount=whole(row["amount"]),
        currency=currency_of(row["currency"]),
        occurred_at=instant(row["created_at"]),
        fee=None if fee is None else whole(fee),
        description=row.get("description"),
        named=[
            ("charge", own_id, STRONG),
            ("contribution", _contribution(row), STRONG),
            ("order", str(row.get("order_id") or ""), WEAK),
        ],
    )


def _refund(row: Json, origin: Origin, position: str) -> Item:
    own_id = identifier(row["id"])
    acquirer: Json = row.get("acquirer_data") or {}
    return movement(
        origin,
        position,
        external_id=own_id,
        kind=Kind.REFUND,
        amount=-whole(row["amount"]),
        currency=currency_of(row["currency"]),
        occurred_at=instant(row["created_at"]),
        named=[
            ("refund", own_id, STRONG),
            ("charge", str(row.get("payment_id") or ""), WEAK),
            ("acquirer_reference", str(acquirer.get("arn") or ""), WEAK),
        ],
    )


def _settlement(row: Json, origin: Origin, position: str) -> Item:
    own_id = identifier(row["id"])
    return movement(
        origin,
        position,
        external_id=own_id,
        kind=Kind.PAYOUT,
        amount=-whole(row["amount"]),
        currency=currency_of(row.get("currency") or "INR"),
        occurred_at=instant(row["created_at"]),
        fee=0,
        batch_id=own_id,
        named=[("payout", own_id, WEAK), ("payout", str(row.get("utr") or ""), WEAK)],
    )


def _dispute(row: Json, origin: Origin, position: str) -> Item:
    own_id = identifier(row["id"])
    return movement(
        origin,
        position,
        external_id=own_id,
        kind=Kind.DISPUTE,
        amount=-whole(row["amount_deducted"]),
        currency=currency_of(row["currency"]),
        occurred_at=instant(row["created_at"]),
        named=[("dispute", own_id, STRONG), ("charge", str(row.get("payment_id") or ""), WEAK)],
    )


def _reconciled(row: Json, origin: Origin, position: str) -> Item:
    """A line of the combined reconciliation: net is credit less debit, gross is net and fee."""
    own_id, kind = identifier(row["entity_id"]), _RECONCILED.get(str(row["type"]), Kind.ADJUSTMENT)
    if kind is Kind.ADJUSTMENT and row.get("dispute_id"):
        kind = Kind.DISPUTE
    net, fee = whole(row["credit"]) - whole(row["debit"]), whole(row.get("fee") or 0)
    own = {Kind.CHARGE: "charge", Kind.REFUND: "refund"}.get(kind)
    return movement(
        origin,
        position,
        external_id=own_id,
        kind=kind,
        amount=net + fee,
        currency=currency_of(row["currency"]),
        occurred_at=instant(row["created_at"]),
        fee=fee,
        net=net,
        value_date=None if not row.get("settled_at") else instant(row["settled_at"]).date(),
        batch_id=str(row.get("settlement_id") or ""),
        description=row.get("description"),
        named=[
            *([(own, own_id, STRONG)] if own else []),
            ("charge", str(row.get("payment_id") or ""), WEAK),
            ("dispute", str(row.get("dispute_id") or ""), WEAK),
            ("contribution", _contribution(row), STRONG if kind is Kind.CHARGE else WEAK),
            ("order", str(row.get("order_receipt") or ""), WEAK),
        ],
    )
