"""What listing and sweeping cost, counted in calls: as much with ten thousand objects as with ten."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import boto3
import psycopg
import pytest
from moto import mock_aws
from moto.s3.models import s3_backends

from pardna.ingestion.deliveries import ListDeliveries
from pardna.ingestion.deliveries_postgres import PostgresDeliveryShelf
from pardna.ingestion.model import RawKey
from pardna.ingestion.normalise import Normalised, NormaliseObject
from pardna.ingestion.pending_postgres import PostgresPendingBook
from pardna.ingestion.s3 import S3RawStore
from pardna.ingestion.sweep import SweepRaw
from pardna.transactions.ports import DeliveryStatus
from pardna.transactions.postgres import PostgresTransactionStore
from tests.fakes.outbox import FixedTenants
from tests.support.counted import counted_calls
from tests.support.ingestion import TENANT, a_receipt
from tests.support.postgres import TestDatabase

PAGES = 4


class Seen(NormaliseObject):
    """Notes what it is asked to normalise, and leaves it at that."""

    seen: list[RawKey]

    def normalise(self, key: RawKey, correlation_id: str, replay_id: str = "") -> Normalised:
        self.seen.append(key)
        return Normalised(DeliveryStatus.ACCEPTED)


@pytest.fixture
def bucket() -> Iterator[str]:
    with mock_aws():
        boto3.client("s3").create_bucket(Bucket="raw")
        yield "raw"


def fill(count: int, database: TestDatabase, forgotten: int) -> set[RawKey]:
    """`count` objects, of which `forgotten` have no delivery, spread over all."""
    digests = [hashlib.sha256(b"%d" % n).hexdigest() for n in range(count)]
    backend = s3_backends["123456789012"]["aws"]
    for digest in digests:
        backend.put_object("raw", f"raw/{TENANT}/{digest}", b"")
    lost = set(digests[:: max(1, count // forgotten)])
    with psycopg.connect(database.superuser_conninfo) as connection:
        connection.execute(
            "INSERT INTO platform.deliveries (tenant_id, source_id, channel, name, raw_sha256,"
            " received_at, status) SELECT %s, 'ncb', 'sftp', 'a.xml', digest, now(), 'accepted'"
            " FROM unnest(%s::text[]) AS digest",
            (TENANT, [d for d in digests if d not in lost]),
        )
    return {RawKey(TENANT, digest) for digest in lost}


@pytest.mark.parametrize("count", [10, 10_000])
def test_calls_of_a_sweep_are_bounded_and_nothing_is_left_out(
    bucket: str, database: TestDatabase, count: int
) -> None:
    lost = fill(count, database, 10)
    raw = S3RawStore(boto3.client("s3"), bucket)
    store = PostgresTransactionStore(database.session())
    normaliser = object.__new__(Seen)
    object.__setattr__(normaliser, "seen", [])
    sweeper = SweepRaw(
        raw,
        store,
        normaliser,
        PostgresPendingBook(database.session()),
        FixedTenants(TENANT),
        lambda: datetime.now(UTC) + timedelta(hours=1),
        PAGES,
    )
    for _ in range(-(-count // (1_000 * PAGES))):
        with counted_calls("s3") as calls:
            sweeper.sweep("c-1")
        assert set(calls) == {"ListObjectsV2"}
        assert len(calls) <= PAGES
    assert set(normaliser.seen) == lost
    assert len(normaliser.seen) == len(lost)


@pytest.mark.parametrize("count", [10, 10_000])
def test_listing_what_is_pending_asks_the_object_store_nothing(
    bucket: str, database: TestDatabase, count: int
) -> None:
    fill(count, database, 10)
    pending = PostgresPendingBook(database.session())
    for digit in "abc":
        pending.begin(RawKey(TENANT, digit * 64), a_receipt())
    listed = ListDeliveries(PostgresDeliveryShelf(database.session()))
    with counted_calls("s3") as calls:
        page = listed.page(TENANT, "", "pending", "", 50)
    assert calls == []
    assert sorted(d["raw_sha256"][0] for d in page["deliveries"]) == ["a", "b", "c"]


def test_deliveries_are_found_by_their_bytes_through_an_index(database: TestDatabase) -> None:
    with psycopg.connect(database.superuser_conninfo) as connection:
        connection.execute("SET enable_seqscan = off")
        rows = connection.execute(
            "EXPLAIN SELECT FROM platform.deliveries WHERE tenant_id = 't' AND raw_sha256 = 'x'"
        ).fetchall()
    assert "deliveries_by_bytes" in " ".join(row[0] for row in rows)
