"""Events: what would have been sent as webhooks, listed. Derived from the records like all else.

One for each charge that succeeded, refund, dispute and payout; Stripe keeps them for thirty days,
the simulator for ever.
"""

from __future__ import annotations

from collections.abc import Iterator

from local.psp import objects
from local.psp.identifiers import derived_id
from local.psp.records import Json, Records

API_VERSION = "2025-09-30.clover"


def events(records: Records) -> list[Json]:
    """All events, newest first; equal times by id, so the order never wavers."""
    return sorted(_all(records), key=lambda one: (one["created"], one["id"]), reverse=True)


def _all(records: Records) -> Iterator[Json]:
    for charge in records.charges.values():
        if charge["status"] == "succeeded":
            yield _event("charge.succeeded", objects.charge(records, charge))
    for refund in records.refunds.values():
        yield _event("refund.created", objects.refund(records, refund))
    for dispute in records.disputes.values():
        yield _event("charge.dispute.created", objects.dispute(records, dispute))
    for payout in records.payouts.values():
        yield _event("payout.paid", objects.payout(records, payout))


def _event(kind: str, thing: Json) -> Json:
    return {
        "id": derived_id("evt_", kind, thing["id"]),
        "object": "event",
        "api_version": API_VERSION,
        "created": thing["created"],
        "data": {"object": thing},
        "livemode": False,
        "pending_webhooks": 0,
        "request": {"id": None, "idempotency_key": None},
        "type": kind,
    }
