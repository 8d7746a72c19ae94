"""Capturing webhooks through the laptop home: fifty senders at once, none lost, none doubled.

Every event is signed as Stripe signs it and sent twice, as Stripe does when an answer is late. Then
we wait until each is one canonical transaction.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import statistics
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg

from benchmarks.api import post, sign_in, subject_of
from local.home import Home

SENDERS = 50
EVENTS = 500
#: How long the last event may take to become canonical.
PATIENCE_S = 90


def measure(home: Home) -> dict[str, Any]:
    """Answer times in milliseconds, and what became of the events."""
    tenant, secret = _tenant(home)
    url = f"{home.api_url}/webhooks/{tenant}/stripe"
    bodies = [_event(n) for n in range(EVENTS)]

    def send(body: bytes) -> float:
        started = time.perf_counter()
        request = urllib.request.Request(url, body, _headers(body, secret), method="POST")
        with urllib.request.urlopen(request, timeout=60) as response:
            assert response.status == 202
        return (time.perf_counter() - started) * 1000

    with ThreadPoolExecutor(SENDERS) as senders:
        list(senders.map(send, bodies[:SENDERS]))  # processes start; not measured
        started = time.perf_counter()
        took = list(senders.map(send, bodies + bodies))
        sent_s = time.perf_counter() - started
    transactions, canonical_s = _wait(home, tenant, started)
    return {
        "senders": SENDERS,
        "events": EVENTS,
        "sent_twice": True,
        "requests_per_s": round(len(took) / sent_s),
        "p50_ms": round(statistics.median(took), 1),
        "p95_ms": round(statistics.quantiles(took, n=20)[18], 1),
        "lost": EVENTS - min(transactions, EVENTS),
        "doubled": max(0, transactions - EVENTS),
        "all_canonical_after_s": canonical_s,
    }


def _wait(home: Home, tenant: str, started: float) -> tuple[int, float]:
    """How many transactions there are once all are there, or patience is over; and when."""
    found = 0
    with psycopg.connect(home.database_superuser_url, autocommit=True) as connection:
        while time.perf_counter() - started < PATIENCE_S:
            row = connection.execute(
                "SELECT count(*) FROM platform.transactions WHERE tenant_id = %s", (tenant,)
            ).fetchone()
            found = row[0] if row else 0
            if found >= EVENTS:
                break
            time.sleep(0.5)
    return found, round(time.perf_counter() - started, 1)


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
