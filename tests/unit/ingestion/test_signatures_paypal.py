"""PayPal's signatures, offline: chains that the tests make, and the ways to forge one."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pardna.ingestion.signatures import Webhook
from pardna.ingestion.signatures_paypal import PayPalSignatures, public_roots
from pardna.ingestion.webhook_rules import WebhookRules
from pardna.runtime.errors import InvalidInput, Unavailable
from tests.support.ingestion import NOON

SIGNER = "messageverificationcerts.paypal.com"
URL = "https://api.paypal.com/v1/notifications/certs/CERT-360caa42-fca2a594-1d93a270"
BODY = b'{"id":"WH-1","event_type":"PAYMENT.CAPTURE.COMPLETED"}'
RULES = WebhookRules(webhook_id="1JE4291016473214C")


def certificate(
    name: str,
    key: Any,
    issuer: x509.Certificate | None,
    issuer_key: Any,
    *,
    authority: bool,
    until: datetime = NOON + timedelta(days=90),
) -> x509.Certificate:
    """As a public authority makes one."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signing = issuer_key.public_key()
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOON - timedelta(days=90))
        .not_valid_after(until)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing), critical=False)
        .add_extension(
            x509.KeyUsage(
                digital_signature=not authority,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=authority,
                crl_sign=authority,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
    )
    if not authority:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False
        ).add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


@dataclass
class PayPal:
    """A PayPal of the tests: an authority, an intermediate, a signer, and what it serves."""

    name: str = SIGNER
    until: datetime = NOON + timedelta(days=90)
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
        self.key = rsa.generate_private_key(65537, 2048)
        self.root = certificate("Root", keys[0], None, keys[0], authority=True)
        self.middle = certificate("Middle", keys[1], self.root, keys[0], authority=True)
        self.leaf = certificate(
            self.name, self.key, self.middle, keys[1], authority=False, until=self.until
        )
        self.served = [self.leaf, self.middle]

    def fetch(self, url: str) -> bytes:
        self.asked.append(url)
        return b"".join(c.public_bytes(serialization.Encoding.PEM) for c in self.served)

    def headers(self, body: bytes = BODY, at: datetime = NOON, **changes: str) -> dict[str, str]:
        stamp = at.isoformat().replace("+00:00", "Z")
        signed = f"t-1|{stamp}|{RULES.webhook_id}|{zlib.crc32(body)}".encode()
        signature = self.key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
        fields = {
            "paypal-transmission-id": "t-1",
            "paypal-transmission-time": stamp,
            "paypal-transmission-sig": base64.b64encode(signature).decode(),
            "paypal-cert-url": URL,
            "paypal-auth-algo": "SHA256withRSA",
        }
        return fields | {f"paypal-{k.replace('_', '-')}": v for k, v in changes.items()}

    def verifier(self, roots: Callable[[], list[x509.Certificate]] | None = None) -> PayPalSignatures:  # fmt: skip
        return PayPalSignatures(self.fetch, roots or (lambda: [self.root]))


@pytest.fixture(scope="module")
def shared() -> PayPal:
    return PayPal()


@pytest.fixture
def paypal(shared: PayPal) -> PayPal:
    shared.asked.clear()
    shared.served = [shared.leaf, shared.middle]
    return shared


def test_a_signed_webhook_holds_and_the_certificate_is_fetched_once(paypal: PayPal) -> None:
    verify = paypal.verifier()
    for body in (BODY, b"", b"\xff\xfe\x00"):
        verify(Webhook(paypal.headers(body), body), (), RULES, NOON)
    assert paypal.asked == [URL]


@pytest.mark.parametrize(
    "changes",
    [
        {"transmission_id": "t-2"},
        {"transmission_time": "2026-01-31T12:00:01Z"},
        {"transmission_time": "2026-01-31T12:00:00"},
        {"transmission_time": "yesterday"},
        {"transmission_sig": "no base64"},
        {"transmission_sig": ""},
        {"auth_algo": "SHA1withRSA"},
        {"auth_algo": "none"},
    ],
)
def test_what_was_not_signed_so_is_refused(paypal: PayPal, changes: dict[str, str]) -> None:
    with pytest.raises(InvalidInput):
        paypal.verifier()(Webhook(paypal.headers(**changes), BODY), (), RULES, NOON)


def test_other_bytes_another_webhook_and_old_times_are_refused(paypal: PayPal) -> None:
    verify = paypal.verifier()
    old = NOON - timedelta(days=4, seconds=1)
    for webhook, rules in (
        (Webhook(paypal.headers(), BODY + b" "), RULES),
        (Webhook(paypal.headers(), BODY), WebhookRules(webhook_id="OTHER")),
        (Webhook(paypal.headers(), BODY), WebhookRules()),
        (Webhook(paypal.headers(at=old), BODY), RULES),
        (Webhook(paypal.headers(), BODY, frozenset({"paypal-cert-url"})), RULES),
        (Webhook({}, BODY), RULES),
    ):
        with pytest.raises(InvalidInput):
            verify(webhook, (), rules, NOON)


