"""Square: webhook events of payments, refunds, disputes and payouts, and a payout's entries.

Amounts are integers of minor units. Identity: the payment or refund, whichever route brought it;
an entry that is neither keeps its own id, and a payout its own.
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
    whole,
)
from pardna.runtime.errors import InvalidInput, UnreadableFile
from pardna.transactions.model import Kind

FORMAT = "square"
_ENTRIES = {
    "CHARGE": (Kind.CHARGE, "type_charge_details", "payment_id"),
    "REFUND": (Kind.REFUND, "type_refund_details", "refund_id"),
    "DISPUTE": (Kind.DISPUTE, "type_dispute_details", ""),
    "FEE": (Kind.FEE, "", ""),
    "AUTOMATIC_SAVINGS": (Kind.ADJUSTMENT, "", ""),
    "TAX_ON_FEE": (Kind.FEE, "", ""),
    "THIRD_PARTY_FEE": (Kind.FEE, "", ""),
}


def read(data: bytes, origin: Origin) -> Parsed:
    """The movements of an event or a page of entries. Raises UnreadableFile when it is neither."""
    document = json_text.loads(data)
    if not isinstance(document, Mapping):
        raise UnreadableFile("square.no_object", "this is nothing of Square's API")
    entries = document.get("payout_entries")
    if isinstance(entries, list):
        return collect(FORMAT, each(entries, lambda row, at: _entry(row, origin, at), "entry"))
    return collect(FORMAT, guarded(document, lambda row, at: _event(row, origin, at), "event"))


def _money(value: Any) -> tuple[int, str]:
    return whole(value["amount"]), currency_of(value["currency"])


def _entry(row: Json, origin: Origin, position: str) -> Iterator[Item]:
    kind, details_name, id_name = _ENTRIES.get(str(row["type"]), (Kind.ADJUSTMENT, "", ""))
    gross, currency = _money(row["gross_amount_money"])
    fee, fee_currency = _money(row["fee_amount_money"])
    net, net_currency = _money(row["net_amount_money"])
    if not currency == fee_currency == net_currency:
        raise InvalidInput("row.currency", "gross, fee and net are in different currencies")
    details: Json = row.get(details_name) or {}
    object_id = str(details.get(id_name) or "")
    payment = str(details.get("payment_id") or "")
    own = {Kind.CHARGE: "charge", Kind.REFUND: "refund"}.get(kind)
    yield movement(
        origin,
        position,
        external_id=object_id or identifier(row["id"]),
        kind=kind,
        amount=gross,
        currency=currency,
        occurred_at=instant(row["effective_at"]),
        fee=fee,
        net=net,
        batch_id=str(row.get("payout_id") or ""),
        named=[
            *([(own, object_id, STRONG)] if own else []),
            ("charge", payment if kind is not Kind.CHARGE else "", WEAK),
        ],
    )


def _event(event: Json, origin: Origin, position: str) -> Iterator[Item]:
    thing: Json = (event.get("data") or {}).get("object") or {}
    account = str(event.get("merchant_id") or "")
    payment, refund, payout = thing.get("payment"), thing.get("refund"), thing.get("payout")
    if isinstance(payment, Mapping) and payment.get("status") == "COMPLETED":
        yield _payment(payment, origin, position, account)
    elif isinstance(refund, Mapping) and refund.get("status") == "COMPLETED":
        yield _refund(refund, origin, position, account)
    elif isinstance(payout, Mapping) and payout.get("status") in ("SENT", "PAID"):
        amount, currency = _money(payout["amount_money"])
        own_id = identifier(payout["id"])
        yield movement(
            origin,
            position,
            external_id=own_id,
            kind=Kind.PAYOUT,
            amount=-amount,
            currency=currency,
            occurred_at=instant(payout["created_at"]),
            value_date=day(payout.get("arrival_date")),
            account=account,
            fee=0,
            batch_id=own_id,
            named=[("payout", own_id, WEAK)],
        )


def _payment(payment: Json, origin: Origin, position: str, account: str) -> Item:
    amount, currency = _money(payment.get("total_money") or payment["amount_money"])
    fees = payment.get("processing_fee")
    fee = None
    if isinstance(fees, list) and fees:
        fee = sum(whole(f["amount_money"]["amount"]) for f in fees)
    own_id = identifier(payment["id"])
    return movement(
        origin,
        position,
        external_id=own_id,
        kind=Kind.CHARGE,
        amount=amount,
        currency=currency,
        occurred_at=instant(payment["created_at"]),
        account=account,
        fee=fee,
        description=payment.get("note"),
        named=[
            ("charge", own_id, STRONG),
            ("contribution", str(payment.get("reference_id") or ""), STRONG),
            ("order", str(payment.get("order_id") or ""), WEAK),
        ],
    )


def _refund(refund: Json, origin: Origin, position: str, account: str) -> Item:
    amount, currency = _money(refund["amount_money"])
    own_id = identifier(refund["id"])
    return movement(
        origin,
        position,
        external_id=own_id,
        kind=Kind.REFUND,
        amount=-amount,
        currency=currency,
        occurred_at=instant(refund["created_at"]),
        account=account,
        named=[("refund", own_id, STRONG), ("charge", str(refund.get("payment_id") or ""), WEAK)],
    )
