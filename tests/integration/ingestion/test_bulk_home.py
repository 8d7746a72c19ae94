"""A large file through the deployed home: queues, functions and layers as they are in AWS."""

from __future__ import annotations

import hashlib
import time

import psycopg
import pytest

from benchmarks.api import post, sign_in, subject_of
from local.home import Home
from tests.integration.ingestion.test_bulk import report

pytestmark = pytest.mark.home
PATIENCE_S = 240


def a_tenant(home: Home, tenant: str) -> None:
    """With a card account whose reports are uploaded."""
    platform, operator = sign_in(home, "platform"), sign_in(home)
    post(home, platform, "/tenants", {"tenant_id": tenant, "name": "Bulk"})
    member: dict[str, object] = {"principal": subject_of(operator), "roles": ["operator"]}
    post(home, platform, f"/tenants/{tenant}/memberships", member)
    source: dict[str, object] = {
        "source_id": "stripe",
        "provider": "stripe",
        "channels": ["upload"],
        "account": "acct_1",
    }
    post(home, operator, f"/tenants/{tenant}/sources", source)


def test_a_large_report_becomes_canonical_and_is_posted(home: Home) -> None:
    tenant, rows = "bulk-home", 11_000
    a_tenant(home, tenant)
    data = report(rows)
    digest = hashlib.sha256(data).hexdigest()
    home.client("s3").put_object(
        Bucket=home.outputs["RawBucket"],
        Key=f"raw/{tenant}/{digest}",
        Body=data,
        Metadata={"source": "stripe", "channel": "upload", "name": "report.csv"},
    )
    query = (
        "SELECT (SELECT count(*) FROM platform.transactions WHERE tenant_id = %(t)s),"
        " (SELECT count(*) FROM ledger.journals WHERE tenant_id = %(t)s),"
        " (SELECT count(*) FROM platform.deliveries WHERE tenant_id = %(t)s)"
    )
    until = time.monotonic() + PATIENCE_S
    found: tuple[int, ...] | None = None
    with psycopg.connect(home.database_superuser_url, autocommit=True) as connection:
        while time.monotonic() < until and found != (rows, rows, 1):
            found = connection.execute(query, {"t": tenant}).fetchone()
            time.sleep(1)
    assert found == (rows, rows, 1)
    parts = home.client("s3").list_objects_v2(
        Bucket=home.outputs["LakeBucket"], Prefix=f"lake/transactions/{tenant}/{digest}/"
    )["Contents"]
    assert len(parts) == 2
