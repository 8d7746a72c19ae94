"""Stripe's lists of money objects by its own SDK: a `ProviderPoller`."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import stripe

from pardna.ingestion.model import SourceProfile
from pardna.ingestion.ports import Page
from pardna.runtime.errors import NotAuthenticated, NotFound, Unavailable
from pardna.runtime.observability import count

_PAGE = 100
#: Payouts first: they and their members know most. Events last: they fill what webhooks lost.
_RESOURCES = ("payouts", "balance_transactions", "charges", "refunds", "disputes", "events")
#: Events that tell of money; at most twenty may be named. Stripe keeps them for thirty days.
EVENT_TYPES = (
    "charge.captured",
    "charge.dispute.closed",
    "charge.dispute.created",
    "charge.dispute.funds_reinstated",
    "charge.dispute.funds_withdrawn",
    "charge.refunded",
    "charge.succeeded",
    "payment_intent.succeeded",
    "payout.canceled",
    "payout.failed",
    "payout.paid",
    "refund.created",
    "refund.failed",
    "refund.updated",
)
_THROTTLED_MAX = 6
_PAUSE_SECONDS_MAX = 30.0


class StripePoller:
    """`ProviderPoller` on Stripe's API at `base`. `key_of` gives a source's secret key, `renewed`
    whether it gives another one after this one was refused.

    The SDK itself retries conflicts, server errors and lost connections; it does not wait when it is
    told to slow down (429), so that is done here: as long as ``Retry-After`` says and a little more,
    or with growing pauses, at random, so that pollers do not march in step.
    """

    def __init__(
        self,
        base: str,
        key_of: Callable[[SourceProfile], str],
        retries: int = 3,
        sleep: Callable[[float], None] = time.sleep,
        # Not cryptographic: it spreads retries, nothing more.
        fraction: Callable[[], float] = random.random,
        renewed: Callable[[SourceProfile, str], bool] = lambda _profile, _refused: False,
    ) -> None:
        self._base = base
        self._key_of = key_of
        self._retries = retries
        self._sleep = sleep
        self._fraction = fraction
        self._renewed = renewed
        self._clients: dict[str, stripe.StripeClient] = {}

    def resources(self) -> Sequence[str]:
        """See `ProviderPoller`."""
        return _RESOURCES

    def members(self, resource: str) -> str:
        """See `ProviderPoller`: what a payout paid are balance transactions."""
        return "balance_transactions" if resource == "payouts" else ""

    def page(
        self, profile: SourceProfile, resource: str, since: int, after: str, within: str = ""
    ) -> Page:
        """See `ProviderPoller`. Raises Unavailable, NotAuthenticated for a key that is refused."""
        parameters: dict[str, Any] = {"limit": _PAGE}
        if within:
            parameters["payout"] = within
        elif since:
            parameters["created"] = {"gte": since}
        if after:
            parameters["starting_after"] = after
        if resource == "balance_transactions":
            parameters["expand"] = ["data.source"]
        if resource == "events":
            parameters["types"] = list(EVENT_TYPES)
        answer = self._answer(profile, f"/v1/{resource}", parameters)
        rows = answer.get("data")
        if not isinstance(rows, list) or not all(map(_is_row, rows)):
            raise Unavailable("stripe.unreadable", "Stripe's answer is no list of its objects")
        return Page(tuple(rows), bool(answer.get("has_more")))

    def document(self, resource: str, within: str, rows: Sequence[Mapping[str, Any]]) -> Any:
        """See `ProviderPoller`: as Stripe lists them, and with the payout that it does not name."""
        if resource in ("balance_transactions", "payouts"):
            return {
                "object": "pardna.stripe_listing",
                "resource": resource,
                "payout": within or None,
                "data": rows,
            }
        return {"object": "list", "url": f"/v1/{resource}", "data": rows}

    def _answer(
        self, profile: SourceProfile, path: str, parameters: dict[str, Any]
    ) -> Mapping[str, Any]:
        for attempt in range(1, _THROTTLED_MAX + 1):
            key = self._key_of(profile)
            try:
                answer = self._client(key).raw_request("get", path, **parameters)
                page: Mapping[str, Any] = answer.data
                return page
            except stripe.RateLimitError as error:
                if attempt < _THROTTLED_MAX:
                    self._wait(attempt, error.headers)
            except (stripe.AuthenticationError, stripe.PermissionError):
                if self._renewed(profile, key):
                    continue
                raise NotAuthenticated(
                    "stripe.key_refused", "Stripe refuses this source's key"
                ) from None
            except stripe.InvalidRequestError as error:
                if error.param == "starting_after":
                    raise NotFound("poll.place", "the row that we stopped at is gone") from None
                raise Unavailable("stripe.refused", "Stripe does not take the question") from error
            except stripe.StripeError as error:
                raise Unavailable("stripe.unavailable", "Stripe did not answer") from error
        raise Unavailable("stripe.rate_limited", "Stripe asks for patience")

    def _wait(self, attempt: int, headers: Mapping[str, str] | None) -> None:
        count("PollThrottled")
        asked = {k.lower(): str(v) for k, v in (headers or {}).items()}.get("retry-after", "")
        known = float(asked) if asked.isascii() and asked.isdigit() and len(asked) < 6 else 0.0
        backoff = 0.5 * 2.0**attempt
        self._sleep(min(known + backoff * self._fraction(), _PAUSE_SECONDS_MAX))

    def _client(self, key: str) -> stripe.StripeClient:
        """One client for each key: its connections are kept open between pages."""
        if key not in self._clients:
            self._clients[key] = stripe.StripeClient(
                key, base_addresses={"api": self._base}, max_network_retries=self._retries
            )
        return self._clients[key]


def _is_row(row: object) -> bool:
    """Whether a row can be found again and put in order."""
    if not isinstance(row, Mapping) or not isinstance(row.get("id"), str):
        return False
    created = row.get("created")
    return type(created) is int and 0 <= created < 4_102_444_800
