"""What the control API may decide: disputes and their outcome, adjustments, payouts.

Each is idempotent: the id follows from the content, and a second request with the same content
finds what the first one made.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

from local.psp.balance import balance_transactions
from local.psp.identifiers import derived_id, derived_trace
from local.psp.records import Json, Records

_MINUTE_SECONDS = 60
DISPUTE_REASONS = frozenset(
    {
        "credit_not_processed",
        "duplicate",
        "fraudulent",
        "general",
        "product_not_received",
        "product_unacceptable",
        "subscription_canceled",
        "unrecognized",
    }
)


class Refused(ValueError):
    """A control request that makes no sense. The text says why."""


def open_dispute(
    records: Records, charge_id: str, amount: int | None, reason: str, created: int | None = None
) -> Json:
    """The cardholder's bank takes `amount` minor units (default: all of the charge) back.

    One dispute per charge and reason. Raises `Refused`.
    """
    charge = records.charges.get(charge_id)
    if charge is None or charge["status"] != "succeeded":
        raise Refused(f"no such successful charge: {charge_id}")
    if reason not in DISPUTE_REASONS:
        raise Refused(f"reason must be one of {', '.join(sorted(DISPUTE_REASONS))}")
    disputed = charge["amount"] if amount is None else amount
    if not 0 < disputed <= charge["amount"]:
        raise Refused(f"amount must be between 1 and {charge['amount']}")
    identifier = derived_id("dp_", charge_id, reason)
    existing = records.disputes.get(identifier)
    if existing is not None:
        if existing["amount"] != disputed:
            raise Refused(f"{identifier} exists with amount {existing['amount']}")
        return existing
    records.disputes[identifier] = {
        "id": identifier,
        "charge": charge_id,
        "payment_intent": charge.get("payment_intent"),
        "amount": disputed,
        "currency": charge["currency"],
        "reason": reason,
        # Never the wall clock: the same story told again must give the same bytes.
        "created": charge["created"] + _MINUTE_SECONDS if created is None else created,
        "outcome": None,
        "closed": None,
    }
    return records.disputes[identifier]


def close_dispute(
    records: Records, dispute_id: str, outcome: str, closed: int | None = None
) -> Json:
    """Decide a dispute: "won" gives the amount back (not the fee), "lost" leaves it. Once only."""
    dispute = records.disputes.get(dispute_id)
    if dispute is None:
        raise Refused(f"no such dispute: {dispute_id}")
    if outcome not in ("won", "lost"):
        raise Refused("outcome must be won or lost")
    if dispute["outcome"] not in (None, outcome):
        raise Refused(f"{dispute_id} was already {dispute['outcome']}")
    if dispute["outcome"] is None:
        dispute["outcome"] = outcome
        dispute["closed"] = dispute["created"] + _MINUTE_SECONDS if closed is None else closed
    return dispute


def adjust(
    records: Records,
    currency: str,
    amount: int,
    description: str,
    kind: str = "adjustment",
    created: int | None = None,
) -> Json:
    """Move the balance for a reason of the processor's own. `kind` is adjustment or stripe_fee."""
    if kind not in ("adjustment", "stripe_fee"):
        raise Refused("type must be adjustment or stripe_fee")
    if amount == 0:
        raise Refused("amount must not be zero")
    currency = _currency(currency)
    identifier = derived_id("txn_", kind, currency, amount, description)
    if identifier not in records.adjustments:
        newest = max((one["created"] for one in balance_transactions(records)), default=0)
        records.adjustments[identifier] = {
            "id": identifier,
            "currency": currency,
            "amount": amount,
            "description": description,
            "type": kind,
            "created": created if created is not None else newest + 1,
        }
    return records.adjustments[identifier]


def pay_out(records: Records, currency: str, day: str) -> tuple[Json, bool]:
    """Settle everything unsettled of a currency into one payout that arrives on `day`.

    Returns the payout and whether it is new. With nothing to settle, the payout of that day (else
    the latest of the currency) is returned unchanged. A negative sum makes a negative payout: the
    processor debits the bank account. Raises `Refused` when there is nothing to pay at all.
    """
    currency = _currency(currency)
    arrival = _midnight(day)
    settled = records.payout_of()
    members = [
        one
        for one in balance_transactions(records)
        if one["currency"] == currency and one["type"] != "payout" and one["id"] not in settled
    ]
    amount = sum(one["net"] for one in members)
    if not members:
        return _latest(records, currency, arrival), False
    if amount == 0:
        raise Refused(f"the unsettled {currency} transactions sum to zero")
    ids = sorted(one["id"] for one in members)
    identifier = derived_id("po_", currency, *ids)
    records.payouts[identifier] = {
        "id": identifier,
        "amount": amount,
        "currency": currency,
        "arrival_date": arrival,
        "created": max(arrival, *(one["created"] for one in members)),
        "balance_transaction": derived_id("txn_", "payout", identifier),
        "trace_id": derived_trace("payout", identifier),
        "members": ids,
    }
    return records.payouts[identifier], True


def _latest(records: Records, currency: str, arrival: int) -> Json:
    candidates = [one for one in records.payouts.values() if one["currency"] == currency]
    if not candidates:
        raise Refused(f"nothing to settle in {currency}")
    return max(
        candidates, key=lambda one: (one["arrival_date"] == arrival, one["created"], one["id"])
    )


def _currency(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z]{3}", text):
        raise Refused(f"not a currency code: {text!r}")
    return text.lower()


def _midnight(day: str) -> int:
    try:
        parsed = date.fromisoformat(day)
    except ValueError:
        raise Refused(f"not a date (YYYY-MM-DD): {day!r}") from None
    return int(datetime(parsed.year, parsed.month, parsed.day, tzinfo=UTC).timestamp())
