"""GoCardless: payments, refunds, payouts and payout items as its API lists them, and its webhooks.

A webhook's events name what changed but no amount: they are read and say nothing, and whoever polls
fetches the objects. Payout items do not say their payout, currency or time either; the poller's
document ``{"object": "pardna.gocardless_listing", "payout": "PO…", "currency": "GBP",
"created_at": "…", "payout_items": […]}`` does, with its payout's. Identity: the payment for what it brought, else payout, item type and object.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, time
from typing import Any

from pardna.formats import json_text
from pardna.formats.items import Item, collect
from pardna.formats.model import Origin, Parsed, Problem
from pardna.formats.psp import (
    STRONG,
    WEAK,
    Json,
    currency_of,
    day,
    each,
    identifier,
    instant,
    movement,
    whole,
)
from pardna.runtime.errors import UnreadableFile
from pardna.transactions.model import Kind

FORMAT = "gocardless"
OBJECT = "pardna.gocardless_listing"
_COLLECTED = frozenset({"confirmed", "paid_out"})
_ITEMS = {
    "payment_paid_out": Kind.CHARGE,
    "payment_failed": Kind.CHARGE,
    "payment_charged_back": Kind.DISPUTE,
    "payment_refunded": Kind.REFUND,
    "refund": Kind.REFUND,
    "refund_funds_returned": Kind.REFUND,
    "gocardless_fee": Kind.FEE,
    "app_fee": Kind.FEE,
    "surcharge_fee": Kind.FEE,
}


def read(data: bytes, origin: Origin) -> Parsed:
    """The movements of a page. Raises UnreadableFile when it is no page of GoCardless."""
    document = json_text.loads(data)
    if not isinstance(document, Mapping):
        raise UnreadableFile("gocardless.no_page", "this is no page of GoCardless")
    return collect(FORMAT, _items(document, origin))


def _items(document: Json, origin: Origin) -> Iterator[Item]:
    yield from each(
        _listed(document, "payments"), lambda row, at: _payment(row, origin, at), "payment"
    )
    yield from each(
        _listed(document, "refunds"), lambda row, at: _refund(row, origin, at), "refund"
    )
    yield from each(
        _listed(document, "payouts"), lambda row, at: _payout(row, origin, at), "payout"
    )
    payout_id, currency = str(document.get("payout") or ""), str(document.get("currency") or "")
    items = _listed(document, "payout_items")
    if not items:
        return
    if not (payout_id and currency and document.get("created_at")):
        reason = "payout items without their payout, its currency and its time"
        yield Problem("gocardless.no_payout", "page", reason)
        return
    moment = instant(document.get("created_at"))
    yield from each(items, lambda r, at: _item(r, origin, at, payout_id, currency, moment), "item")


def _listed(document: Json, name: str) -> list[Any]:
    """A list, or the one object that a page of one has."""
    found = document.get(name)
    if isinstance(found, Mapping):
        return [found]
    return list(found) if isinstance(found, list) else []


def _payment(row: Json, origin: Origin, position: str) -> Iterator[Item]:
    if row.get("status") not in _COLLECTED:
        return
    own_id, links = identifier(row["id"]), row.get("links") or {}
    metadata = row.get("metadata") or {}
    yield movement(
        origin,
        position,
        external_id=own_id,
        kind=Kind.CHARGE,
        amount=whole(row["amount"]),
        currency=currency_of(row["currency"]),
        occurred_at=_moment(row),
        value_date=day(row.get("charge_date")),
        account=str(links.get("creditor") or ""),
        batch_id=str(links.get("payout") or ""),
        description=row.get("description"),
        named=[
            ("charge", own_id, STRONG),
            ("contribution", str(metadata.get("contribution_id") or ""), STRONG),
            ("order", str(row.get("reference") or ""), WEAK),
        ],
    )


def _refund(row: Json, origin: Origin, position: str) -> Iterator[Item]:
    if row.get("status") in ("cancelled", "bounced", "funds_returned"):
        return
    own_id, links = identifier(row["id"]), row.get("links") or {}
    yield movement(
        origin,
        position,
        external_id=own_id,
        kind=Kind.REFUND,
        amount=-whole(row["amount"]),
        currency=currency_of(row["currency"]),
        occurred_at=instant(row.get("created_at")),
        named=[("refund", own_id, STRONG), ("charge", str(links.get("payment") or ""), WEAK)],
    )


def _payout(row: Json, origin: Origin, position: str) -> Iterator[Item]:
    if row.get("status") == "bounced":
        return
    own_id, links = identifier(row["id"]), row.get("links") or {}
    # The amount is what reaches the bank; fees were deducted before and are items of the payout.
    yield movement(
        origin,
        position,
        external_id=own_id,
        kind=Kind.PAYOUT,
        amount=-whole(row["amount"]),
        currency=currency_of(row["currency"]),
        occurred_at=instant(row.get("created_at")),
        value_date=day(row.get("arrival_date")),
        account=str(links.get("creditor") or ""),
        fee=0,
        batch_id=own_id,
        named=[("payout", own_id, WEAK), ("payout", str(row.get("reference") or ""), WEAK)],
    )


def _item(
    row: Json, origin: Origin, position: str, payout: str, currency: str, moment: datetime
) -> Iterator[Item]:
    kind = _ITEMS.get(str(row["type"]), Kind.ADJUSTMENT)
    links: Json = row.get("links") or {}
    payment, refund = str(links.get("payment") or ""), str(links.get("refund") or "")
    about = refund if kind is Kind.REFUND and refund else payment
    if row["type"] == "payment_paid_out":
        external_id = identifier(payment, "payment")
    elif row["type"] in ("refund", "payment_refunded") and refund:
        external_id = refund
    else:
        external_id = f"{payout}/{row['type']}/{about or position.rpartition(' ')[2]}"
    amount = whole(row["amount"])
    yield movement(
        origin,
        position,
        external_id=external_id,
        kind=kind,
        amount=amount,
        currency=currency_of(currency),
        occurred_at=moment,
        fee=0 if kind is not Kind.CHARGE else None,
        batch_id=payout,
        named=[
            ("charge", payment, STRONG if row["type"] == "payment_paid_out" else WEAK),
            ("refund", refund, STRONG if kind is Kind.REFUND else WEAK),
        ],
    )


def _moment(row: Json) -> datetime:
    charged = day(row.get("charge_date"))
    if charged is not None:
        return datetime.combine(charged, time(), UTC)
    return instant(row.get("created_at"))
