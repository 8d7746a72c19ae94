"""Reading charges and refunds from localstripe, over its HTTP API only."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

from local.psp.records import Json, Records

_PAGE = 100
_TIMEOUT_SECONDS = 10


#: Of what localstripe sends as webhooks, what tells of money that moved.
WEBHOOK_TYPES = frozenset({"payment_intent.succeeded"})


class UpstreamUnavailable(RuntimeError):
    """localstripe did not answer, or answered something that is not its API."""


class Upstream:
    """The few read calls that are needed. `base` is a URL without a trailing slash."""

    def __init__(self, base: str, key: str) -> None:
        self._base = base.rstrip("/")
        self._authorization = "Basic " + base64.b64encode(f"{key}:".encode()).decode()

    def get(self, path: str, **query: str | int) -> Json:
        """One object or one page.

        Raises `UpstreamUnavailable` for anything but a 200 with a JSON object.
        """
        url = f"{self._base}{path}"
        if query:
            url += "?" + urllib.parse.urlencode(query)
        request = urllib.request.Request(url, headers={"Authorization": self._authorization})
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as response:
                answer: Any = json.load(response)
        except (urllib.error.URLError, TimeoutError, OSError, ValueError) as error:
            raise UpstreamUnavailable(f"GET {path}: {error}") from error
        if not isinstance(answer, dict):
            raise UpstreamUnavailable(f"GET {path}: not a JSON object")
        return answer

    def all(self, path: str, starting_after: str | None = None) -> Iterator[Json]:
        """Every object of a list, in the order in which localstripe keeps them."""
        while True:
            query: dict[str, str | int] = {"limit": _PAGE}
            if starting_after is not None:
                query["starting_after"] = starting_after
            page = self.get(path, **query)
            yield from page["data"]
            if not page["has_more"]:
                return
            starting_after = page["data"][-1]["id"]


class Reader:
    """Brings the records up to date with localstripe.

    localstripe lists charges oldest first, so after the first pass only the tail is read: all
    behind the last charge that can no longer change. Refunds come newest first, in no fixed order
    within a second; reading stops at the first that is older than the newest one known.
    """

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._settled_up_to: str | None = None
        self._told_up_to: str | None = None

    def refresh(self, records: Records) -> None:
        """Add what is new. Raises `UpstreamUnavailable`; records then hold what was read so far."""
        self._read_charges(records)
        self._read_events(records)
        newest = max((one["created"] for one in records.refunds.values()), default=0)
        for refund in self._upstream.all("/v1/refunds"):
            if refund["created"] < newest:
                break
            records.refunds.setdefault(refund["id"], refund)

    def forget_position(self) -> None:
        """Read from the beginning next time."""
        self._settled_up_to = None
        self._told_up_to = None

    def _read_events(self, records: Records) -> None:
        """What localstripe has sent as webhooks about payments, oldest first."""
        # A filtered list has no place for an event of another type: all are read, and few kept.
        for event in self._upstream.all("/v1/events", self._told_up_to):
            if event["type"] in WEBHOOK_TYPES:
                records.events[event["id"]] = event
            self._told_up_to = event["id"]

    def _read_charges(self, records: Records) -> None:
        unbroken = True
        for charge in self._upstream.all("/v1/charges", self._settled_up_to):
            known = records.charges.get(charge["id"])
            if known is None or known["status"] != charge["status"] or not known["captured"]:
                records.charges[charge["id"]] = self._with_intent(charge)
            final = charge["status"] == "failed" or (
                charge["status"] == "succeeded" and charge["captured"]
            )
            unbroken = unbroken and final
            if unbroken:
                self._settled_up_to = charge["id"]

    def _with_intent(self, charge: Json) -> Json:
        """Add what Stripe copies onto a charge and localstripe does not: metadata and card."""
        kept = {key: value for key, value in charge.items() if key not in _DERIVED}
        if charge.get("payment_intent"):
            intent = self._upstream.get(f"/v1/payment_intents/{charge['payment_intent']}")
            kept["metadata"] = {**intent.get("metadata", {}), **charge.get("metadata", {})}
        method_id = charge.get("payment_method") or ""
        if method_id.startswith("pm_"):
            method = self._upstream.get(f"/v1/payment_methods/{method_id}")
            kept["card"] = method.get("card")
            kept["billing_details"] = method.get("billing_details")
        return kept


# Follows from the refunds, which are read on their own.
_DERIVED = frozenset({"refunds", "amount_refunded", "refunded"})
