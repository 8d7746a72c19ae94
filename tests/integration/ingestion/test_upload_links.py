"""The form that sends a file, against an object store that holds senders to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
import urllib3
from botocore.config import Config

from pardna.ingestion.model import RawKey, sha256
from pardna.ingestion.s3 import S3RawStore
from pardna.ingestion.s3_arrivals import S3Arrivals
from pardna.ingestion.s3_links import S3UploadLinks
from pardna.ingestion.upload_model import UploadLink
from tests.support.home import laptop_home
from tests.support.ingestion import TENANT, a_receipt

pytestmark = pytest.mark.home
KEY = f"uploads/{TENANT}/bns/{'0' * 32}"
DATA = b"date,amount\n"


@pytest.fixture(scope="module")
def s3() -> Iterator[Any]:
    with laptop_home(deploy=False) as home:
        client = boto3.client(
            "s3",
            endpoint_url=home.endpoint_url,
            region_name="us-east-1",
            config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
        )
        for bucket in ("arrivals", "raw"):
            client.create_bucket(Bucket=bucket)
        yield client


def send(link: UploadLink, data: bytes, **changes: str) -> int:
    fields = {**link.fields, **changes, "file": ("a.csv", data)}
    with urllib3.PoolManager() as pool:
        answer = pool.request("POST", link.url, fields=fields, retries=False)
        return int(answer.status)


def test_a_file_of_the_announced_size_arrives_under_its_key(s3: Any) -> None:
    link = S3UploadLinks(s3, "arrivals").link(KEY, len(DATA), 60)
    assert send(link, DATA) in (200, 201, 204)
    assert s3.get_object(Bucket="arrivals", Key=KEY)["Body"].read() == DATA


@pytest.mark.parametrize(
    ("data", "seconds", "changes"),
    [
        (DATA + b"x", 60, {}),
        (DATA[:-1], 60, {}),
        (b"", 60, {}),
        (DATA, -60, {}),
        (DATA, 60, {"key": f"uploads/kgn-two/bns/{'0' * 32}"}),
        (DATA, 60, {"x-amz-meta-source": "stripe"}),
    ],
    ids=["longer", "shorter", "empty", "expired", "elsewhere", "more fields"],
)
def test_anything_else_is_refused_by_the_store_itself(  # signatures the emulator does not check
    s3: Any, data: bytes, seconds: int, changes: dict[str, str]
) -> None:
    key = KEY[:-1] + "1"
    link = S3UploadLinks(s3, "arrivals").link(key, len(DATA), seconds)
    assert send(link, data, **changes) in (400, 403)
    assert s3.list_objects_v2(Bucket="arrivals", Prefix=key).get("KeyCount", 0) == 0
    assert s3.list_objects_v2(Bucket="arrivals", Prefix="uploads/kgn-two").get("KeyCount", 0) == 0


def test_pieces_become_one_object_inside_of_the_store_and_only_once(s3: Any) -> None:
    """What moto cannot show: copies that compare, and a completion that replaces nothing."""
    arrivals, raw = S3Arrivals(s3, "arrivals", "raw"), S3RawStore(s3, "raw")
    pieces = [b"\x01" * 6_000_000, b"\x02" * 6_000_000, b"end"]
    parts = [arrivals.keep(TENANT, "a", n, data) for n, data in enumerate(pieces, start=1)]
    whole = b"".join(pieces)
    key = RawKey(TENANT, sha256(whole))
    assert arrivals.hand_over(TENANT, key.raw_sha256, parts, a_receipt()).created
    assert raw.get(key)[0] == whole
    assert not arrivals._joined(key, parts, a_receipt()), "it replaced what was there"
    arrivals.keep(TENANT, "a", 1, b"\x09" * 6_000_000)
    other = RawKey(TENANT, sha256(b"other"))
    with pytest.raises(Exception, match=r"arrival\.not_found"):
        arrivals._joined(other, parts, a_receipt())
    assert s3.list_objects_v2(Bucket="raw", Prefix=str(other)).get("KeyCount", 0) == 0
