"""Signatures of webhooks: our own vectors, and what forgers try."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pardna.ingestion.signatures import SCHEMES, Webhook, adyen_text, verify_hmac
from pardna.ingestion.webhook_rules import HmacScheme, WebhookRules
from pardna.runtime.errors import InvalidInput
from tests.support.ingestion import NOON

BODY = b'{"id":"evt_1","n":1}'
KEY = "4e6f742061207365637265742c206f6e6c792061206b657920666f72207465737473"
URL = "https://api.example/webhooks/kgn-one/square"
STAMP = str(int(NOON.timestamp()))


def digest(key: bytes, data: bytes, algorithm: str = "sha256") -> bytes:
    return hmac.new(key, data, algorithm).digest()


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


#: Scheme -> its secret, and the headers of `BODY`.
STANDARD = "whsec_" + b64(b"standard webhooks key")
GOOD: dict[str, tuple[str, dict[str, str]]] = {
    "gocardless": ("key", {"webhook-signature": digest(b"key", BODY).hex()}),
    "razorpay": ("key", {"x-razorpay-signature": digest(b"key", BODY).hex()}),
    "checkout": ("key", {"cko-signature": digest(b"key", BODY).hex()}),
    "mollie": ("key", {"x-mollie-signature": "sha256=" + digest(b"key", BODY).hex()}),
    "square": ("key", {"x-square-hmacsha256-signature": b64(digest(b"key", URL.encode() + BODY))}),
    "adyen_platform": (KEY, {"hmacsignature": b64(digest(bytes.fromhex(KEY), BODY))}),
    "stripe": (
        "key",
        {"stripe-signature": f"t={STAMP},v1={digest(b'key', f'{STAMP}.'.encode() + BODY).hex()}"},
    ),
    "standard_webhooks": (
        STANDARD,
        {
            "webhook-id": "msg_1",
            "webhook-timestamp": STAMP,
            "webhook-signature": "v1,"
            + b64(digest(b"standard webhooks key", f"msg_1.{STAMP}.".encode() + BODY)),
        },
    ),
}
HEADER = {name: next(h for h in headers if "signature" in h) for name, (_, headers) in GOOD.items()}
each = pytest.mark.parametrize("scheme", sorted(GOOD))


def holds(
    scheme: str,
    headers: dict[str, str],
    secrets: list[str],
    body: bytes = BODY,
    now: datetime = NOON,
    repeated: frozenset[str] = frozenset(),
) -> bool:
    try:
        SCHEMES[scheme](Webhook(headers, body, repeated), secrets, WebhookRules(url=URL), now)
    except InvalidInput:
        return False
    return True


@each
def test_a_good_signature_holds_by_either_of_two_secrets(scheme: str) -> None:
    secret, headers = GOOD[scheme]
    other = secret[:-2] + "00"
    assert holds(scheme, headers, [secret])
    assert holds(scheme, headers, [other, secret])
    assert holds(scheme, headers, [secret, other])
    assert not holds(scheme, headers, [other])


@each
@pytest.mark.parametrize("body", [BODY + b" ", b"", b"\xff\xfe", BODY.replace(b":", b": ")])
def test_other_bytes_do_not(scheme: str, body: bytes) -> None:
    secret, headers = GOOD[scheme]
    assert not holds(scheme, headers, [secret], body)


@each
def test_no_secret_signs_nothing(scheme: str) -> None:
    _, headers = GOOD[scheme]
    assert not holds(scheme, headers, [])
    assert not holds(scheme, headers, [""])


@each
def test_missing_empty_repeated_and_giant_headers_are_refused(scheme: str) -> None:
    secret, headers = GOOD[scheme]
    for name in headers:
        assert not holds(scheme, {k: v for k, v in headers.items() if k != name}, [secret])
        assert not holds(scheme, headers | {name: ""}, [secret])
        assert not holds(scheme, headers, [secret], repeated=frozenset({name}))
        assert not holds(scheme, headers | {name: headers[name] + " " * 5_000}, [secret])
    for hostile in ("é", "\ud800", "v1,", "t=1,v1=\udcff", "0" * 4_096, "sha256=", ","):
        assert not holds(scheme, headers | {HEADER[scheme]: hostile}, [secret])


def test_hexadecimal_may_be_written_in_capitals() -> None:
    secret, headers = GOOD["razorpay"]
    assert holds("razorpay", {k: v.upper() for k, v in headers.items()}, [secret])


@each
def test_a_signature_of_another_algorithm_or_cut_short_does_not_hold(scheme: str) -> None:
    secret, headers = GOOD[scheme]
    name = HEADER[scheme]
    assert not holds(scheme, headers | {name: headers[name][:-2]}, [secret])
    assert not holds(scheme, headers | {name: headers[name] + "00"}, [secret])


@pytest.mark.parametrize("scheme", ["stripe", "standard_webhooks"])
@pytest.mark.parametrize(("age", "fresh"), [(-301, False), (-300, True), (300, True), (301, False)])
def test_times_are_tolerated_for_five_minutes(scheme: str, age: int, fresh: bool) -> None:
    secret, headers = GOOD[scheme]
    assert holds(scheme, headers, [secret], now=NOON + timedelta(seconds=age)) is fresh


@pytest.mark.parametrize("stamp", ["١٢٣", "²", " 1", "-1", "1e9", "1.0", "9" * 16, "0x1", ""])
def test_a_time_is_ascii_digits(stamp: str) -> None:
    signed = b64(digest(b"standard webhooks key", f"msg_1.{stamp}.".encode() + BODY))
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{signed}",
    }
    assert not holds("standard_webhooks", headers, [STANDARD])


def test_standard_webhooks_known_vector() -> None:
    """The specification's own example: key, id, time and payload."""
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    now = datetime.fromtimestamp(1_614_265_330, UTC)
    body = b'{"test": 2432232314}'
    assert holds("standard_webhooks", headers, [secret], body, now)
    several = f"v1a,ed25519thing v2,xyz {headers['webhook-signature']}"
    assert holds("standard_webhooks", headers | {"webhook-signature": several}, [secret], body, now)
    assert not holds("standard_webhooks", headers | {"webhook-id": "msg_2"}, [secret], body, now)


