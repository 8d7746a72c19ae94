"""Stripe's objects as canonical transactions: the one place that decides who is who.

Identity. A webhook, a poll and a payout report must name one movement alike, so the external id is
what all three carry. That is the money object behind a balance transaction, not the balance
transaction: a charge event names its ``txn_`` only once one exists, and then perhaps not at all.

| movement | external id |
|---|---|
| charge | ``ch_`` or ``py_`` (a balance transaction's and a report line's source) |
| refund | ``re_`` or ``pyr_`` |
| payout | ``po_`` |
| dispute, its reversal, fee, adjustment, a payout that came back | ``txn_``: one dispute moves money several times, and a fee has no object |

Amounts. `amount_minor` is gross and signed as the balance moves: a charge is positive, a payout
negative. Gross, fee and net are filled from the balance transaction or the report, never guessed.

Strength. What identifies the payment alone is strong: a contribution of ours (metadata
``contribution_id``), the charge, its intent. A payout's id names a set and is weak on every record;
members carry it as `batch_id`, and so does the payout itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pardna.formats.model import Origin
from pardna.formats.psp import rescaled
from pardna.formats.text import clean, references, sorted_references
from pardna.runtime.errors import InvalidInput
from pardna.transactions.model import Counterparty, Kind, Reference, Side, Strength, Transaction

Json = Mapping[str, Any]

STRONG, WEAK = Strength.STRONG, Strength.WEAK

_KINDS = {
    "charge": Kind.CHARGE,
    "payment": Kind.CHARGE,
    "refund": Kind.REFUND,
    "payment_refund": Kind.REFUND,
    "partial_capture_reversal": Kind.REFUND,
    "refund_failure": Kind.REFUND,
    "payment_failure_refund": Kind.REFUND,
    "payout": Kind.PAYOUT,
    "payout_minimum_balance_hold": Kind.ADJUSTMENT,
    "payout_cancel": Kind.PAYOUT,
    "payout_failure": Kind.PAYOUT,
    "payout_reversal": Kind.PAYOUT,
    "dispute": Kind.DISPUTE,
    "dispute_reversal": Kind.DISPUTE_REVERSAL,
    "fee": Kind.FEE,
    "stripe_fee": Kind.FEE,
    "network_cost": Kind.FEE,
    "tax": Kind.FEE,
}
# Which movements are their source object, by what its id begins with.
_OWN_OBJECT = {
    "charge": ("ch_", "py_"),
    "payment": ("ch_", "py_"),
    "refund": ("re_", "pyr_"),
    "payment_refund": ("re_", "pyr_"),
    "payout": ("po_",),
}
_ID = re.compile(r"[A-Za-z0-9_]{1,100}")


def identity(category: str, source_id: str, transaction_id: str) -> str:
    """The external id of a movement of `category` whose source is `source_id`; see above."""
    return source_id if source_id.startswith(_OWN_OBJECT.get(category, "\0")) else transaction_id


def kind_of(category: str) -> Kind:
    """What a reporting category (or, where there is none, a type) means to us."""
    return _KINDS.get(category, Kind.ADJUSTMENT)


def identifier(value: Any) -> str:
    """The id of an object that is given as its id or, expanded, whole; empty for none."""
    if not value:
        return ""
    text = value
    if not isinstance(value, str) and isinstance(value, Mapping):
        text = value.get("id")
        if text in (None, ""):
            return ""
    if not isinstance(text, str) or not _ID.fullmatch(text):
        raise InvalidInput("stripe.id", "an id is not one")
    return text


#: Whose amounts Stripe counts with other decimals than ISO 4217: its documentation's list of
#: currencies without decimals, and its special cases, which keep two for the sake of old clients.
_DIGITS = {"ISK": 2, "MGA": 0, "UGX": 2}


def minor_units(value: Any, name: str, currency: str) -> int:
    """ISO minor units of an amount as Stripe's API counts it; raises InvalidInput."""
    counted = integer(value, name)
    return rescaled(counted, _DIGITS[currency], currency) if currency in _DIGITS else counted


def integer(value: Any, name: str) -> int:
    """An integer amount or time; raises InvalidInput for anything else, booleans included."""
    if type(value) is not int:
        raise InvalidInput("stripe.number", f"{name} is not an integer")
    return value


def moment(value: Any, name: str = "created") -> datetime:
    """An instant from seconds since 1970."""
    seconds = integer(value, name)
    if not 0 <= seconds < 4_102_444_800:
        raise InvalidInput("stripe.time", f"{name} is not a time")
    return datetime.fromtimestamp(seconds, UTC)


def currency_of(value: Json) -> str:
    """An object's currency in capitals."""
    return str(value.get("currency", "")).upper()


def charge_references(
    charge_id: str, intent_id: str, metadata: Any, *, strength: Strength = STRONG
) -> set[Reference]:
    """What leads to a charge: on the charge itself strong, on what follows from it weak."""
    own = metadata if isinstance(metadata, dict | Mapping) else {}
    return references(
        [
            ("charge", charge_id, strength),
            ("payment_intent", intent_id, strength),
            ("contribution", str(own.get("contribution_id") or ""), strength),
        ]
    )


