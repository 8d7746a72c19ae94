"""Ingestion as deployed, in one process: real PostgreSQL, emulated AWS, real handlers."""

from __future__ import annotations

import base64
import gc
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import psycopg
import pytest
from moto import mock_aws

from functions.ingestion import normalise_object, register_source
from functions.webhooks import capture_webhook
from pardna.database.session import Database
from pardna.identity import wiring as identity
from pardna.ingestion import quality_wiring, store_wiring, wiring
from pardna.outbox import wiring as outbox
from pardna.payments import wiring as payments
from pardna.runtime import clients
from pardna.runtime.settings import settings
from tests.support.handlers import Context, a_request
from tests.support.ingestion import SECRET, SECRET_ID, TENANT, stripe_signature
from tests.support.outbox import make_directory_table, make_outbox_table
from tests.support.postgres import TestDatabase

ADMIN = "admin-sub"
STRIPE = {
    "source_id": "stripe",
    "provider": "stripe",
    "channels": ["webhook", "poll"],
    "account": "acct_1",
    "secret_id": SECRET_ID,
}
BANK = {
    "source_id": "ncb",
    "provider": "ncb",
    "channels": ["sftp"],
    "account": "404385912",
    "currency": "JMD",
    "sftp": {
        "host": "127.0.0.1",
        "user": "pardna",
        "host_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5",
        "secret_id": f"/pardna/local/{TENANT}/ncb",
    },
}


class Deployed:
    """The functions of ingestion, and a look behind them."""

    def __init__(self, database: TestDatabase) -> None:
        self.database = database
        self.s3 = boto3.client("s3")
        self.dynamodb = boto3.client("dynamodb")

    def register(self, body: dict[str, Any], principal: str = ADMIN) -> dict[str, Any]:
        event = a_request(json.dumps(body), path={"tenant_id": TENANT}, principal=principal)
        return register_source.handler(event, Context())

    def webhook(
        self,
        body: bytes,
        *,
        signature: str | None = None,
        as_base64: bool = False,
        source_id: str = "stripe",
    ) -> dict[str, Any]:
        signed = stripe_signature(body, at=datetime.now(UTC)) if signature is None else signature
        text = base64.b64encode(body).decode() if as_base64 else body.decode()
        event = a_request(
            text,
            path={"tenant_id": TENANT, "source_id": source_id},
            headers={"Stripe-Signature": signed, "Content-Type": "application/json"},
            base64=as_base64,
        )
        return capture_webhook.handler(event, Context())

    def keys(self) -> list[str]:
        return [o["Key"] for o in self.s3.list_objects_v2(Bucket="raw").get("Contents", [])]

    def normalise(self, *keys: str) -> list[dict[str, str]]:
        records = [
            {
                "messageId": key,
                "body": json.dumps({"id": "e-1", "detail": {"object": {"key": key}}}),
            }
            for key in keys or self.keys()
        ]
        answer = normalise_object.handler({"Records": records}, Context())
        return list(answer["batchItemFailures"])

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.database.superuser_conninfo) as connection:
            return connection.execute(query.encode()).fetchall()

    @property
    def departures(self) -> int:
        return len(self.dynamodb.scan(TableName="outbox")["Items"])


@pytest.fixture
def deployed(database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployed]:
    """Everything that stands before a first webhook: a tenant, its admin, its secrets."""
    caches = [
        f
        for module in (wiring, store_wiring, quality_wiring, outbox, identity, payments)
        for f in vars(module).values()
        if hasattr(f, "cache_clear")
    ] + [settings, clients.client]
    with mock_aws():
        home = Deployed(database)
        monkeypatch.setenv("RAW_BUCKET", "raw")
        monkeypatch.setenv("LAKE_BUCKET", "lake")
        monkeypatch.setenv("OUTBOX_TABLE", make_outbox_table(home.dynamodb))
        monkeypatch.setenv("DIRECTORY_TABLE", make_directory_table(home.dynamodb))
        monkeypatch.setenv("DATABASE_URL", database.runtime_conninfo)
        home.s3.create_bucket(Bucket="raw")
        home.s3.create_bucket(Bucket="lake")
        boto3.client("secretsmanager").create_secret(
            Name=f"{SECRET_ID}/webhook", SecretString=json.dumps({"webhook_secret": SECRET})
        )
        for cached in caches:
            cached.cache_clear()
        identity.tenancy().create_tenant("root", frozenset({"platform"}), identity_tenant(), ADMIN)
        yield home
        close_databases()
        for cached in caches:
            cached.cache_clear()


def close_databases() -> None:
    """Whatever wiring has opened, however deep it holds it."""
    for one in gc.get_objects():
        if type(one) is Database:
            one.close()


def identity_tenant() -> Any:
    from pardna.identity.model import Tenant

    return Tenant(TENANT, "Kingston One")
