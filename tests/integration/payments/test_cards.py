"""Cards charged through Stripe's SDK against localstripe."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import stripe

from local.psp.launch import running_localstripe
from pardna.money.model import Money
from pardna.payments.service import ChargeCard
from pardna.payments.stripe_api import StripeCardRail
from pardna.runtime.errors import RefusedByRule, Unavailable
from tests.fakes.attempts import MemoryAttempts
from tests.support.payments import a_charge

ROOT = Path(__file__).resolve().parents[3]
KEY = "sk_test_12345"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if not (ROOT / ".tools/bin/localstripe").exists():
        pytest.skip("localstripe is not installed: make setup")
    with running_localstripe(tmp_path_factory.mktemp("cards") / "stripe.pickle") as running:
        yield running.url


@pytest.fixture
def client(url: str) -> stripe.StripeClient:
    return stripe.StripeClient(KEY, base_addresses={"api": url})


def a_card(client: stripe.StripeClient, number: str = "4242424242424242") -> dict[str, Any]:
    customer = client.v1.customers.create({"name": "Marcia Brown"})
    card: Any = {"number": number, "exp_month": 12, "exp_year": 2030, "cvc": "123"}
    method = client.v1.payment_methods.create({"type": "card", "card": card})
    client.v1.payment_methods.attach(method.id, {"customer": customer.id})
    return {"customer_id": customer.id, "payment_method_id": method.id}


def test_a_card_is_charged_with_our_metadata(url: str, client: stripe.StripeClient) -> None:
    rail = StripeCardRail(url, lambda *_: KEY)
    request = a_charge("con-card-1", **a_card(client))
    charged = rail.charge(request, "con-card-1")
    assert charged.outcome == "charged"
    assert charged.charge_id.startswith("ch_")
    intent = client.v1.payment_intents.retrieve(charged.payment_intent_id)
    assert (intent.amount, intent.currency) == (500_000, "jmd")
    assert intent.to_dict()["metadata"] == {
        "tenant_id": "harbour",
        "contribution_id": "con-card-1",
        "circle_id": "cir-00000001",
    }
    assert rail.find(request) == charged


def test_a_lost_answer_is_looked_up_and_not_charged_again(
    url: str, client: stripe.StripeClient
) -> None:
    class Deaf(StripeCardRail):
        def charge(self, request: Any, idempotency_key: str) -> Any:
            super().charge(request, idempotency_key)
            raise Unavailable("card.unknown_outcome", "the answer was lost")

    request = a_charge("con-card-2", **a_card(client))
    attempts = MemoryAttempts()
    with pytest.raises(Unavailable):
        ChargeCard(Deaf(url, lambda *_: KEY), attempts).charge(request)
    till = ChargeCard(StripeCardRail(url, lambda *_: KEY), attempts)
    assert till.charge(request).outcome == "charged"
    intents = [
        i
        for i in client.v1.payment_intents.list({"limit": 100}).auto_paging_iter()
        if i.to_dict()["metadata"].get("contribution_id") == "con-card-2"
    ]
    assert len(intents) == 1


def test_a_declined_card_is_an_outcome(url: str, client: stripe.StripeClient) -> None:
    rail = StripeCardRail(url, lambda *_: KEY)
    request = a_charge("con-card-3", **a_card(client, "4000000000000341"))
    assert rail.charge(request, "con-card-3").outcome == "declined"
    assert rail.charge(request, "con-card-3").code == "card_declined"


def test_a_request_that_the_provider_refuses_is_named(url: str) -> None:
    rail = StripeCardRail(url, lambda *_: KEY)
    with pytest.raises(RefusedByRule, match=r"card\.request_refused"):
        rail.charge(a_charge("con-card-4", customer_id="cus_nobody"), "con-card-4")


def test_a_provider_that_is_down_is_an_unknown_outcome() -> None:
    rail = StripeCardRail("http://127.0.0.1:9", lambda *_: KEY)
    with pytest.raises(Unavailable, match=r"card\.unknown_outcome"):
        rail.charge(a_charge("con-card-5", amount=Money(100, "USD")), "con-card-5")
