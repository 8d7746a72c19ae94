"""The read side of Stripe's API, under `/v1/`: key, rate limit, lists, objects, expansion."""

from __future__ import annotations

import base64
import binascii
import hashlib
from urllib.parse import parse_qsl

from local.psp.answers import Answer, error_answer, json_answer, too_many_requests
from local.psp.listing import BadParameter, expand, page, take_expansions
from local.psp.records import Json
from local.psp.resources import RESOURCES, Resource, find, find_in
from local.psp.simulator import Simulator
from local.psp.throttle import Throttle
from local.psp.upstream import UpstreamUnavailable

DEFAULT_VERSION = "2025-03-31.basil"


class StripeApi:
    """Answers requests that carry the secret key."""

    def __init__(self, simulator: Simulator, key: str, throttle: Throttle) -> None:
        self._simulator = simulator
        self._key = key
        self._throttle = throttle

    def handle(self, method: str, path: str, query: str, headers: dict[str, str]) -> Answer:
        """Answer one request. `headers` has lower-case names."""
        try:
            answer = self._refusal(headers) or self._read(method, path, query)
        except BadParameter as bad:
            answer = error_answer(400, bad.message, param=bad.param, code=bad.code)
        except UpstreamUnavailable as gone:
            answer = error_answer(503, f"The card simulator did not answer. {gone}", "api_error")
        request = f"{method} {path}?{query}".encode()
        common = {
            "Request-Id": "req_" + hashlib.sha256(request).hexdigest()[:14],
            "Stripe-Version": headers.get("stripe-version", DEFAULT_VERSION),
        }
        return Answer(answer.status, answer.body, answer.content_type, {**common, **answer.headers})

    def _read(self, method: str, path: str, query: str) -> Answer:
        parts = path.strip("/").split("/")
        resource = RESOURCES.get(parts[1]) if len(parts) in (2, 3) and parts[0] == "v1" else None
        if method != "GET" or resource is None:
            return error_answer(404, f"Unrecognized request URL ({method}: {path}).")
        self._simulator.refresh()
        plain, expansions = take_expansions(parse_qsl(query, keep_blank_values=True))
        records = self._simulator.records
        if len(parts) == 3:
            found = find_in(resource, records, parts[2])
            if found is None:
                text = f"No such {resource.noun}: '{parts[2]}'"
                return error_answer(404, text, param="id", code="resource_missing")
            answer = found
        else:
            answer = page(self._rows(resource, plain), path, plain, resource.filters)
        for expansion in expansions:
            answer = expand(answer, expansion, lambda identifier: find(records, identifier))
        return json_answer(200, answer)

    def _rows(self, resource: Resource, query: dict[str, str]) -> list[Json]:
        """All rows of a list; `payout` narrows to what one payout paid and its own transaction."""
        records = self._simulator.records
        rows = resource.rows(records)
        types = {query.pop(name) for name in list(query) if name.startswith("types[")}
        if types and "types" in resource.filters:
            rows = [one for one in rows if one["type"] in types]
        if "payout" not in query or "payout" not in resource.filters:
            return rows
        payout_id = query.pop("payout")
        payout = records.payouts.get(payout_id)
        if payout is None:
            raise BadParameter(f"No such payout: '{payout_id}'", "payout", "resource_missing")
        inside = {*payout["members"], payout["balance_transaction"]}
        return [one for one in rows if one["id"] in inside]

    def _refusal(self, headers: dict[str, str]) -> Answer | None:
        refusal = self._authenticate(headers)
        if refusal is not None:
            return refusal
        fault = self._simulator.next_fault()
        if fault is not None and fault["name"] == "rate_limit":
            return too_many_requests(retry=fault.get("should_retry", True))
        if fault is not None:
            return error_answer(500, "An unknown error occurred.", "api_error")
        return None if self._throttle.admit() else too_many_requests(retry=True)

    def _authenticate(self, headers: dict[str, str]) -> Answer | None:
        given = _given_key(headers.get("authorization", ""))
        if given == self._key:
            return None
        if given:
            text = f"Invalid API Key provided: {given[:8]}{'*' * 8}{given[-4:]}"
        else:
            text = (
                "You did not provide an API key. You need to provide your API key in the "
                "Authorization header, using Bearer auth (e.g. 'Authorization: Bearer "
                "YOUR_SECRET_KEY')."
            )
        challenge = {"WWW-Authenticate": 'Basic realm="Stripe"'}
        return Answer(401, error_answer(401, text).body, headers=challenge)


def _given_key(authorization: str) -> str:
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return ""