@pytest.mark.parametrize(
    "url",
    [
        "http://api.paypal.com/v1/notifications/certs/CERT-1",
        "https://api.paypal.com.evil.example/v1/notifications/certs/CERT-1",
        "https://evil.example/v1/notifications/certs/CERT-1",
        "https://api.paypal.com@evil.example/v1/notifications/certs/CERT-1",
        "https://user@api.paypal.com/v1/notifications/certs/CERT-1",
        "https://api.paypal.com:8443/v1/notifications/certs/CERT-1",
        "https://api.paypal.com/v1/notifications/certs/../../x/CERT-1",
        "https://api.paypal.com/v1/notifications/certs/CERT-1?next=//evil.example",
        "https://api.paypal.com/v1/notifications/certs/CERT-1#x",
        "https://api.paypal.com/redirect?to=https://evil.example/",
        "https://api.sandbox.paypal.com/v1/notifications/certs/CERT-1",
        "https://API.PAYPAL.COM./v1/notifications/certs/CERT-1",
        "https://[::1/v1/notifications/certs/CERT-1",
        "file:///v1/notifications/certs/CERT-1",
        "https://api.paypal.com/v1/notifications/certs/CERT-١",
    ],
)
def test_a_certificate_from_elsewhere_is_not_even_asked_for(paypal: PayPal, url: str) -> None:
    with pytest.raises(InvalidInput):
        paypal.verifier()(Webhook(paypal.headers(cert_url=url), BODY), (), RULES, NOON)
    assert paypal.asked == []


def test_a_chain_that_does_not_hold_is_refused(paypal: PayPal) -> None:
    webhook = Webhook(paypal.headers(), BODY)
    self_signed = certificate(SIGNER, paypal.key, None, paypal.key, authority=False)
    for served in ([self_signed], [paypal.leaf], [paypal.middle, paypal.leaf], []):
        paypal.served = served
        with pytest.raises(InvalidInput):
            paypal.verifier()(webhook, (), RULES, NOON)
    paypal.served = [paypal.leaf, paypal.middle]
    with pytest.raises(InvalidInput):  # a chain, but to no root that browsers trust
        paypal.verifier(public_roots)(webhook, (), RULES, NOON)


@pytest.mark.parametrize(
    "name", ["www.paypal.com", "messageverificationcerts.paypal.com.evil.example", "evil.example"]
)
def test_a_trusted_certificate_of_anybody_else_is_refused(name: str) -> None:
    other = PayPal(name)
    with pytest.raises(InvalidInput):
        other.verifier()(Webhook(other.headers(), BODY), (), RULES, NOON)


def test_a_certificate_that_ran_out_is_fetched_again_and_refused() -> None:
    paypal = PayPal(until=NOON + timedelta(hours=1))
    verify = paypal.verifier()
    verify(Webhook(paypal.headers(), BODY), (), RULES, NOON)
    later = NOON + timedelta(hours=2)
    with pytest.raises(InvalidInput):
        verify(Webhook(paypal.headers(at=later), BODY), (), RULES, later)
    assert len(paypal.asked) == 2


def test_the_test_system_of_paypal_signs_for_itself_only() -> None:
    sandbox = PayPal("messageverificationcerts.sandbox.paypal.com")
    url = URL.replace("api.paypal", "api.sandbox.paypal")
    webhook = Webhook(sandbox.headers(cert_url=url), BODY)
    sandbox.verifier()(webhook, (), WebhookRules(webhook_id=RULES.webhook_id, sandbox=True), NOON)
    with pytest.raises(InvalidInput):
        sandbox.verifier()(webhook, (), RULES, NOON)


def test_when_the_certificate_cannot_be_had_paypal_tries_again(paypal: PayPal) -> None:
    def down(url: str) -> bytes:
        raise Unavailable("paypal.certificate", "down")

    verify = PayPalSignatures(down, lambda: [paypal.root])
    with pytest.raises(Unavailable):
        verify(Webhook(paypal.headers(), BODY), (), RULES, NOON)


def test_strangers_do_not_make_us_ask_without_end(paypal: PayPal) -> None:
    verify = paypal.verifier()
    verify(Webhook(paypal.headers(), BODY), (), RULES, NOON)
    paypal.served = []
    for number in range(30):
        forged = Webhook(paypal.headers(cert_url=f"{URL}{number}"), BODY)
        with pytest.raises((InvalidInput, Unavailable)):
            verify(forged, (), RULES, NOON)
    assert len(paypal.asked) == 10
    verify(Webhook(paypal.headers(), BODY), (), RULES, NOON)  # known: not asked for again
    paypal.served = [paypal.leaf, paypal.middle]
    later = NOON + timedelta(minutes=2)
    verify(Webhook(paypal.headers(cert_url=f"{URL}x"), BODY), (), RULES, later)


def test_roots_are_there() -> None:
    assert len(public_roots()) > 50
