"""What providers call their events."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pardna.ingestion.event_ids import event_id
from pardna.ingestion.model import Receipt
from tests.support.ingestion import NOON


def adyen(*items: tuple[str, str, Any]) -> bytes:
    fields = [dict(zip(("pspReference", "eventCode", "success"), i, strict=True)) for i in items]
    return json.dumps({"notificationItems": [{"NotificationRequestItem": f} for f in fields]}).encode()  # fmt: skip


@pytest.mark.parametrize(
    ("scheme", "headers", "body", "expected"),
    [
        ("stripe", {}, b'{"id": "evt_1"}', "evt_1"),
        ("paypal", {}, b'{"id": "WH-1-2"}', "WH-1-2"),
        ("square", {}, b'{"event_id": "e-1", "id": "x"}', "e-1"),
        ("checkout", {}, b'{"id": "evt_x"}', "evt_x"),
        ("razorpay", {"x-razorpay-event-id": "r1"}, b"{}", "r1"),
        ("standard_webhooks", {"webhook-id": "msg_1"}, b"\xff", "msg_1"),
        ("gocardless", {}, b'{"events": [{"id": "EV1"}]}', "EV1"),
        ("adyen", {}, adyen(("8", "AUTHORISATION", "true")), "8:AUTHORISATION:true"),
        ("adyen", {}, adyen(("8", "AUTHORISATION", True)), "8:AUTHORISATION:true"),
        ("hmac", {"x-id": "1"}, b'{"id": "object"}', ""),
        ("stripe", {}, b'{"id": 7}', ""),
        ("stripe", {}, b'{"id": ""}', ""),
        ("stripe", {}, b'{"id": "a b"}', ""),
        ("stripe", {}, b"[]", ""),
        ("stripe", {}, b"\xff\xfe", ""),
        ("stripe", {}, b"[" * 50_000, ""),
        ("stripe", {}, json.dumps({"id": "x" * 151}).encode(), ""),
        ("gocardless", {}, b'{"events": []}', ""),
        ("gocardless", {}, b'{"events": "EV1"}', ""),
        ("gocardless", {}, b'{"events": [{"id": "EV1"}, {}]}', ""),
        ("razorpay", {}, b"{}", ""),
        ("razorpay", {"x-razorpay-event-id": "é"}, b"{}", ""),
    ],
)
def test_an_id_by_each_providers_rule(
    scheme: str, headers: dict[str, str], body: bytes, expected: str
) -> None:
    assert event_id(scheme, headers, body) == expected


def test_a_batch_is_named_by_all_of_its_events_in_any_order() -> None:
    one, other = ("8", "AUTHORISATION", "true"), ("9", "CAPTURE", "true")
    both = event_id("adyen", {}, adyen(one, other))
    assert both.startswith("batch:")
    assert both == event_id("adyen", {}, adyen(other, one))
    assert both != event_id("adyen", {}, adyen(one, ("9", "CAPTURE", "false")))


def test_only_webhooks_have_events() -> None:
    headers = {"event-id": "evt_1"}
    assert Receipt("s", "webhook", "webhook", NOON, headers=headers).event_id == "evt_1"
    assert Receipt("s", "poll", "a", NOON, headers=headers).event_id == ""
