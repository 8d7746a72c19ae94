"""Answers on the wire, and the error bodies of Stripe's API."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from local.psp.records import Json


@dataclass(frozen=True)
class Answer:
    """What goes back on the wire."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


def json_answer(status: int, body: Json) -> Answer:
    """A JSON object, printed as Stripe prints it."""
    return Answer(status, (json.dumps(body, indent=2) + "\n").encode())


def error_answer(
    status: int,
    message: str,
    kind: str = "invalid_request_error",
    *,
    param: str | None = None,
    code: str | None = None,
) -> Answer:
    """An error in Stripe's envelope."""
    error: Json = {"message": message, "type": kind}
    if code:
        error["code"] = code
    if param:
        error["param"] = param
    return json_answer(status, {"error": error})


def too_many_requests(retry: bool) -> Answer:
    """429. Stripe's SDK repeats it only if `Stripe-Should-Retry` says so."""
    answer = error_answer(
        429,
        "Request rate limit exceeded. You can learn more about rate limits here "
        "https://stripe.com/docs/rate-limits.",
        code="rate_limit",
    )
    headers = {
        "Stripe-Rate-Limited-Reason": "global-rate",
        "Stripe-Should-Retry": "true" if retry else "false",
    }
    return Answer(answer.status, answer.body, headers=headers)
