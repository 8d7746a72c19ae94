"""The API's answer times through the laptop home: one caller, then fifty at once.

The emulator starts a process per function and serves four at a time, so these figures tell whether
a change made a handler slower, not what AWS would answer. Handlers' own time is what is left when
the emulator's (about 10 ms a request) is taken off.
"""

from __future__ import annotations

import base64
import json
import secrets
import statistics
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from local.home import Home

REQUESTS = 200
CALLERS = 50


@dataclass(frozen=True, slots=True)
class Answers:
    """Answer times of one route in milliseconds, and how often each status came."""

    name: str
    p50_ms: float
    p95_ms: float
    together_p50_ms: float
    together_p95_ms: float
    statuses: dict[int, int]


def measure_all(home: Home, requests: int = REQUESTS) -> list[Answers]:
    """Measure a refused webhook (no database) and two reads (DynamoDB, PostgreSQL)."""
    operator, banker = sign_in(home, "platform"), sign_in(home)
    tenant = new_tenant(home, operator, banker)
    base, user = home.api_url, {"Authorization": banker}
    hook = f"{base}/webhooks/{tenant}/nothing"
    return [
        measure("POST webhook, refused", lambda: send(hook, {}, b"{}"), requests),
        measure("GET breaks", lambda: send(f"{base}/tenants/{tenant}/breaks", user), requests),
        measure(
            "GET trial balance",
            lambda: send(f"{base}/tenants/{tenant}/trial-balance", user),
            requests,
        ),
    ]


def measure(name: str, call: Callable[[], int], requests: int) -> Answers:
    """Time `requests` calls by one caller, then as many by fifty."""

    def timed(_: int) -> tuple[float, int]:
        started = time.perf_counter()
        status = call()
        return (time.perf_counter() - started) * 1000, status

    timed(0)  # the cold start is measured elsewhere
    alone = [timed(i) for i in range(requests)]
    with ThreadPoolExecutor(CALLERS) as callers:
        list(callers.map(timed, range(CALLERS)))  # more processes start; not measured either
        together = list(callers.map(timed, range(requests)))
    statuses: dict[int, int] = {}
    for _, status in alone + together:
        statuses[status] = statuses.get(status, 0) + 1
    return Answers(name, *_p50_p95(alone), *_p50_p95(together), statuses)


def _p50_p95(found: list[tuple[float, int]]) -> tuple[float, float]:
    times = [took_ms for took_ms, _ in found]
    return round(statistics.median(times), 1), round(statistics.quantiles(times, n=20)[18], 1)


def send(url: str, headers: dict[str, str], body: bytes | None = None) -> int:
    """Status of one request."""
    request = urllib.request.Request(url, body, headers, method="POST" if body else "GET")
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            response.read()
            return int(response.status)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code


def sign_in(home: Home, group: str = "") -> str:
    """An id token of somebody made up for this run."""
    users = home.client("cognito-idp")
    pool, client = home.outputs["UserPoolId"], home.outputs["UserPoolClientId"]
    name = f"bench-{secrets.token_hex(4)}@pardna.example"
    password = f"Aa1!{secrets.token_urlsafe(18)}"
    users.admin_create_user(UserPoolId=pool, Username=name, MessageAction="SUPPRESS")
    users.admin_set_user_password(UserPoolId=pool, Username=name, Password=password, Permanent=True)
    if group:
        users.admin_add_user_to_group(UserPoolId=pool, Username=name, GroupName=group)
    signed_in = users.admin_initiate_auth(
        UserPoolId=pool,
        ClientId=client,
        AuthFlow="ADMIN_USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": name, "PASSWORD": password},
    )
    return str(signed_in["AuthenticationResult"]["IdToken"])


def subject_of(token: str) -> str:
    """Who a token is about."""
    claims = token.split(".")[1]
    said = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    return str(said["sub"])


def new_tenant(home: Home, operator: str, banker: str) -> str:
    """A tenant of the operator's with its banker; RuntimeError with the API's answer otherwise."""
    tenant = f"bench-{secrets.token_hex(4)}"
    post(home, operator, "/tenants", {"tenant_id": tenant, "name": "Benchmark"})
    member: dict[str, object] = {"principal": subject_of(banker), "roles": ["banker"]}
    post(home, operator, f"/tenants/{tenant}/memberships", member)
    return tenant


def post(home: Home, token: str, path: str, body: dict[str, object]) -> None:
    """One call that must succeed."""
    headers = {"Authorization": token, "Content-Type": "application/json"}
    request = urllib.request.Request(f"{home.api_url}{path}", json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            response.read()
    except urllib.error.HTTPError as refused:
        with refused:
            raise RuntimeError(f"{path}: {refused.code} {refused.read()!r}") from None
