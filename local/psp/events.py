"""Events: what was, or would have been, sent as webhooks, listed.

Those of localstripe are passed on under their own ids, so that a webhook and the list name one event
alike. What localstripe sends nothing about is derived from the records: charges without an intent,
refunds, disputes and payouts. Stripe keeps events for thirty days, the simulator for ever.
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
    told = set()
    for event in records.events.values():
        told.add(event["data"]["object"]["id"])
        yield {**_shell(event["id"], event["type"]), **event}
    for charge in records.charges.values():
        if charge["status"] == "succeeded" and charge.get("payment_intent") not in told:
            yield _event("charge.succeeded", objects.charge(records, charge))
    for refund in records.refunds.values():
        yield _event("refund.created", objects.refund(records, refund))
    for dispute in records.disputes.values():
        yield _event("charge.dispute.created", objects.dispute(records, dispute))
    for payout in records.payouts.values():
        yield _event("payout.paid", objects.payout(records, payout))


def _event(kind: str, thing: Json) -> Json:
    shell = _shell(derived_id("evt_", kind, thing["id"]), kind)
    return {**shell, "created": thing["created"], "data": {"object": thing}}


def _shell(identifier: str, kind: str) -> Json:
    return {
        "id": identifier,
        "object": "event",
        "api_version": API_VERSION,
        "livemode": False,
        "pending_webhooks": 0,
        "request": {"id": None, "idempotency_key": None},
        "type": kind,
    }
