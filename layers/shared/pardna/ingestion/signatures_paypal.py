"""PayPal's webhook signature: RSA by a certificate that PayPal publishes, checked by ourselves.

Rule (PayPal's "Verify webhook signature" and its SDKs): headers ``paypal-transmission-id``, ``-time``,
``-sig``, ``paypal-cert-url``, ``paypal-auth-algo``; RSA with SHA-256 signs
``transmission id|time|webhook id|CRC-32 of the body, in decimal``.

Whoever names the certificate names the key. So its address must be PayPal's own, and the certificate
must be PayPal's signing certificate by a chain that ends at a root that browsers trust, now.
"""

from __future__ import annotations

import base64
import binascii
import re
import warnings
import zlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from pardna.ingestion.signatures import Webhook
from pardna.ingestion.webhook_rules import WebhookRules
from pardna.runtime.errors import InvalidInput, Unavailable

_HOSTS = {
    False: frozenset({"api.paypal.com", "api-m.paypal.com"}),
    True: frozenset({"api.sandbox.paypal.com", "api-m.sandbox.paypal.com"}),
}
_SIGNER = {
    False: "messageverificationcerts.paypal.com",
    True: "messageverificationcerts.sandbox.paypal.com",
}
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----")
_PATH = re.compile(r"/v1/notifications/certs/CERT-[A-Za-z0-9-]{1,100}")
#: PayPal sends again for three days and says nowhere that the time is new then.
TOLERANCE_SECONDS = 4 * 86_400
CERTIFICATE_BYTES_MAX = 64 * 1024
_CHAIN_MAX = 6
#: Certificates asked for in a minute: strangers may name addresses too, and each costs a call.
_FETCHES_MAX = 10
_KNOWN_MAX = 16

#: The bytes behind an address of PayPal's; raises Unavailable.
Fetch = Callable[[str], bytes]


class PayPalSignatures:
    """A `Verify`. Certificates that held are kept in memory, as long as they are valid."""

    def __init__(self, fetch: Fetch, roots: Callable[[], Sequence[x509.Certificate]]) -> None:
        self._fetch = fetch
        self._roots = roots
        self._store: Store | None = None
        self._known: dict[str, x509.Certificate] = {}
        self._fetched: list[datetime] = []

    def __call__(
        self, webhook: Webhook, _: Sequence[str], rules: WebhookRules, now: datetime
    ) -> None:
        """See `Verify`. Raises Unavailable when the certificate cannot be fetched now."""
        if not rules.webhook_id or webhook.header("paypal-auth-algo").upper() != "SHA256WITHRSA":
            raise _refused()
        stamp = webhook.header("paypal-transmission-time")
        _fresh(stamp, now)
        signature = _decoded(webhook.header("paypal-transmission-sig"))
        url = _pinned(webhook.header("paypal-cert-url"), rules.sandbox)
        sent_id = webhook.header("paypal-transmission-id")
        signed = f"{sent_id}|{stamp}|{rules.webhook_id}|{zlib.crc32(webhook.body)}".encode()
        key = self._certificate(url, rules.sandbox, now).public_key()
        if not isinstance(key, rsa.RSAPublicKey):
            raise _refused()
        try:
            key.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            raise _refused() from None

    def _certificate(self, url: str, sandbox: bool, now: datetime) -> x509.Certificate:
        known = self._known.get(url)
        if known is not None and known.not_valid_before_utc <= now <= known.not_valid_after_utc:
            return known
        self._fetched = [at for at in self._fetched if abs(now - at) < timedelta(minutes=1)]
        if len(self._fetched) >= _FETCHES_MAX:
            raise Unavailable("paypal.certificate", "too many certificates were asked for")
        self._fetched.append(now)
        leaf = self._trusted(self._fetch(url), sandbox, now)
        while len(self._known) >= _KNOWN_MAX:
            del self._known[next(iter(self._known))]
        self._known[url] = leaf
        return leaf

    def _trusted(self, pem: bytes, sandbox: bool, now: datetime) -> x509.Certificate:
        """The first certificate, if its chain holds; raises InvalidInput."""
        if self._store is None:
            self._store = Store(list(self._roots()))
        try:
            leaf, *others = x509.load_pem_x509_certificates(pem)
            policy = PolicyBuilder().store(self._store).time(now.astimezone(UTC))
            verifier = policy.max_chain_depth(_CHAIN_MAX).build_server_verifier(
                x509.DNSName(_SIGNER[sandbox])
            )
            verifier.verify(leaf, others)
        except (ValueError, VerificationError):
            raise _refused() from None
        return leaf


def _pinned(url: str, sandbox: bool) -> str:
    """The address, if it is one where PayPal publishes certificates; raises InvalidInput."""
    try:
        parts = urlsplit(url)
        plain = parts.scheme == "https" and parts.netloc in _HOSTS[sandbox]
    except ValueError:
        raise _refused() from None
    if not plain or parts.query or parts.fragment or not _PATH.fullmatch(parts.path):
        raise _refused()
    return f"https://{parts.netloc}{parts.path}"


def _fresh(stamp: str, now: datetime) -> None:
    try:
        sent = datetime.fromisoformat(stamp)
        away = abs((now - sent).total_seconds())
    except (ValueError, TypeError, OverflowError):
        raise _refused() from None
    if away > TOLERANCE_SECONDS:
        raise InvalidInput("webhook.stale", "the signature is too old or from the future")


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise _refused() from None


def _refused() -> InvalidInput:
    return InvalidInput("webhook.signature", "the signature is not ours")


def fetch_certificate(url: str) -> bytes:
    """The certificate behind an address that `_pinned` let pass: no redirects, bounded, 5 seconds."""
    import http.client
    import ssl

    import certifi

    parts = urlsplit(url)
    context = ssl.create_default_context(cafile=certifi.where())
    connection = http.client.HTTPSConnection(parts.netloc, timeout=5, context=context)
    try:
        connection.request("GET", parts.path, headers={"accept": "application/x-pem-file, */*"})
        answer = connection.getresponse()
        data = answer.read(CERTIFICATE_BYTES_MAX + 1)
    except (OSError, http.client.HTTPException) as error:
        raise Unavailable("paypal.certificate", "PayPal's certificate cannot be had") from error
    finally:
        connection.close()
    if answer.status >= 500 or answer.status == 429:
        raise Unavailable("paypal.certificate", "PayPal's certificate cannot be had")
    if answer.status != 200 or len(data) > CERTIFICATE_BYTES_MAX:
        raise _refused()
    return data


def public_roots() -> list[x509.Certificate]:
    """The roots that browsers trust, without the few that break the rules for certificates."""
    import certifi

    with open(certifi.where(), encoding="ascii") as file:
        texts = _PEM.findall(file.read())
    found = []
    for text in texts:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                found.append(x509.load_pem_x509_certificate(text.encode()))
        except (ValueError, Warning):
            continue
    return found
