"""Webhooks: what is kept, and what is refused without a trace but a count."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from pardna.ingestion.capture import CaptureWebhook, rotated
from pardna.ingestion.signatures import Webhook
from pardna.ingestion.webhook_rules import WebhookRules
from pardna.runtime.errors import InvalidInput, NotFound, Unavailable
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


def service(raw: MemoryRawStore, **parts: str) -> CaptureWebhook:
    secrets = FixedSecrets({f"{SECRET_ID}/webhook": {"webhook_secret": SECRET} | parts})
    return CaptureWebhook(
        MemorySources(a_stripe_source(), a_bank_source()), secrets, raw, lambda: NOON
    )


def capture(raw: MemoryRawStore, body: bytes = BODY, signature: str = "", **parts: str) -> bool:
    headers = {"stripe-signature": signature or stripe_signature(body), "authorization": "secret"}
    return service(raw, **parts).capture(TENANT, "stripe", Webhook(headers, body)).created


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
    until = NOON + timedelta(seconds=1)
    previous = {"webhook_secret_previous": "whsec_old"}
    both = previous | {"webhook_secret_previous_until": until.isoformat()}
    assert capture(MemoryRawStore(), signature=old, **both)
    ends = [NOON.isoformat(), "2026-01-31T13:00:00", "", "soon", "9999"]
    for end in ends:  # now, without a zone, none, unreadable
        with pytest.raises(InvalidInput):
            capture(
                MemoryRawStore(),
                signature=old,
                **previous | {"webhook_secret_previous_until": end},
            )
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
        service(MemoryRawStore()).capture(TENANT, source_id, Webhook(headers, BODY))


def test_when_it_cannot_be_kept_the_provider_is_told_to_try_again() -> None:
    raw = MemoryRawStore()
    raw.fail_next = 1
    with pytest.raises(Unavailable):
        capture(raw)
    assert capture(raw)


def test_a_rotated_secret_is_found_at_once_and_a_wrong_signature_asks_once_only() -> None:
    new = {f"{SECRET_ID}/webhook": {"webhook_secret": "whsec_new"}}
    for secret, works in (("whsec_new", True), ("whsec_wrong", False)):
        secrets = FixedSecrets({f"{SECRET_ID}/webhook": {"webhook_secret": SECRET}}, after=new)
        capturing = CaptureWebhook(
            MemorySources(a_stripe_source()), secrets, MemoryRawStore(), lambda: NOON
        )
        headers = {"stripe-signature": stripe_signature(BODY, secret=secret)}
        if works:
            assert capturing.capture(TENANT, "stripe", Webhook(headers, BODY)).created
        else:
            with pytest.raises(InvalidInput):
                capturing.capture(TENANT, "stripe", Webhook(headers, BODY))


def test_a_source_that_is_switched_off_stores_nothing_and_tells_only_who_can_sign() -> None:
    raw = MemoryRawStore()
    secrets = FixedSecrets({f"{SECRET_ID}/webhook": {"webhook_secret": SECRET}})
    off = MemorySources(a_stripe_source(enabled=False))
    capturing = CaptureWebhook(off, secrets, raw, lambda: NOON)
    forget_counts()
    with pytest.raises(NotFound, match=r"webhook\.disabled"):
        capturing.capture(TENANT, "stripe", Webhook({"stripe-signature": stripe_signature(BODY)}, BODY))  # fmt: skip
    with pytest.raises(InvalidInput, match=r"webhook\.refused"):
        capturing.capture(TENANT, "stripe", Webhook({"stripe-signature": "t=1,v1=0"}, BODY))
    assert raw.objects == {}
    assert (counted("WebhookDisabled"), counted("WebhookRefused")) == (1, 1)


@pytest.mark.parametrize(
    ("address", "works"),
    [
        ("192.0.2.7", True),
        ("2001:db8::9", True),
        ("192.0.3.7", False),
        ("", False),
        ("192.0.2.7, 10.0.0.1", False),
        ("::ffff:192.0.2.7", False),
    ],
)
def test_only_the_providers_addresses_may_send(address: str, works: bool) -> None:
    rules = WebhookRules(networks=("192.0.2.0/24", "2001:db8::/32"))
    secrets = FixedSecrets({f"{SECRET_ID}/webhook": {"webhook_secret": SECRET}})
    sources = MemorySources(a_stripe_source(webhook=rules))
    capturing = CaptureWebhook(sources, secrets, MemoryRawStore(), lambda: NOON)
    headers = {"stripe-signature": stripe_signature(BODY), "x-forwarded-for": "192.0.2.7"}
    webhook = Webhook(headers, BODY, address=address)
    if works:
        assert capturing.capture(TENANT, "stripe", webhook).created
    else:
        with pytest.raises(InvalidInput):
            capturing.capture(TENANT, "stripe", webhook)


def test_a_rotation_keeps_the_old_secret_until_its_end_and_repeats_without_effect() -> None:
    until = NOON + timedelta(hours=1)
    first, ends = rotated("", "one", until, NOON)
    assert (json.loads(first), ends) == ({"webhook_secret": "one"}, None)
    second, ends = rotated(first, "two", until, NOON)
    assert ends == until
    again, ends = rotated(second, "two", until + timedelta(hours=9), NOON)
    assert (again, ends) == (second, until)
    third, _ = rotated(second, "three", until, NOON)
    assert json.loads(third)["webhook_secret_previous"] == "two"
    assert "one" not in third
    at_once, ends = rotated(second, "four", NOON, NOON)
    assert (json.loads(at_once), ends) == ({"webhook_secret": "four"}, None)
    plain, _ = rotated("plain text", "new", until, NOON)
    assert json.loads(plain)["webhook_secret_previous"] == "plain text"
