"""Every published vector of webhook signatures, the good ones and the bad ones."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pardna.ingestion.signatures import SCHEMES, Webhook, adyen_text
from pardna.ingestion.webhook_rules import WebhookRules
from pardna.runtime.errors import InvalidInput

VECTORS = Path(__file__).resolve().parents[3] / "shared" / "corpora" / "signatures" / "vectors"
NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
pytestmark = pytest.mark.skipif(
    not VECTORS.is_dir(), reason="the folder of signature vectors is not beside this repository"
)
Case = tuple[str, Webhook, str, WebhookRules, datetime, bool]


def read(name: str) -> Any:
    return json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))


def stripe() -> Iterator[Case]:
    vectors = read("stripe")
    for case in vectors["cases"]:
        stamp = re.search(r"t=(\d+)", case["header"] or "")
        # "Tolerance disabled" is a clock that stands where the signature was made.
        fresh = case["tolerance"] is None and stamp is not None
        now = datetime.fromtimestamp(int(stamp[1]), UTC) if fresh and stamp else NOW
        body = case.get("payload_override", vectors["payload"]).encode()
        webhook = Webhook({"stripe-signature": case["header"] or ""}, body)
        yield case["name"], webhook, vectors["secret"], WebhookRules(), now, case["valid"]


def in_header(provider: str, header: str) -> Iterator[Case]:
    for case in read(provider)["cases"]:
        webhook = Webhook({header: case["signature"]}, case["body"].encode())
        rules = WebhookRules(url=case.get("url", ""))
        yield case["name"], webhook, case["key"], rules, NOW, case["valid"]


def adyen() -> Iterator[Case]:
    for case in read("adyen")["items"]:
        items = [{"NotificationRequestItem": case["item"]}]
        body = json.dumps({"live": "false", "notificationItems": items}).encode()
        yield case["name"], Webhook({}, body), case["key_hex"], WebhookRules(), NOW, case["valid"]


def adyen_platform() -> Iterator[Case]:
    for case in read("adyen")["raw_body"]:
        webhook = Webhook({"hmacsignature": case["signature"]}, case["body"].encode())
        yield case["name"], webhook, case["key_hex"], WebhookRules(), NOW, case["valid"]
    for case in read("adyen")["primitives"]:
        webhook = Webhook({"hmacsignature": case["signature"]}, case["data"].encode())
        yield case["data"], webhook, case["key_hex"], WebhookRules(), NOW, True


def cases() -> list[Any]:
    if not VECTORS.is_dir():
        return []
    found = {
        "stripe": stripe(),
        "gocardless": in_header("gocardless", "webhook-signature"),
        "square": in_header("square", "x-square-hmacsha256-signature"),
        "adyen": adyen(),
        "adyen_platform": adyen_platform(),
    }
    return [
        pytest.param(scheme, *rest, id=f"{scheme} {name}")
        for scheme, listed in found.items()
        for name, *rest in listed
    ]


@pytest.mark.parametrize(("scheme", "webhook", "secret", "rules", "now", "valid"), cases())
def test_a_published_vector(
    scheme: str, webhook: Webhook, secret: str, rules: WebhookRules, now: datetime, valid: bool
) -> None:
    try:
        SCHEMES[scheme](webhook, [secret], rules, now)
        held = True
    except InvalidInput:
        held = False
    assert held is valid


def test_no_vector_is_left_out() -> None:
    files = {p.stem for p in VECTORS.glob("*.json")}
    assert files == {"stripe", "gocardless", "square", "adyen"}
    listed = len(read("stripe")["cases"]) + len(read("gocardless")["cases"])
    listed += len(read("square")["cases"])
    listed += sum(len(read("adyen")[part]) for part in ("items", "raw_body", "primitives"))
    assert len(cases()) == listed


def test_what_adyen_signs_of_an_item_without_amount() -> None:
    (expected,) = [case["expected"] for case in read("adyen")["data_to_sign"]]
    item = {
        "pspReference": "test_REPORT_AVAILABLE",
        "merchantAccountCode": "Magento2Rik",
        "merchantReference": "testMerchantRef1",
        "eventCode": "REPORT_AVAILABLE",
        "success": "true",
    }
    assert adyen_text(item) == expected
