"""Mollie: payments, refunds, chargebacks, settlements and balance transactions of its API.

Amounts are decimal text with a currency. Identity: the payment, refund or chargeback, whichever
list brought it; a balance transaction that is none of these keeps its own id. Only what is paid
moves money: open, expired and failed payments are passed over.
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
    decimal,
    each,
    identifier,
    instant,
    movement,
)
from pardna.runtime.errors import UnreadableFile
from pardna.transactions.model import Kind

FORMAT = "mollie"
_BALANCE = {
    "payment": (Kind.CHARGE, "paymentId"),
    "capture": (Kind.CHARGE, "paymentId"),
    "refund": (Kind.REFUND, "refundId"),
    "returned-refund": (Kind.REFUND, ""),
    "chargeback": (Kind.DISPUTE, "chargebackId"),
    "chargeback-reversal": (Kind.DISPUTE_REVERSAL, ""),
    "outgoing-transfer": (Kind.PAYOUT, "settlementId"),
    "invoice-compensation": (Kind.FEE, ""),
    "payment-fee": (Kind.FEE, ""),
}


def read(data: bytes, origin: Origin) -> Parsed:
    """The movements of an object or list. Raises UnreadableFile when it is neither."""
    document = json_text.loads(data)
    if not isinstance(document, Mapping):
        raise UnreadableFile("mollie.no_object", "this is no object of Mollie's API")
    embedded = document.get("_embedded")
    rows = [document]
    if "resource" not in document and isinstance(embedded, Mapping):
        rows = [row for listed in embedded.values() if isinstance(listed, list) for row in listed]
    return collect(FORMAT, each(rows, lambda row, at: _one(row, origin, at)))


def _one(row: Json, origin: Origin, position: str) -> Iterator[Item]:
    match row.get("resource"):
        case "payment" if row.get("status") == "paid":
            yield from _payment(row, origin, position)
        case "refund" if row.get("status") not in ("failed", "canceled"):
            yield from _taken_back(row, origin, position, Kind.REFUND, "refund")
        case "chargeback":
            yield from _taken_back(row, origin, position, Kind.DISPUTE, "dispute")
        case "settlement" if row.get("status") == "paidout":
            yield from _settlement(row, origin, position)
        case "balance_transaction":
            yield from _balance(row, origin, position)


def _money(value: Any) -> tuple[int, str]:
    currency = currency_of(value["currency"])
    return decimal(value["value"], currency), currency


def _settled(row: Json) -> tuple[int, str]:
    """The amount that moves the balance: across currencies that is the settlement amount."""
    amount, currency = _money(row["amount"])
    settlement = row.get("settlementAmount")
    if isinstance(settlement, Mapping) and settlement.get("currency") != currency:
        return _money(settlement)
    return amount, currency


def _contribution(row: Json) -> str:
    metadata = row.get("metadata")
    return str(metadata.get("contribution_id") or "") if isinstance(metadata, Mapping) else ""


def _payment(row: Json, origin: Origin, position: str) -> Iterator[Item]:
    amount, currency = _settled(row)
    own_id = identifier(row["id"])
    yield movement(
        origin,
        position,
        external_id=own_id,
        kind=Kind.CHARGE,
        amount=amount,
        currency=currency,
        occurred_at=instant(row.get("paidAt") or row["createdAt"]),
        batch_id=str(row.get("settlementId") or ""),
        description=row.get("description"),
        named=[("charge", own_id, STRONG), ("contribution", _contribution(row), STRONG)],
    )


def _taken_back(row: Json, origin: Origin, position: str, kind: Kind, named: str) -> Iterator[Item]:
    amount, currency = _settled(row)
    own_id = identifier(row["id"])
    yield movement(
        origin,
        position,
        external_id=own_id,
        kind=kind,
        amount=-abs(amount),
        currency=currency,
        occurred_at=instant(row["createdAt"]),
        batch_id=str(row.get("settlementId") or ""),
        description=row.get("description"),
        named=[(named, own_id, STRONG), ("charge", str(row.get("paymentId") or ""), WEAK)],
    )


def _settlement(row: Json, origin: Origin, position: str) -> Iterator[Item]:
    amount, currency = _money(row["amount"])
    own_id = identifier(row["id"])
    yield movement(
        origin,
        position,
        external_id=own_id,
        kind=Kind.PAYOUT,
        amount=-amount,
        currency=currency,
        occurred_at=instant(row.get("settledAt") or row["createdAt"]),
        value_date=day(row.get("settledAt")),
        fee=0,
        batch_id=own_id,
        named=[("payout", own_id, WEAK), ("payout", str(row.get("reference") or ""), WEAK)],
    )


def _balance(row: Json, origin: Origin, position: str) -> Iterator[Item]:
    """Initial amount is gross, result is net, deductions (negative) are the fee."""
    kind, name = _BALANCE.get(str(row["type"]), (Kind.ADJUSTMENT, ""))
    context: Json = row.get("context") or {}
    net, currency = _money(row["resultAmount"])
    gross, gross_currency = _money(row["initialAmount"])
    deducted = row.get("deductions")
    if gross_currency != currency:
        gross = net - (_money(deducted)[0] if deducted else 0)
    payment = str(context.get("paymentId") or "")
    own = {Kind.CHARGE: "charge", Kind.REFUND: "refund", Kind.DISPUTE: "dispute"}.get(kind)
    external_id = str(context.get(name) or "") or identifier(row["id"])
    yield movement(
        origin,
        position,
        external_id=external_id,
        kind=kind,
        amount=gross,
        currency=currency,
        occurred_at=instant(row["createdAt"]),
        fee=gross - net,
        net=net,
        batch_id=external_id if kind is Kind.PAYOUT else str(context.get("settlementId") or ""),
        named=[
            *([(own, external_id, STRONG)] if own and name in context else []),
            ("charge", payment, STRONG if kind is Kind.CHARGE else WEAK),
        ],
    )
