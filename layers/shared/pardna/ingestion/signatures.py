"""Webhook signatures, over the exact bytes that were sent. Pure; compares in constant time.

| scheme | header | signed | source of the rule |
|---|---|---|---|
| stripe | stripe-signature ``t=,v1=`` | ``t.body`` | Stripe, "Verify webhook signatures manually" |
| standard_webhooks | webhook-signature ``v1,…`` | ``id.timestamp.body`` | Standard Webhooks 1.0 |
| adyen | in each notification item | seven fields, ``:`` | Adyen, "Verify HMAC signatures" |
| adyen_platform | hmacsignature | body | the same, platform webhooks |
| gocardless, razorpay, checkout, mollie | one header each | body | each provider's webhook guide |
| square | x-square-hmacsha256-signature | url and body | Square, "Verify and validate" |
| paypal | see `signatures_paypal` | | |
| hmac | as the source's rules say | | `webhook_rules.HmacScheme` |
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pardna.ingestion.webhook_rules import TOLERANCE_SECONDS, HmacScheme, WebhookRules
from pardna.runtime.errors import InvalidInput

_HEADER_MAX = 4_096
#: Signatures looked at in one header, and items in one notification of Adyen's.
_SIGNATURES_MAX = 20
_ITEMS_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Webhook:
    """A webhook as it arrived: lower-case header names, exact bytes, the sender's address.

    `repeated` are headers that were sent more than once: which one counts is anybody's guess, so
    none of them does.
    """

    headers: Mapping[str, str]
    body: bytes
    repeated: frozenset[str] = frozenset()
    address: str = ""

    def header(self, name: str) -> str:
        """A header's text; raises InvalidInput when it is missing, repeated or beyond all size."""
        value = self.headers.get(name, "")
        if not value or name in self.repeated or len(value) > _HEADER_MAX:
            raise _refused()
        return value


#: Raises InvalidInput ``webhook.signature`` or ``webhook.stale``. Any of the secrets may have
#: signed: two are valid while one is rotated.
Verify = Callable[[Webhook, Sequence[str], WebhookRules, datetime], None]


def verify_stripe(webhook: Webhook, secrets: Sequence[str], _: WebhookRules, now: datetime) -> None:
    """Stripe's scheme; see `Verify`. Any ``v1`` may be the one."""
    stamp, given = "", []
    for part in webhook.header("stripe-signature").split(","):
        name, _equals, value = part.strip().partition("=")
        if name == "t":
            stamp = value
        elif name == "v1":
            given.append(value)
    seconds = _seconds(stamp, "seconds")
    signed = stamp.encode() + b"." + webhook.body
    keys = [s.encode() for s in secrets if s]
    _match(keys, signed, "sha256", lambda d: d.hex(), given)
    _fresh(seconds, now, TOLERANCE_SECONDS)


def verify_hmac(scheme: HmacScheme) -> Verify:
    """A scheme that is described as data; see `Verify`."""

    def verify(
        webhook: Webhook, secrets: Sequence[str], rules: WebhookRules, now: datetime
    ) -> None:
        text = webhook.header(scheme.header)
        offered = text.split(scheme.separator) if scheme.separator else [text]
        given = [o.strip()[len(scheme.prefix) :] for o in offered if _begins(o, scheme.prefix)]
        if scheme.encoding == "hex":
            given = [one.lower() for one in given]
        parts = {"body": webhook.body, "url": rules.url.encode()}
        if scheme.id_header:
            parts["id"] = _bytes(webhook.header(scheme.id_header))
        stamp = webhook.header(scheme.timestamp_header) if scheme.timestamp_header else ""
        parts["timestamp"] = _bytes(stamp)
        if "url" in scheme.signed and not rules.url:
            raise _refused()
        keys = list(_keys(scheme, secrets))
        signed = scheme.joint.encode().join(parts[name] for name in scheme.signed)
        _match(keys, signed, scheme.algorithm, _encoder(scheme.encoding), given)
        if stamp:
            _fresh(_seconds(stamp, scheme.timestamp_format), now, scheme.tolerance_seconds)

    return verify


def verify_adyen(webhook: Webhook, secrets: Sequence[str], _: WebhookRules, __: datetime) -> None:
    """Adyen's standard notifications; see `Verify`. Every item is signed by itself, all must hold.

    The signature covers identity, amount, event and success only, and no time: the other fields of
    an item (a reason, a link) are as trustworthy as the connection, no more.
    """
    items = list(_adyen_items(webhook.body))
    if not 1 <= len(items) <= _ITEMS_MAX:
        raise _refused()
    keys = list(_keys(_ADYEN_KEY, secrets))
    for item in items:
        extra = item.get("additionalData")
        given = extra.get("hmacSignature") if isinstance(extra, Mapping) else None
        if not isinstance(given, str) or not given or len(given) > _HEADER_MAX:
            raise _refused()
        signed = adyen_text(item).encode("utf-8", "surrogatepass")
        _match(keys, signed, "sha256", _encoder("base64"), [given])


