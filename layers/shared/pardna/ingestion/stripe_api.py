"""Stripe's settlement data by its own SDK: payouts, and balance transactions with their sources."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import stripe

from pardna.ingestion.model import SourceProfile
from pardna.runtime.errors import NotAuthenticated, Unavailable

_PAGE = 100


class StripeSettlements:
    """`Settlements` on Stripe's API at `base`. `key_of` gives a source's secret key.

    The SDK itself retries what Stripe says may be retried (429 among it) with backoff.
    """

    def __init__(self, base: str, key_of: Callable[[SourceProfile], str], retries: int = 3) -> None:
        self._base = base
        self._key_of = key_of
        self._retries = retries

    def payouts(self, profile: SourceProfile, since: int) -> Iterator[Mapping[str, Any]]:
        """See `Settlements`."""
        return self._all(profile, "/v1/payouts", {"created": {"gte": since}} if since else {})

    def movements(
        self, profile: SourceProfile, *, since: int | None = None, payout: str = ""
    ) -> Iterator[Mapping[str, Any]]:
        """See `Settlements`."""
        parameters: dict[str, Any] = {"expand": ["data.source"]}
        if payout:
            parameters["payout"] = payout
        elif since:
            parameters["created"] = {"gte": since}
        return self._all(profile, "/v1/balance_transactions", parameters)

    def _all(
        self, profile: SourceProfile, path: str, parameters: dict[str, Any]
    ) -> Iterator[Mapping[str, Any]]:
        """Every row of a list, page by page, as the API gave it."""
        client = stripe.StripeClient(
            self._key_of(profile),
            base_addresses={"api": self._base},
            max_network_retries=self._retries,
        )
        after: dict[str, str] = {}
        while True:
            page = _answer(client, path, {"limit": _PAGE} | parameters | after)
            rows: list[Mapping[str, Any]] = page["data"]
            yield from rows
            if not page.get("has_more") or not rows:
                return
            after = {"starting_after": str(rows[-1]["id"])}


def _answer(
    client: stripe.StripeClient, path: str, parameters: dict[str, Any]
) -> Mapping[str, Any]:
    """One page. Raises Unavailable for what may work later, NotAuthenticated for a refused key."""
    try:
        answer = client.raw_request("get", path, **parameters)
    except (stripe.AuthenticationError, stripe.PermissionError):
        raise NotAuthenticated("stripe.key_refused", "Stripe refuses this source's key") from None
    except stripe.StripeError as error:
        raise Unavailable("stripe.unavailable", "Stripe did not answer") from error
    page: Mapping[str, Any] = answer.data
    return page