def item(**changes: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "pspReference": "7914073381342284",
        "merchantAccountCode": "TestMerchant",
        "merchantReference": "P:1",
        "amount": {"currency": "EUR", "value": 1130},
        "eventCode": "AUTHORISATION",
        "success": "true",
    } | changes
    signed = b64(digest(bytes.fromhex(KEY), adyen_text(fields).encode()))
    return fields | {"additionalData": {"hmacSignature": signed}}


def notification(*items: Any) -> bytes:
    return json.dumps(
        {"live": "false", "notificationItems": [{"NotificationRequestItem": i} for i in items]}
    ).encode()


def test_every_item_of_adyen_must_hold() -> None:
    other = item(pspReference="8", success=False)
    assert holds("adyen", {}, [KEY], notification(item()))
    assert holds("adyen", {}, [KEY], notification(item(), other))
    assert holds("adyen", {}, ["00", KEY], notification(item()))
    assert not holds("adyen", {}, [KEY], notification(item(), other | {"success": "true"}))
    assert not holds("adyen", {}, ["no hex", ""], notification(item()))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff",
        notification(),
        notification("text"),
        notification({}),
        notification(item() | {"additionalData": {"hmacSignature": 7}}),
        notification(item() | {"pspReference": ["7914073381342284"]}),
        b"[" * 100_000,
    ],
)
def test_what_is_no_notification_of_adyens_is_refused(body: bytes) -> None:
    assert not holds("adyen", {}, [KEY], body)