def adyen_text(item: Mapping[str, Any]) -> str:
    """What Adyen signs of a notification item: seven fields by colons, none of them escaped."""
    amount = item.get("amount")
    amount = amount if isinstance(amount, Mapping) else {}
    names = ("pspReference", "originalReference", "merchantAccountCode", "merchantReference")
    fields = [item.get(name) for name in names]
    fields += [amount.get("value"), amount.get("currency"), item.get("eventCode")]
    fields.append(item.get("success"))
    return ":".join(_plain(field) for field in fields)


def _plain(field: object) -> str:
    if field is None:
        return ""
    if isinstance(field, bool):
        return str(field).lower()
    if isinstance(field, str | int):
        return str(field)
    raise _refused()


def _adyen_items(body: bytes) -> Iterator[Mapping[str, Any]]:
    try:
        listed = json.loads(body)["notificationItems"]
        for one in listed:
            item = one["NotificationRequestItem"]
            if not isinstance(item, Mapping):
                raise _refused()
            yield item
    except (ValueError, KeyError, TypeError, RecursionError):
        raise _refused() from None


def _match(
    keys: Sequence[bytes],
    signed: bytes,
    algorithm: str,
    encode: Callable[[bytes], str],
    given: Sequence[str],
) -> None:
    """Raise unless one of the keys made one of the signatures. Every pair is compared, always."""
    matches = 0
    for key in keys:
        wanted = encode(hmac.new(key, signed, getattr(hashlib, algorithm)).digest()).encode()
        for one in given[:_SIGNATURES_MAX]:
            matches += hmac.compare_digest(wanted, _bytes(one))
    if not matches:
        raise _refused()


def _keys(scheme: HmacScheme, secrets: Sequence[str]) -> Iterator[bytes]:
    """Keys as bytes; a secret that is not written as the scheme says is no key."""
    for secret in secrets:
        text = secret.removeprefix(scheme.key_prefix).strip()
        try:
            if scheme.key_encoding == "hex":
                key = bytes.fromhex(text)
            elif scheme.key_encoding == "base64":
                key = base64.b64decode(text, validate=True)
            else:
                key = text.encode()
        except (ValueError, binascii.Error):
            continue
        if key:
            yield key


def usable(scheme: str, rules: WebhookRules, secret: str) -> bool:
    """Whether a secret is written as a scheme's secrets are; a wrong one would refuse everything."""
    described = rules.scheme if scheme == "hmac" else _DESCRIBED.get(scheme)
    return any(_keys(described or HmacScheme("any"), [secret]))


def _encoder(encoding: str) -> Callable[[bytes], str]:
    return (lambda d: d.hex()) if encoding == "hex" else (lambda d: base64.b64encode(d).decode())


def _begins(offered: str, prefix: str) -> bool:
    return offered.strip().startswith(prefix)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _seconds(stamp: str, form: str) -> float:
    """Seconds since 1970; ASCII digits only, whatever else Unicode calls a digit."""
    if form == "iso":
        try:
            return _aware(datetime.fromisoformat(stamp)).timestamp()
        except (ValueError, OverflowError):
            raise _refused() from None
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 15):
        raise _refused()
    return int(stamp) / (1000 if form == "milliseconds" else 1)


def _aware(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("a time without its zone")
    return moment


def _fresh(seconds: float, now: datetime, tolerance_seconds: int) -> None:
    if abs(now.timestamp() - seconds) > tolerance_seconds:
        raise InvalidInput("webhook.stale", "the signature is too old or from the future")


def _refused() -> InvalidInput:
    return InvalidInput("webhook.signature", "the signature is not ours")


def _by_rules(webhook: Webhook, secrets: Sequence[str], rules: WebhookRules, now: datetime) -> None:
    """The scheme that the source's own rules describe; see `Verify`."""
    if rules.scheme is None:
        raise _refused()
    verify_hmac(rules.scheme)(webhook, secrets, rules, now)


_ADYEN_KEY = HmacScheme("hmacsignature", encoding="base64", key_encoding="hex")

#: Schemes that are nothing but a keyed hash in a header.
PRESETS: Mapping[str, HmacScheme] = {
    "adyen_platform": _ADYEN_KEY,
    "checkout": HmacScheme("cko-signature"),
    "gocardless": HmacScheme("webhook-signature"),
    "mollie": HmacScheme("x-mollie-signature", prefix="sha256="),
    "razorpay": HmacScheme("x-razorpay-signature"),
    "square": HmacScheme(
        "x-square-hmacsha256-signature", encoding="base64", signed=("url", "body")
    ),
    "standard_webhooks": HmacScheme(
        "webhook-signature",
        encoding="base64",
        prefix="v1,",
        separator=" ",
        signed=("id", "timestamp", "body"),
        joint=".",
        timestamp_header="webhook-timestamp",
        id_header="webhook-id",
        key_encoding="base64",
        key_prefix="whsec_",
    ),
}

#: Signature scheme of a source -> how it is verified.
SCHEMES: Mapping[str, Verify] = {
    "stripe": verify_stripe,
    "adyen": verify_adyen,
    "hmac": _by_rules,
    **{name: verify_hmac(scheme) for name, scheme in PRESETS.items()},
}
_DESCRIBED = {**PRESETS, "adyen": _ADYEN_KEY}
#: Those whose sender signs with a key of its own: there is no secret to share.
WITHOUT_SECRET = frozenset({"paypal"})
NAMES = tuple(sorted({*SCHEMES, *WITHOUT_SECRET}))
