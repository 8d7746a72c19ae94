"""Secrets: remembered for a while, looked up again when there is reason to, at most so often."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from pardna.runtime.errors import NotFound
from pardna.runtime.secrets import CACHE_SECONDS, FRESH_SECONDS, Secrets

NAME = "/pardna/local/t/s/webhook"


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def client() -> Iterator[Any]:
    with mock_aws():
        made = boto3.client("secretsmanager")
        made.create_secret(Name=NAME, SecretString='{"webhook_secret": "one"}')
        yield made


def test_a_rotated_secret_is_used_after_a_while_or_when_it_is_renewed(client: Any) -> None:
    clock = Clock()
    secrets = Secrets(client, clock)
    assert secrets.part(NAME, "webhook_secret") == "one"
    client.put_secret_value(SecretId=NAME, SecretString='{"webhook_secret": "two"}')
    assert secrets.part(NAME, "webhook_secret") == "one"
    clock.now += FRESH_SECONDS - 0.1
    assert not secrets.renew(NAME)
    clock.now += 0.1
    assert secrets.renew(NAME)
    assert secrets.part(NAME, "webhook_secret") == "two"
    client.put_secret_value(SecretId=NAME, SecretString="three")
    clock.now += CACHE_SECONDS
    assert secrets.part(NAME, "webhook_secret") == "three"


def test_what_strangers_cause_is_bounded(client: Any) -> None:
    clock, reads = Clock(), 0
    secrets = Secrets(client, clock)
    secrets.part(NAME, "webhook_secret")
    for _ in range(600):  # a minute of ten wrong signatures a second
        clock.now += 0.1
        if secrets.renew(NAME):
            reads += 1
            secrets.part(NAME, "webhook_secret")
    assert reads <= 60 / FRESH_SECONDS


def test_what_was_never_read_is_not_renewed(client: Any) -> None:
    secrets = Secrets(client)
    assert not secrets.renew(NAME)
    with pytest.raises(NotFound):
        secrets.part("/pardna/local/t/other/webhook", "webhook_secret")
    assert not secrets.renew("/pardna/local/t/other/webhook")
    assert secrets.part(NAME, "other") == ""
