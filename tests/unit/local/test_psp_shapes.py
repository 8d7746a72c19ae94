"""The simulated settlement source answers in Stripe's shapes.

Two independent references: the classes of the `stripe` package, which are generated from Stripe's
OpenAPI description (names, types, which fields are required), and the published sample objects.
"""

from __future__ import annotations

import json
import types
import typing
from pathlib import Path
from typing import Any

import pytest
import stripe

from local.psp import objects, settle
from local.psp.balance import balance_transactions
from local.psp.events import events
from local.psp.records import Json
from tests.unit.local.simulated import a_charge, a_refund, records

SAMPLES = (
    Path(__file__).resolve().parents[4] / "shared/corpora/psp/stripe/stripe__openapi/fixtures3.json"
)
CLASSES: dict[str, Any] = {
    "balance_transaction": stripe.BalanceTransaction,
    "charge": stripe.Charge,
    "refund": stripe.Refund,
    "dispute": stripe.Dispute,
    "payout": stripe.Payout,
    "event": stripe.Event,
}


def an_event(charge: Json) -> Json:
    """As localstripe lists it: the payment of a charge."""
    intent = {"id": charge["payment_intent"], "object": "payment_intent"}
    return {
        "id": "evt_up",
        "object": "event",
        "type": "payment_intent.succeeded",
        "api_version": "2017-08-15",
        "created": charge["created"],
        "livemode": False,
        "data": {"object": intent},
    }


def test_an_event_that_was_sent_keeps_its_id_and_its_charge_is_told_of_once() -> None:
    held = records(a_charge(1), a_charge(2))
    held.events["evt_up"] = an_event(a_charge(1))
    listed = events(held)
    assert [(e["id"], e["type"]) for e in listed if e["created"] == a_charge(1)["created"]] == [
        ("evt_up", "payment_intent.succeeded")
    ]
    (derived,) = [e for e in listed if e["type"] == "charge.succeeded"]
    assert derived["data"]["object"]["id"] == a_charge(2)["id"]


def served() -> list[Json]:
    """One of each, in every variety that the simulator knows."""
    charge = a_charge(1)
    failed = a_charge(2, status="failed", captured=True, failure_code="card_declined")
    held = records(charge, failed, a_charge(3), refunds=(a_refund(charge),))
    dispute = settle.open_dispute(held, a_charge(3)["id"], None, "fraudulent")
    settle.close_dispute(held, dispute["id"], "won")
    settle.adjust(held, "jmd", 5, "Correction")
    payout, _ = settle.pay_out(held, "jmd", "2026-11-23")
    held.events["evt_up"] = an_event(a_charge(3))
    return [
        *balance_transactions(held),
        *(objects.charge(held, one) for one in held.charges.values()),
        *(objects.refund(held, one) for one in held.refunds.values()),
        objects.dispute(held, dispute),
        objects.payout(held, payout),
        *events(held),
    ]


def named(one: Json) -> str:
    said = one.get("reporting_category", one.get("status", one.get("type")))
    return f"{one['object']}-{said}"


@pytest.mark.parametrize("one", served(), ids=named)
def test_fields_and_types_are_those_of_the_generated_classes(one: Json) -> None:
    described = {
        name: kind
        for name, kind in CLASSES[one["object"]].__annotations__.items()
        if typing.get_origin(kind) is not typing.ClassVar
    }

    assert set(one) <= set(described)
    required = {name for name, kind in described.items() if not _optional(kind)}
    assert required <= set(one)
    for name, value in one.items():
        assert _fits(value, described[name]), f"{name}: {value!r} is no {described[name]}"


def test_the_comparison_notices_what_is_wrong() -> None:
    described = stripe.BalanceTransaction.__annotations__

    assert not _fits("500", described["amount"])
    assert not _fits(None, described["net"])
    assert not _optional(described["fee_details"])
    assert _optional(described["source"])


@pytest.mark.skipif(not SAMPLES.exists(), reason="the published samples are not beside this copy")
@pytest.mark.parametrize("one", served(), ids=named)
def test_fields_are_those_of_the_published_samples(one: Json) -> None:
    sample = json.loads(SAMPLES.read_text())["resources"][one["object"]]

    missing = set(sample) - set(one)
    # Filled only when expanded, for old integrations, or for other payment methods.
    assert missing <= {"refunds", "source", "customer", "customer_account", "payment_method"}
    for name in set(sample) & set(one):
        if sample[name] is not None and one[name] is not None:
            assert type(one[name]) is type(sample[name]), name


def _optional(kind: Any) -> bool:
    return type(None) in typing.get_args(kind)


def _fits(value: Any, kind: Any) -> bool:
    """Whether a JSON value fits an annotation of the package."""
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, one) for one in typing.get_args(kind))
    if kind is type(None):
        return value is None
    if origin is typing.Literal:
        return value in typing.get_args(kind)
    if origin is list:
        return isinstance(value, list)
    if kind in (int, str, bool, float):
        return type(value) is kind
    if isinstance(kind, type) and issubclass(kind, stripe.StripeObject):
        return isinstance(value, dict)
    return True
