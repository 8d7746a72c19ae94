"""The card rail on Stripe: one payment intent a contribution, charged while the member is away."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import stripe

from pardna.payments.model import CardCharge
from pardna.payments.ports import Charged
from pardna.runtime.errors import RefusedByRule, Unavailable

#: Statuses of a payment intent that mean money moved, or is about to.
_SUCCESS = {"succeeded": "charged", "processing": "processing"}
#: How many payment intents are looked at, newest first, before a doubt is left to people.
_LOOKED_AT_MAX = 10_000


class StripeCardRail:
    """`CardRail` by the SDK; `key_of(tenant_id, source_id)` gives the account's secret key."""

    def __init__(self, api_base: str, key_of: Callable[[str, str], str]) -> None:
        self._api_base = api_base
        self._key_of = key_of

    def charge(self, request: CardCharge, idempotency_key: str) -> Charged:
        """See `CardRail`. Stripe itself forgets idempotency keys after a day."""
        client = self._client(request)
        try:
            intent = client.v1.payment_intents.create(
                {
                    "amount": request.amount.amount_minor,
                    "currency": request.amount.currency.lower(),
                    "customer": request.customer_id,
                    "payment_method": request.payment_method_id,
                    "confirm": True,
                    "off_session": True,
                    "metadata": {
                        "tenant_id": request.tenant_id,
                        "contribution_id": request.contribution_id,
                        "circle_id": request.circle_id,
                    },
                },
                options={"idempotency_key": idempotency_key},
            )
        except stripe.CardError as error:
            return _declined(error)
        except (stripe.InvalidRequestError, stripe.AuthenticationError) as error:
            raise RefusedByRule(
                "card.request_refused",
                f"the provider refused: {error.code or type(error).__name__}",
            ) from error
        except stripe.StripeError as error:
            raise Unavailable("card.unknown_outcome", "the provider did not say") from error
        return _outcome(intent)

    def find(self, request: CardCharge) -> Charged | None:
        """See `CardRail`: by the metadata that every charge of ours carries."""
        client = self._client(request)
        try:
            for intent in _intents(client, request.customer_id):
                metadata = intent.to_dict().get("metadata") or {}
                if metadata.get("contribution_id") == request.contribution_id and (
                    metadata.get("tenant_id") == request.tenant_id
                ):
                    return _outcome(intent)
        except stripe.StripeError as error:
            raise Unavailable("card.unknown_outcome", "the provider did not say") from error
        return None

    def _client(self, request: CardCharge) -> stripe.StripeClient:
        return stripe.StripeClient(
            self._key_of(request.tenant_id, request.source_id),
            base_addresses={"api": self._api_base},
            max_network_retries=0,
        )


def _intents(client: stripe.StripeClient, customer_id: str) -> Iterator[Any]:
    """The customer's payment intents; of a provider that does not know that filter, all."""
    try:
        listed = client.v1.payment_intents.list({"customer": customer_id, "limit": 100})
    except stripe.InvalidRequestError:
        listed = client.v1.payment_intents.list({"limit": 100})
    for number, intent in enumerate(listed.auto_paging_iter(), start=1):
        if number > _LOOKED_AT_MAX:
            raise Unavailable("card.unknown_outcome", "too many payments to look through")
        yield intent


def _outcome(intent: Any) -> Charged:
    """`latest_charge` is an id, or the charge itself where a provider expands it."""
    body = intent.to_dict()
    charge = body.get("latest_charge") or ""
    charge_id = str(charge if isinstance(charge, str) else charge["id"])
    outcome = _SUCCESS.get(body["status"])
    if outcome:
        return Charged(outcome, body["id"], charge_id)
    code = (body.get("last_payment_error") or {}).get("code") or body["status"]
    return Charged("declined", body["id"], charge_id, str(code))


def _declined(error: stripe.CardError) -> Charged:
    body = (error.json_body or {}).get("error", {}) if isinstance(error.json_body, dict) else {}
    intent = body.get("payment_intent") or {}
    code = body.get("decline_code") or error.code or "declined"
    return Charged("declined", str(intent.get("id", "")), str(body.get("charge") or ""), str(code))