def from_charge(
    charge: Json, origin: Origin, position: str, intent: Json | None = None
) -> Transaction:
    """A captured charge; `intent` is the payment intent that it belongs to, if that was given."""
    metadata = dict(charge.get("metadata") or {}) | dict((intent or {}).get("metadata") or {})
    captured = charge.get("amount_captured") or charge["amount"]
    charge_id, currency = identifier(charge["id"]), currency_of(charge)
    amount = minor_units(captured, "amount", currency)
    return Transaction(
        tenant_id=origin.tenant_id,
        source=origin.source(),
        external_id=charge_id,
        side=Side.PSP,
        kind=Kind.CHARGE,
        amount_minor=amount,
        currency=currency,
        occurred_at=moment(charge["created"]),
        raw_sha256=origin.raw_sha256,
        raw_position=position,
        account=origin.account,
        gross_minor=amount,
        counterparty=Counterparty(clean((charge.get("billing_details") or {}).get("name"))),
        description=clean(charge.get("description")),
        references=sorted_references(
            charge_references(
                charge_id,
                identifier(charge.get("payment_intent") or (intent or {}).get("id")),
                metadata,
            )
        ),
    )


def from_refund(refund: Json, origin: Origin, position: str) -> Transaction:
    """A refund, as money out."""
    currency = currency_of(refund)
    amount = -minor_units(refund["amount"], "amount", currency)
    found = references([("refund", identifier(refund["id"]), STRONG)])
    found |= charge_references(
        identifier(refund.get("charge")),
        identifier(refund.get("payment_intent")),
        refund.get("metadata"),
        strength=WEAK,
    )
    return Transaction(
        tenant_id=origin.tenant_id,
        source=origin.source(),
        external_id=identifier(refund["id"]),
        side=Side.PSP,
        kind=Kind.REFUND,
        amount_minor=amount,
        currency=currency,
        occurred_at=moment(refund["created"]),
        raw_sha256=origin.raw_sha256,
        raw_position=position,
        account=origin.account,
        gross_minor=amount,
        references=sorted_references(found),
    )


def from_payout(payout: Json, origin: Origin, position: str) -> Transaction:
    """A payout, as money out of the processor's balance (a negative payout comes back in)."""
    currency, payout_id = currency_of(payout), identifier(payout["id"])
    amount = -minor_units(payout["amount"], "amount", currency)
    arrival = payout.get("arrival_date")
    return Transaction(
        tenant_id=origin.tenant_id,
        source=origin.source(),
        external_id=payout_id,
        side=Side.PSP,
        kind=Kind.PAYOUT,
        amount_minor=amount,
        currency=currency,
        occurred_at=moment(payout["created"]),
        raw_sha256=origin.raw_sha256,
        raw_position=position,
        value_date=None if arrival is None else moment(arrival, "arrival_date").date(),
        account=origin.account,
        gross_minor=amount,
        fee_minor=0,
        net_minor=amount,
        description=clean(payout.get("description")),
        references=sorted_references(
            references(
                [
                    ("payout", payout_id, WEAK),
                    ("payout", _trace(payout.get("trace_id")), WEAK),
                ]
            )
        ),
        batch_id=payout_id,
    )


def from_balance_transaction(
    entry: Json, origin: Origin, position: str, payout_id: str = ""
) -> Transaction:
    """A movement of the balance; `payout_id` is the payout that settles it, where known."""
    category = str(entry.get("reporting_category") or entry.get("type") or "")
    source = entry.get("source")
    source_id, entry_id = identifier(source), identifier(entry["id"])
    kind = kind_of(category)
    expanded: Json = source if isinstance(source, Mapping) else {}
    available = entry.get("available_on")
    currency = currency_of(entry)
    gross, fee, net = [
        minor_units(entry[part], part, currency) for part in ("amount", "fee", "net")
    ]
    external_id = identity(category, source_id, entry_id)
    name = (expanded.get("billing_details") or {}).get("name") if kind is Kind.CHARGE else ""
    return Transaction(
        tenant_id=origin.tenant_id,
        source=origin.source(),
        external_id=external_id,
        side=Side.PSP,
        kind=kind,
        amount_minor=gross,
        currency=currency,
        occurred_at=moment(entry["created"]),
        raw_sha256=origin.raw_sha256,
        raw_position=position,
        value_date=None if available is None else moment(available, "available_on").date(),
        account=origin.account,
        gross_minor=gross,
        fee_minor=fee,
        net_minor=net,
        counterparty=Counterparty(clean(name)),
        description=clean(entry.get("description")),
        references=sorted_references(_of_source(kind, source_id, expanded)),
        batch_id=source_id if external_id.startswith("po_") else payout_id,
    )


def _of_source(kind: Kind, source_id: str, expanded: Json) -> set[Reference]:
    """What a balance transaction's source says about where it belongs."""
    metadata = expanded.get("metadata")
    intent_id = identifier(expanded.get("payment_intent"))
    if kind is Kind.CHARGE:
        return charge_references(source_id, intent_id, metadata)
    if kind is Kind.PAYOUT:
        trace = _trace(expanded.get("trace_id"))
        return references([("payout", source_id, WEAK), ("payout", trace, WEAK)])
    charge_id = identifier(expanded.get("charge"))
    found = charge_references(charge_id, intent_id, metadata, strength=WEAK)
    named = {Kind.REFUND: "refund", Kind.DISPUTE: "dispute", Kind.DISPUTE_REVERSAL: "dispute"}
    if kind in named:
        found |= references([(named[kind], source_id, STRONG)])
    return found


def _trace(trace: Any) -> str:
    """The trace that the bank line may carry: ``{"status": ..., "value": ...}``."""
    return str(trace.get("value") or "") if isinstance(trace, Mapping) else ""
