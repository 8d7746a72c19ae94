"""Webhook signatures, over the exact bytes that were sent. Pure; compares in constant time.

Stripe's scheme (its documentation, "Verify webhook signatures manually"): header
``t=<seconds>,v1=<hex>[,v1=<hex>...]``; each ``v1`` is HMAC-SHA-256 of ``<t>.<body>``.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from pardna.runtime.errors import InvalidInput

#: A signature older, or further ahead, than this is a replay or a wrong clock.
TOLERANCE_SECONDS = 300
_HEADER_MAX = 4_096

Verify = Callable[[Mapping[str, str], bytes, Sequence[str], datetime], None]


def verify_stripe(
    headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: datetime
) -> None:
    """Raises InvalidInput ``webhook.signature`` or ``webhook.stale``; header names lower-case.

    Any of `secrets` may have signed (two are valid while one is rotated), by any ``v1``.
    """
    stamp, signatures = _parts(headers.get("stripe-signature", ""))
    signed = f"{stamp}.".encode() + body
    known = [s for s in secrets if s]
    matches = 0
    for secret in known:
        wanted = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest().encode()
        for given in signatures:
            matches += hmac.compare_digest(wanted, given.encode())
    if not matches:
        raise InvalidInput("webhook.signature", "the signature is not ours")
    if abs(now.timestamp() - stamp) > TOLERANCE_SECONDS:
        raise InvalidInput("webhook.stale", "the signature is too old or from the future")


def _parts(header: str) -> tuple[int, list[str]]:
    """The time and the ``v1`` signatures; raises InvalidInput for anything else."""
    stamp, signatures = "", []
    for part in header[:_HEADER_MAX].split(","):
        name, _, value = part.strip().partition("=")
        if name == "t":
            stamp = value
        elif name == "v1":
            signatures.append(value)
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 12 and signatures):
        raise InvalidInput("webhook.signature", "there is no signature")
    return int(stamp), signatures


#: Signature scheme of a source -> how it is verified.
SCHEMES: Mapping[str, Verify] = {"stripe": verify_stripe}
