"""What every store of arrivals does: the fake and S3's alike."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from moto import mock_aws

from pardna.ingestion.model import RawKey, sha256
from pardna.ingestion.ports import RawStore, StoredPart
from pardna.ingestion.s3 import S3RawStore
from pardna.ingestion.s3_arrivals import S3Arrivals, _sources
from pardna.runtime.errors import NotFound, Unavailable
from tests.fakes.ingestion import MemoryArrivals, MemoryRawStore
from tests.support.ingestion import TENANT, a_receipt, keys_of

PIECES = [b"\x01" * 6_000_000, b"\x02" * 6_000_000, b"the end"]
WHOLE = b"".join(PIECES)


@dataclass
class World:
    arrivals: Any
    raw: RawStore
    put: Any


@pytest.fixture(params=["memory", "s3"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    if request.param == "memory":
        raw = MemoryRawStore()
        fake = MemoryArrivals(raw)
        yield World(fake, raw, fake.put)
        return
    with mock_aws():
        client = boto3.client("s3")
        for bucket in ("raw", "arrivals"):
            client.create_bucket(Bucket=bucket)
        arrivals = S3Arrivals(client, "arrivals", "raw")

        def put(key: str, data: bytes) -> Any:
            client.put_object(Bucket="arrivals", Key=key, Body=data)
            return arrivals.find(key)

        yield World(arrivals, S3RawStore(client, "raw"), put)


def keep_all(world: World, arrival: str = "a" * 64) -> list[Any]:
    return [
        world.arrivals.keep(TENANT, arrival, number, data)
        for number, data in enumerate(PIECES, start=1)
    ]


def test_pieces_are_found_in_order_up_to_the_first_that_is_missing(world: World) -> None:
    kept = keep_all(world)
    world.arrivals.keep(TENANT, "a" * 64, 5, b"x")
    assert world.arrivals.pieces(TENANT, "a" * 64) == kept
    assert world.arrivals.pieces(TENANT, "b" * 64) == []
    assert world.arrivals.pieces("kgn-two", "a" * 64) == []
    assert b"".join(b for part in kept for b in world.arrivals.read(part)) == WHOLE


def test_the_same_piece_again_replaces_it(world: World) -> None:
    world.arrivals.keep(TENANT, "a", 1, b"half")
    longer = world.arrivals.keep(TENANT, "a", 1, b"half and half")
    assert world.arrivals.pieces(TENANT, "a") == [longer]


@pytest.mark.parametrize("pieces", [PIECES, PIECES[2:], [b""]], ids=["large", "small", "empty"])
def test_parts_become_one_raw_object_whole_and_once(world: World, pieces: list[bytes]) -> None:
    data = b"".join(pieces)
    parts = [world.arrivals.keep(TENANT, "a", n, d) for n, d in enumerate(pieces, start=1)]
    digest = hashlib.sha256(data).hexdigest()
    first = world.arrivals.hand_over(TENANT, digest, parts, a_receipt())
    again = world.arrivals.hand_over(TENANT, digest, parts, a_receipt())
    assert (first.raw_sha256, first.created, again.created) == (digest, True, False)
    back, receipt = world.raw.get(RawKey(TENANT, digest))
    assert back == data
    assert (receipt.source_id, receipt.name) == ("ncb", "a.xml")
    assert len(keys_of(world.raw)) == 1
    world.arrivals.hand_over(TENANT, digest, parts, a_receipt(name="b.xml"))
    assert [bool(k.receipt) for k in keys_of(world.raw)] == [False, True]


def test_parts_that_changed_since_they_were_hashed_are_not_handed_over(world: World) -> None:
    part = world.arrivals.keep(TENANT, "a", 1, b"hashed")
    world.arrivals.keep(TENANT, "a", 1, b"others")
    with pytest.raises(NotFound):
        world.arrivals.hand_over(TENANT, sha256(b"hashed"), [part], a_receipt())
    with pytest.raises(NotFound):
        list(world.arrivals.read(part))
    assert keys_of(world.raw) == []


def test_large_parts_are_copied_only_while_they_are_what_was_hashed() -> None:
    """By S3, which is asked to compare; moto does not."""
    mib = 1024**2
    parts = [StoredPart("a", 6_000_000, '"1"'), StoredPart("b", 200 * mib, '"2"')]
    asked = list(_sources("arrivals", parts))
    assert [s["CopySourceIfMatch"] for s in asked] == ['"1"', '"2"', '"2"']
    ranges = [s["CopySourceRange"] for s in asked]
    whole = [f"bytes=0-{128 * mib - 1}", f"bytes={128 * mib}-{200 * mib - 1}"]
    assert ranges == ["bytes=0-5999999", *whole]


def test_one_large_object_is_handed_over_as_well(world: World) -> None:
    part = world.put("uploads/x", WHOLE)
    captured = world.arrivals.hand_over(TENANT, sha256(WHOLE), [part], a_receipt())
    assert world.raw.get(RawKey(TENANT, captured.raw_sha256))[0] == WHOLE
    with pytest.raises(NotFound):
        world.arrivals.find("uploads/y")


def test_what_was_fetched_is_remembered_for_each_source(world: World) -> None:
    for _ in range(2):
        world.arrivals.mark_fetched(TENANT, "ncb", "a" * 64)
    assert world.arrivals.fetched(TENANT, "ncb") == {"a" * 64}
    assert world.arrivals.fetched(TENANT, "nc") == set()
    assert world.arrivals.fetched("kgn-two", "ncb") == set()


def test_of_many_at_once_one_hands_over(world: World) -> None:
    parts = keep_all(world)
    with ThreadPoolExecutor(4) as pool:
        captured = list(
            pool.map(
                lambda _: world.arrivals.hand_over(TENANT, sha256(WHOLE), parts, a_receipt()),
                range(4),
            )
        )
    assert world.raw.get(RawKey(TENANT, sha256(WHOLE)))[0] == WHOLE
    assert any(c.created for c in captured)


def test_a_bucket_that_is_not_there_is_unavailable() -> None:
    with mock_aws():
        arrivals = S3Arrivals(boto3.client("s3"), "nothing", "raw")
        for act in (
            lambda: arrivals.keep(TENANT, "a", 1, b"x"),
            lambda: arrivals.fetched(TENANT, "ncb"),
        ):
            with pytest.raises(Unavailable):
                act()
