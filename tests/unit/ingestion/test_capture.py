"""Webhooks: what is kept, and what is refused without a trace but a count."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pardna.ingestion.capture import CaptureWebhook
from pardna.ingestion.signatures import verify_stripe
from pardna.runtime.errors import InvalidInput, Unavailable
from tests.fakes.ingestion import FixedSecrets, MemoryRawStore, MemorySources
from tests.support.counted import counted, forget_counts
from tests.support.ingestion import (
    NOON,
    SECRET,
    SECRET_ID,
    TENANT,
    a_bank_source,
    a_stripe_source,
    stripe_signature,
)

BODY = b'{"object":"event","id":"evt_1"}'
VECTORS = Path(__file__).resolve().parents[4] / "shared" / "corpora" / "signatures" / "vectors"


def service(raw: MemoryRawStore, **parts: str) -> CaptureWebhook:
    secrets = FixedSecrets({f"{SECRET_ID}/webhook": {"webhook_secret": SECRET} | parts})
    return CaptureWebhook(
        MemorySources(a_stripe_source(), a_bank_source()), secrets, raw, lambda: NOON
    )


def capture(raw: MemoryRawStore, body: bytes = BODY, signature: str = "", **parts: str) -> bool:
    headers = {"stripe-signature": signature or stripe_signature(body), "authorization": "secret"}
    return service(raw, **parts).capture(TENANT, "stripe", headers, body).created


def test_a_signed_webhook_is_kept_byte_for_byte_without_its_secrets() -> None:
    raw = MemoryRawStore()
    assert capture(raw)
    ((data, receipt),) = raw.objects.values()
    assert data == BODY
    assert "authorization" not in receipt.headers
    assert "stripe-signature" not in receipt.headers


def test_the_same_webhook_twice_and_ten_at_once_is_kept_once() -> None:
    raw = MemoryRawStore()
    with ThreadPoolExecutor(10) as pool:
        assert sum(pool.map(lambda _: capture(raw), range(10))) == 1
    assert not capture(raw)
    assert len(raw.objects) == 1


@pytest.mark.parametrize(
    "signature",
    [
        "none",
        "t=1,v1=",
        "t=,v1=abc",
        f"t={int(NOON.timestamp())}",
        f"t={int(NOON.timestamp())},v1={'0' * 64}",
        f"t={int(NOON.timestamp())},v0={stripe_signature(BODY).partition('v1=')[2]}",
        "t=99999999999999,v1=abc",
        "t=١٢٣,v1=abc",
        "é",
        stripe_signature(BODY, secret="other"),
        stripe_signature(BODY + b" "),
        stripe_signature(BODY, at=NOON - timedelta(seconds=301)),
        stripe_signature(BODY, at=NOON + timedelta(seconds=301)),
    ],
)
def test_a_wrong_or_stale_signature_stores_nothing_and_is_counted(signature: str) -> None:
    raw = MemoryRawStore()
    forget_counts()
    with pytest.raises(InvalidInput, match=r"webhook\.refused") as refused:
        capture(raw, signature=signature)
    assert refused.value.status == 400
    assert raw.objects == {}
    assert counted("WebhookRefused") == 1
    assert counted("WebhookCaptured") == 0


@pytest.mark.parametrize("age", [-300, -1, 0, 299, 300])
def test_five_minutes_are_tolerated_both_ways(age: int) -> None:
    assert capture(
        MemoryRawStore(), signature=stripe_signature(BODY, at=NOON - timedelta(seconds=age))
    )


def test_while_a_secret_is_rotated_both_are_valid_and_afterwards_one() -> None:
    old = stripe_signature(BODY, secret="whsec_old")
    assert capture(MemoryRawStore(), signature=old, webhook_secret_previous="whsec_old")
    with pytest.raises(InvalidInput):
        capture(MemoryRawStore(), signature=old)
    both = f"{old},{stripe_signature(BODY).partition(',')[2]}"
    assert capture(MemoryRawStore(), signature=both)


def test_an_empty_secret_signs_nothing() -> None:
    forged = stripe_signature(BODY, secret="")
    with pytest.raises(InvalidInput):
        capture(MemoryRawStore(), signature=forged, webhook_secret="")


@pytest.mark.parametrize("source_id", ["nobody", "ncb"])
def test_a_source_without_webhooks_answers_like_a_wrong_signature(source_id: str) -> None:
    headers = {"stripe-signature": stripe_signature(BODY)}
    with pytest.raises(InvalidInput, match=r"webhook\.refused"):
        service(MemoryRawStore()).capture(TENANT, source_id, headers, BODY)


def test_when_it_cannot_be_kept_the_provider_is_told_to_try_again() -> None:
    raw = MemoryRawStore()
    raw.fail_next = 1
    with pytest.raises(Unavailable):
        capture(raw)
    assert capture(raw)


@pytest.mark.skipif(
    not VECTORS.is_dir(), reason="the folder of vectors is not beside this repository"
)
def test_published_vectors_of_stripes_scheme() -> None:
    vectors = json.loads((VECTORS / "stripe.json").read_text(encoding="utf-8"))
    for case in vectors["cases"]:
        stamp = re.search(r"t=(\d+)", case["header"] or "")
        # "Tolerance disabled" is a clock that stands where the signature was made.
        fresh = case["tolerance"] is None and stamp is not None
        now = datetime.fromtimestamp(int(stamp[1]), UTC) if fresh and stamp else NOON
        body = case.get("payload_override", vectors["payload"]).encode()
        headers = {"stripe-signature": case["header"] or ""}
        try:
            verify_stripe(headers, body, [case.get("secret", vectors["secret"])], now)
            valid = True
        except InvalidInput:
            valid = False
        assert valid is case["valid"], case["name"]