PROFILES = [
    HmacScheme("x-sig"),
    HmacScheme("x-sig", algorithm="sha512", encoding="base64", prefix="v="),
    HmacScheme("x-sig", signed=("timestamp", "body"), joint=":", timestamp_header="x-time"),
    HmacScheme("x-sig", signed=("body", "url"), separator=","),
    HmacScheme("x-sig", key_encoding="base64", key_prefix="k_"),
    HmacScheme(
        "x-sig",
        signed=("timestamp", "body"),
        timestamp_header="x-time",
        timestamp_format="iso",
        tolerance_seconds=60,
    ),
    HmacScheme(
        "x-sig",
        signed=("timestamp", "body"),
        timestamp_header="x-time",
        timestamp_format="milliseconds",
    ),
]


@pytest.mark.parametrize("scheme", PROFILES)
def test_a_scheme_described_as_data(scheme: HmacScheme) -> None:
    secret = "k_" + b64(b"key") if scheme.key_encoding == "base64" else "key"
    stamp = {"iso": NOON.isoformat(), "milliseconds": f"{STAMP}000", "seconds": STAMP}[
        scheme.timestamp_format
    ]
    parts = {"body": BODY, "url": URL.encode(), "timestamp": stamp.encode()}
    signed = scheme.joint.encode().join(parts[p] for p in scheme.signed)
    made = hmac.new(b"key", signed, getattr(hashlib, scheme.algorithm)).digest()
    text = scheme.prefix + (made.hex() if scheme.encoding == "hex" else b64(made))
    headers = {"x-sig": text, "x-time": stamp}
    rules = WebhookRules(url=URL, scheme=scheme)
    SCHEMES["hmac"](Webhook(headers, BODY), [secret], rules, NOON)
    for wrong in (
        Webhook(headers, BODY + b"x"),
        Webhook(headers | {"x-sig": text[:-1]}, BODY),
        Webhook({}, BODY),
    ):
        with pytest.raises(InvalidInput):
            SCHEMES["hmac"](wrong, [secret], rules, NOON)
    if scheme.timestamp_header:
        with pytest.raises(InvalidInput, match=r"webhook\.stale"):
            SCHEMES["hmac"](Webhook(headers, BODY), [secret], rules, NOON + timedelta(hours=1))
    with pytest.raises(InvalidInput):
        SCHEMES["hmac"](Webhook(headers, BODY), [secret], WebhookRules(url=URL), NOON)


def test_a_signed_url_that_nobody_named_is_no_url() -> None:
    scheme = replace(PROFILES[3])
    headers = {"x-sig": digest(b"key", BODY).hex()}
    with pytest.raises(InvalidInput):
        verify_hmac(scheme)(Webhook(headers, BODY), ["key"], WebhookRules(), NOON)


@pytest.mark.parametrize(
    "wrong",
    [
        {"header": ""},
        {"header": "X-Sig"},
        {"header": "x sig"},
        {"algorithm": "md5"},
        {"encoding": "base32"},
        {"prefix": "é"},
        {"separator": "ab"},
        {"separator": "a"},
        {"signed": ()},
        {"signed": ("timestamp",), "timestamp_header": "x-time"},
        {"signed": ("body", "body")},
        {"signed": ("timestamp", "body")},
        {"timestamp_header": "x-time"},
        {"id_header": "x-id"},
        {"tolerance_seconds": 0},
        {"tolerance_seconds": 8 * 86_400},
        {"key_encoding": "rot13"},
        {"timestamp_format": "stardate"},
    ],
)
def test_a_scheme_that_would_prove_nothing_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=r"source\.webhook"):
        HmacScheme(**{"header": "x-sig"} | wrong)


@each
def test_only_a_comparison_in_constant_time_lets_anything_in_and_none_is_left_out(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret, headers = GOOD[scheme]
    real, met = hmac.compare_digest, list[bytes]()

    def noted(first: bytes, second: bytes) -> bool:
        met.append(second)
        return real(first, second)

    with monkeypatch.context() as patched:
        patched.setattr(hmac, "compare_digest", noted)
        for secrets in ([secret, secret[:-2] + "00"], [secret[:-2] + "00", secret]):
            met.clear()
            assert holds(scheme, headers, secrets)
            assert len(met) == 2  # the first that matches ends nothing
        monkeypatch.setattr(hmac, "compare_digest", lambda *_: False)
        assert not holds(scheme, headers, [secret])
