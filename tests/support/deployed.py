"""Handlers as they are deployed: settings from an environment, an emulated AWS, a real database."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from pardna.database import session
from tests.support.postgres import TestDatabase
from tests.support.tables import create_table, workflow_table

ROOT = Path(__file__).resolve().parents[2]
CONFIG: Any = {
    "stepfunctions": {"execute_state_machine": True},
    "lambda": {"use_docker": False},
}


@contextmanager
def deployed(
    database: TestDatabase, monkeypatch: pytest.MonkeyPatch, **environment: str
) -> Iterator[None]:
    """Tables, a bucket, and every process-wide cache of the product empty before and after."""
    shared = database.session()
    with mock_aws(config=CONFIG):
        dynamodb = boto3.client("dynamodb")
        boto3.client("s3").create_bucket(Bucket="packs")
        names = {
            "DATABASE_URL": database.runtime_conninfo,
            "WORKFLOW_TABLE": workflow_table(dynamodb),
            "IDEMPOTENCY_TABLE": create_table(dynamodb, "idempotency"),
            "DIRECTORY_TABLE": create_table(dynamodb, "directory"),
            "OUTBOX_TABLE": create_table(dynamodb, "outbox", unsent=("unsent_pk", "unsent_sk")),
            "PACKS_BUCKET": "packs",
            "NOTIFICATION_SENDER": "receipts@example.com",
        }
        for name, value in (names | environment).items():
            monkeypatch.setenv(name, value)
        # One database for all, so that the test can close what the handlers opened.
        monkeypatch.setattr(session, "from_settings", lambda _: shared)
        _forget()
        try:
            yield
        finally:
            _forget()
            shared.close()


def _forget() -> None:
    """Empty the caches of settings, clients and composition roots."""
    for name, module in list(sys.modules.items()):
        if name.startswith("pardna.") and name.endswith(("wiring", ".settings", ".clients")):
            for value in list(vars(module).values()):
                if hasattr(value, "cache_clear"):
                    value.cache_clear()


def sample(area: str, name: str) -> dict[str, Any]:
    """A sample event: ``sample("circles", "open_round.first")``."""
    event: dict[str, Any] = json.loads((ROOT / "events" / area / f"{name}.json").read_text())
    return event


def join(principal: str, *roles: str, tenant_id: str = "harbour") -> None:
    """Make somebody a member of a tenant."""
    from pardna.identity.dynamodb import DynamoDirectory
    from pardna.identity.model import Membership, Tenant
    from pardna.identity.model import roles as roles_of

    directory = DynamoDirectory(boto3.client("dynamodb"), "directory")
    member = Membership(tenant_id, principal, roles_of(list(roles)))
    if directory.tenant(tenant_id) is None:
        directory.open_tenant(Tenant(tenant_id, "Harbour Savings"), member, "2026-01-01")
    directory.put_membership(member, principal, "2026-01-01")


def register(source_id: str, **profile: Any) -> None:
    """Write a source's profile, as registering does."""
    from pardna.ingestion.dynamodb import DynamoSources
    from pardna.ingestion.model import SftpPlace, SourceProfile

    if "sftp" in profile:
        profile["sftp"] = SftpPlace(**profile["sftp"])
    given = {"tenant_id": "harbour", "source_id": source_id} | profile
    DynamoSources(boto3.client("dynamodb"), "directory").put(SourceProfile(**given))
