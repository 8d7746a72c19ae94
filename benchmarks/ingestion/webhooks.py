"""Capturing webhooks through the laptop home: fifty senders at once, none lost, none doubled.

Every event is signed as Stripe signs it and sent twice, as Stripe does when an answer is late. Then
we wait until each is one canonical transaction, as long as there is progress. Beside it, in the same
run: one sender alone, and the same fifty writing the same bytes to the emulator's S3 themselves, which
is the one write that an answer waits for.

EVENTS (500) is how many events there are.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import statistics
import time
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg

from benchmarks.api import post, sign_in, subject_of
from local.home import Home

SENDERS = 50
#: How long nothing may become canonical before we give up.
PATIENCE_S = 120
ALONE = 50


def measure(home: Home) -> dict[str, Any]:
    """Answer times in milliseconds, and what became of the events."""
    count = int(os.environ.get("EVENTS", "500"))
    tenant, secret = _tenant(home)
    url = f"{home.api_url}/webhooks/{tenant}/stripe"
    bodies = [_event(n) for n in range(count)]

    def send(body: bytes) -> float:
        started = time.perf_counter()
        request = urllib.request.Request(url, body, _headers(body, secret), method="POST")
        with urllib.request.urlopen(request, timeout=120) as response:
            assert response.status == 202
        return (time.perf_counter() - started) * 1000

    with ThreadPoolExecutor(SENDERS) as senders:
        list(senders.map(send, bodies[:SENDERS]))  # processes start; not measured
        started = time.perf_counter()
        took = list(senders.map(send, bodies + bodies))
        sent_s = time.perf_counter() - started
        canonical_s = _wait(home, tenant, count, started)
        alone = [send(body) for body in bodies[:ALONE]]
        floor = list(senders.map(_writer(home, tenant), bodies))
    return {
        "senders": SENDERS,
        "events": count,
        "sent_twice": True,
        "requests_per_s": round(len(took) / sent_s, 1),
        "p50_ms": round(statistics.median(took), 1),
        "p95_ms": _p95(took),
        "p95_ms_of_one_sender_alone": _p95(alone),
        "p95_ms_of_bare_writes_to_s3": _p95(floor),
        **_became(home, tenant, count),
        "all_canonical_after_s": canonical_s,
    }


def _p95(took: list[float]) -> float:
    return round(statistics.quantiles(took, n=20)[18], 1)


def _writer(home: Home, tenant: str) -> Callable[[bytes], float]:
    """Writes bytes where a captured event would be written, and nothing else."""
    client, bucket = home.client("s3"), f"bench-{tenant}"
    client.create_bucket(Bucket=bucket)

    def write(body: bytes) -> float:
        started = time.perf_counter()
        client.put_object(Bucket=bucket, Key=hashlib.sha256(body).hexdigest(), Body=body)
        return (time.perf_counter() - started) * 1000

    return write


def _count(home: Home, table: str, tenant: str) -> int:
    with psycopg.connect(home.database_superuser_url, autocommit=True) as connection:
        query = f"SELECT count(*) FROM platform.{table} WHERE tenant_id = %s"
        row = connection.execute(query.encode(), (tenant,)).fetchone()
    return row[0] if row else 0


def _wait(home: Home, tenant: str, count: int, started: float) -> float:
    """Until all events are canonical, or nothing comes any more; seconds since the first was sent."""
    found, progressed = 0, time.perf_counter()
    while found < count and time.perf_counter() - progressed < PATIENCE_S:
        time.sleep(0.5)
        now = _count(home, "transactions", tenant)
        if now > found:
            found, progressed = now, time.perf_counter()
    return round(time.perf_counter() - started, 1)


def _became(home: Home, tenant: str, count: int) -> dict[str, int]:
    """Each event must be one transaction of one version."""
    transactions = _count(home, "transactions", tenant)
    versions = _count(home, "transaction_versions", tenant)
    return {
        "lost": max(0, count - transactions),
        "doubled": max(0, transactions - count) + max(0, versions - transactions),
    }


def _tenant(home: Home) -> tuple[str, str]:
    """A tenant of this run's own with a card account; and its webhooks' secret."""
    operator, clerk = sign_in(home, "platform"), sign_in(home)
    tenant, secret = f"bench-{secrets.token_hex(4)}", secrets.token_urlsafe(24)
    post(home, operator, "/tenants", {"tenant_id": tenant, "name": "Benchmark"})
    member: dict[str, object] = {"principal": subject_of(clerk), "roles": ["operator"]}
    post(home, operator, f"/tenants/{tenant}/memberships", member)
    secret_id = f"/pardna/local/{tenant}/stripe"
    home.client("secretsmanager").create_secret(
        Name=f"{secret_id}/webhook", SecretString=json.dumps({"webhook_secret": secret})
    )
    source: dict[str, object] = {
        "source_id": "stripe",
        "provider": "stripe",
        "channels": ["webhook"],
        "account": "acct_1",
        "secret_id": secret_id,
    }
    post(home, clerk, f"/tenants/{tenant}/sources", source)
    return tenant, secret


def _event(number: int) -> bytes:
    """A payment that succeeded."""
    intent = {
        "id": f"pi_{number:014d}",
        "object": "payment_intent",
        "amount": 500_000,
        "amount_received": 500_000,
        "currency": "jmd",
        "metadata": {"contribution_id": f"con_{number}"},
        "latest_charge": f"ch_{number:014d}",
    }
    event = {
        "id": f"evt_{number:014d}",
        "object": "event",
        "type": "payment_intent.succeeded",
        "created": 1_795_262_401,
        "data": {"object": intent},
    }
    return json.dumps(event).encode()


def _headers(body: bytes, secret: str) -> dict[str, str]:
    stamp = int(time.time())
    digest = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    return {"Stripe-Signature": f"t={stamp},v1={digest}", "Content-Type": "application/json"}
