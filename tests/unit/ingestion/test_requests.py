"""What callers may write down about a source."""

from __future__ import annotations

from typing import Any

import asyncssh
import pytest
from pydantic import ValidationError

from pardna.formats.profile import Profile, read_profile
from pardna.ingestion.model import SourceProfile
from pardna.ingestion.requests import NewSource
from pardna.runtime.errors import InvalidInput
from tests.support.ingestion import TENANT

KEY = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()
OWN = f"/pardna/local/{TENANT}/ncb"
SFTP = {"host": "bank.example", "user": "pardna", "host_key": KEY, "secret_id": OWN}


def body(**sftp: Any) -> NewSource:
    fields = {
        "source_id": "ncb",
        "provider": "ncb",
        "channels": ["sftp"],
        "account": "ncb:404385912",
    }
    return NewSource.model_validate(fields | {"sftp": SFTP | sftp})


def test_a_profile_is_written_as_it_is_read() -> None:
    profile = body(host_key=f"{KEY}\n{KEY} comment").to_profile(TENANT, "local")
    assert SourceProfile.from_dict(profile.to_dict()) == profile
    assert profile.account_number == "404385912"
    assert profile.origin("0" * 64).source("JNCB/404385912") == "ncb:404385912"


@pytest.mark.parametrize(
    "wrong",
    [
        {"host_key": "ssh-ed25519 not base64 at all"},
        {"host_key": "ssh-rsa " + KEY.split()[1]},
        {"host_key": "x" * 40},
        {"port": 0},
        {"host": ""},
        {"host": "a\x00b"},
        {"include": ["*"] * 21},
    ],
)
def test_a_server_that_cannot_be_reached_safely_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        body(**wrong)


@pytest.mark.parametrize(
    "secret",
    [
        "/pardna/local/other/ncb",
        "/pardna/production/kgn-one/ncb",
        "/pardna/local/kgn-one-2/x",
        "x",
        OWN + " 1",
        OWN + "é",
    ],
)
def test_a_secret_of_somebody_else_is_never_named(secret: str) -> None:
    with pytest.raises(InvalidInput, match=r"source\.secret"):
        body(secret_id=secret).to_profile(TENANT, "local")


def test_a_layout_is_checked_and_kept() -> None:
    columns = {
        "name": "bank-download",
        "currency": "JMD",
        "amounts": {"amount": "Amount"},
        "dates": {"occurred": "Date"},
    }
    profile = body().model_copy(update={"layout": Profile.model_validate(columns)})
    kept = profile.to_profile(TENANT, "local")
    assert SourceProfile.from_dict(kept.to_dict()) == kept
    assert read_profile(kept.layout).amounts.amount == "Amount"
    with pytest.raises(InvalidInput, match=r"source\.format"):
        profile.model_copy(update={"format": "camt"}).to_profile(TENANT, "local")
    fields = {"source_id": "ncb", "provider": "ncb", "channels": ["upload"]}
    with pytest.raises(ValidationError):
        NewSource.model_validate(
            fields | {"layout": columns | {"dates": {"occurred": "D", "zone": "?"}}}
        )


HOOK = {
    "source_id": "shop",
    "provider": "shop",
    "channels": ["webhook"],
    "account": "1",
    "secret_id": f"/pardna/local/{TENANT}/shop",
}


@pytest.mark.parametrize(
    "more",
    [
        {"signature": "gocardless"},
        {"signature": "square", "webhook": {"url": "https://a.example/hook"}},
        {"signature": "paypal", "secret_id": "", "webhook": {"webhook_id": "1JE42"}},
        {"signature": "hmac", "webhook": {"scheme": {"header": "x-sig"}}},
        {"webhook": {"networks": ["192.0.2.0/24", "2001:db8::/32", "198.51.100.7"]}},
    ],
)
def test_webhooks_of_every_kind_are_written_as_they_are_read(more: dict[str, Any]) -> None:
    profile = NewSource.model_validate(HOOK | more).to_profile(TENANT, "local")
    assert SourceProfile.from_dict(profile.to_dict()) == profile


@pytest.mark.parametrize(
    "more",
    [
        {"signature": "none"},
        {"signature": "square"},
        {"signature": "paypal"},
        {"signature": "hmac"},
        {"signature": "stripe", "webhook": {"scheme": {"header": "x-sig"}}},
        {
            "signature": "hmac",
            "webhook": {"scheme": {"header": "x-sig", "signed": ["url", "body"]}},
        },
        {"signature": "gocardless", "secret_id": ""},
    ],
)
def test_a_webhook_that_could_not_be_checked_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=r"source\."):
        NewSource.model_validate(HOOK | more).to_profile(TENANT, "local")


@pytest.mark.parametrize(
    "webhook",
    [
        {"networks": ["192.0.2.1/24"]},
        {"networks": ["everybody"]},
        {"url": "http://a.example/hook"},
        {"webhook_id": "a|b"},
        {"scheme": {"header": "x-sig", "algorithm": "md5"}},
        {"secret": "whsec_1"},
    ],
)
def test_rules_that_are_none_are_refused(webhook: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        NewSource.model_validate(HOOK | {"webhook": webhook})
