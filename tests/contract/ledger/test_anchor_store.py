"""Anchors are kept once for each tenant and day: the fake, and S3."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta

import boto3
import pytest
from moto import mock_aws

from pardna.ledger.anchor import Anchor, AnchorStore
from pardna.ledger.s3_anchor import S3Anchors
from pardna.runtime.errors import Unavailable
from tests.fakes.anchors import Shelf

DAY = date(2026, 11, 21)


@pytest.fixture(params=["memory", "s3"])
def store(request: pytest.FixtureRequest) -> Iterator[AnchorStore]:
    if request.param == "memory":
        yield Shelf()
        return
    with mock_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket="raw")
        yield S3Anchors(client, "raw")


def test_an_anchor_is_kept_once(store: AnchorStore) -> None:
    first = Anchor("acme", DAY, 7, "ab" * 32)
    assert store.get("acme", DAY) is None
    assert store.put_once(first)
    assert not store.put_once(replace(first, height=8))
    assert not store.put_once(replace(first))
    assert store.get("acme", DAY) == first


def test_tenants_and_days_have_their_own(store: AnchorStore) -> None:
    first = Anchor("acme", DAY, 7, "ab" * 32)
    others = [replace(first, tenant_id="other"), replace(first, day=DAY + timedelta(days=1))]
    assert all(store.put_once(anchor) for anchor in [first, *others])
    assert [store.get(a.tenant_id, a.day) for a in [first, *others]] == [first, *others]


def test_a_bucket_that_is_not_there_is_no_answer() -> None:
    with mock_aws():
        store = S3Anchors(boto3.client("s3"), "nowhere")
        with pytest.raises(Unavailable):
            store.put_once(Anchor("acme", DAY, 7, "ab" * 32))
        with pytest.raises(Unavailable):
            store.get("acme", DAY)
