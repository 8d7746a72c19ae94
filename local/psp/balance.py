"""Balance transactions: every movement of the processor's balance, derived from the records.

A charge's and a refund's transaction keeps the id that localstripe announced for it in
`charge.balance_transaction`, so that webhook, poll and report name the same money by the same id.
`amount` is gross and signed, `net` is always `amount - fee`.
"""

from __future__ import annotations

from local.psp import fees
from local.psp.identifiers import derived_id
from local.psp.records import Json, Records

_DAY_SECONDS = 86_400
# A charge becomes available two days later, as in Stripe's usual schedule.
_AVAILABLE_AFTER_DAYS = 2


def balance_transactions(records: Records) -> list[Json]:
    """All balance transactions, newest first; equal times by id, so the order never wavers."""
    settled = records.payout_of()
    found = [
        *(_of_charge(charge) for charge in records.charges.values() if _moved_money(charge)),
        *(_of_refund(refund, records) for refund in records.refunds.values()),
        *(entry for dispute in records.disputes.values() for entry in _of_dispute(dispute)),
        *(_of_adjustment(adjustment) for adjustment in records.adjustments.values()),
        *(_of_payout(payout) for payout in records.payouts.values()),
    ]
    for transaction in found:
        if transaction["id"] in settled or transaction["type"] == "payout":
            transaction["status"] = "available"
    return sorted(found, key=lambda one: (one["created"], one["id"]), reverse=True)


def charge_transaction_id(charge: Json) -> str:
    """The balance transaction of a charge."""
    return str(charge.get("balance_transaction") or derived_id("txn_", "charge", charge["id"]))


def refund_transaction_id(refund: Json) -> str:
    """The balance transaction of a refund."""
    return str(refund.get("balance_transaction") or derived_id("txn_", "refund", refund["id"]))


def _moved_money(charge: Json) -> bool:
    return charge["status"] == "succeeded" and bool(charge["captured"])


def _of_charge(charge: Json) -> Json:
    fee = fees.charge_fee(charge["amount"], charge["currency"])
    return _transaction(
        charge_transaction_id(charge),
        amount=charge["amount"],
        fee=fee,
        fee_name="Stripe processing fees",
        currency=charge["currency"],
        created=charge["created"],
        kind="charge",
        source=charge["id"],
        description=charge.get("description"),
    )


def _of_refund(refund: Json, records: Records) -> Json:
    charge = records.charges.get(refund["charge"], {})
    description = charge.get("description")
    return _transaction(
        refund_transaction_id(refund),
        amount=-refund["amount"],
        currency=refund["currency"],
        created=refund["created"],
        kind="refund",
        source=refund["id"],
        description=f"REFUND FOR CHARGE ({description})" if description else "REFUND FOR CHARGE",
    )


def _of_dispute(dispute: Json) -> list[Json]:
    """The withdrawal, and the reversal once the dispute is won. Both are of type adjustment."""
    entries = [
        _transaction(
            derived_id("txn_", "dispute", dispute["id"]),
            amount=-dispute["amount"],
            fee=fees.dispute_fee(dispute["currency"]),
            fee_name="Dispute fee",
            currency=dispute["currency"],
            created=dispute["created"],
            kind="adjustment",
            category="dispute",
            source=dispute["id"],
            description=f"Chargeback withdrawal for {dispute['charge']}",
        )
    ]
    if dispute["outcome"] == "won":
        entries.append(
            _transaction(
                derived_id("txn_", "dispute_reversal", dispute["id"]),
                amount=dispute["amount"],
                currency=dispute["currency"],
                created=dispute["closed"],
                kind="adjustment",
                category="dispute_reversal",
                source=dispute["id"],
                description=f"Chargeback reversal for {dispute['charge']}",
            )
        )
    return entries


def _of_adjustment(adjustment: Json) -> Json:
    return _transaction(
        adjustment["id"],
        amount=adjustment["amount"],
        currency=adjustment["currency"],
        created=adjustment["created"],
        kind=adjustment["type"],
        category="fee" if adjustment["type"] == "stripe_fee" else "other_adjustment",
        source=None,
        description=adjustment["description"],
    )


def _of_payout(payout: Json) -> Json:
    return _transaction(
        payout["balance_transaction"],
        amount=-payout["amount"],
        currency=payout["currency"],
        created=payout["created"],
        available_on=payout["arrival_date"],
        kind="payout",
        source=payout["id"],
        description="STRIPE PAYOUT",
    )


def _transaction(
    identifier: str,
    *,
    amount: int,
    currency: str,
    created: int,
    kind: str,
    source: str | None,
    description: str | None,
    fee: int = 0,
    fee_name: str = "",
    category: str | None = None,
    available_on: int | None = None,
) -> Json:
    if available_on is None:
        midnight = created - created % _DAY_SECONDS
        available_on = midnight + _AVAILABLE_AFTER_DAYS * _DAY_SECONDS
    details = []
    if fee:
        details.append(
            {
                "amount": fee,
                "application": None,
                "currency": currency,
                "description": fee_name,
                "type": "stripe_fee",
            }
        )
    return {
        "id": identifier,
        "object": "balance_transaction",
        "amount": amount,
        "available_on": available_on,
        "balance_type": "payments",
        "created": created,
        "currency": currency,
        "description": description,
        "exchange_rate": None,
        "fee": fee,
        "fee_details": details,
        "net": amount - fee,
        "reporting_category": category or kind,
        "source": source,
        "status": "pending",
        "type": kind,
    }
