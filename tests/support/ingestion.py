"""Sources, signatures and receipts for tests."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from typing import Any

from pardna.ingestion.model import RawKey, Receipt, SftpPlace, SourceProfile
from pardna.ingestion.ports import RawStore

TENANT = "kgn-one"
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
SECRET = "whsec_only_for_tests"
SECRET_ID = "/pardna/local/kgn-one/stripe"


def a_stripe_source(**changes: Any) -> SourceProfile:
    """The card account ``acct_1``, by webhook and by poll."""
    fields: dict[str, Any] = {
        "tenant_id": TENANT,
        "source_id": "stripe",
        "provider": "stripe",
        "channels": ("webhook", "poll"),
        "account": "acct_1",
        "secret_id": SECRET_ID,
    }
    return SourceProfile(**fields | changes)


def a_bank_source(**changes: Any) -> SourceProfile:
    """The bank account ``404385912``, by files."""
    place = SftpPlace(
        "127.0.0.1", 22, "pardna", "ssh-ed25519 AAAA", "/pardna/local/kgn-one/ncb", include=("*",)
    )
    fields: dict[str, Any] = {
        "tenant_id": TENANT,
        "source_id": "ncb",
        "provider": "ncb",
        "channels": ("sftp",),
        "account": "404385912",
        "currency": "JMD",
        "sftp": place,
    }
    return SourceProfile(**fields | changes)


def a_receipt(source_id: str = "ncb", name: str = "a.xml", channel: str = "sftp") -> Receipt:
    """Received at noon."""
    return Receipt(source_id, channel, name, NOON, "application/xml")


def keys_of(raw: RawStore, tenant_id: str = TENANT) -> list[RawKey]:
    """Everything that a tenant holds."""
    return list(raw.page(tenant_id, "", datetime.now(UTC) + timedelta(days=1), 1_000).keys)


def stripe_signature(body: bytes, secret: str = SECRET, at: datetime = NOON) -> str:
    """The header that Stripe would send."""
    stamp = int(at.timestamp())
    digest = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={stamp},v1={digest}"
