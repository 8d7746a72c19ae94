"""What every shelf of reports does, the fake one and S3 alike."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from botocore.config import Config
from moto import mock_aws

from pardna.reporting.links import ReportLinks, round_number
from pardna.reporting.ports import Shelf
from pardna.runtime.errors import InvalidInput, NotFound
from pardna.runtime.s3_shelf import S3Shelf
from tests.fakes.shelf import MemoryShelf

BUCKET = "packs"
KEY = "reports/acme/cir-1/round-1/report.html"


def s3() -> object:
    return boto3.client("s3", region_name="us-east-1", config=Config(signature_version="s3v4"))


@pytest.fixture(params=["memory", "s3"])
def shelf(request: pytest.FixtureRequest) -> Iterator[Shelf]:
    if request.param == "memory":
        yield MemoryShelf()
        return
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket=BUCKET)
        client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        yield S3Shelf(s3(), BUCKET)


def test_the_same_bytes_again_are_not_written(shelf: Shelf) -> None:
    assert shelf.put(KEY, b"one", "text/html") is True
    assert shelf.put(KEY, b"one", "text/html") is False
    assert shelf.put(KEY, b"two", "text/html") is True
    assert shelf.put(KEY, b"one", "text/html") is True, "what lies there now decides"


def test_a_link_names_the_report_and_its_life(shelf: Shelf) -> None:
    shelf.put(KEY, b"one", "text/html")

    link = shelf.link(KEY, 300)

    assert KEY in link
    assert "300" in link


def test_there_is_no_link_to_what_was_not_written(shelf: Shelf) -> None:
    with pytest.raises(NotFound) as caught:
        shelf.link(KEY, 300)
    assert caught.value.code == "report.not_written"


@mock_aws
def test_s3_keeps_one_version_of_equal_bytes_with_type_and_no_caching() -> None:
    client = boto3.client("s3", region_name="us-east-1")
    client.create_bucket(Bucket=BUCKET)
    client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    shelf = S3Shelf(s3(), BUCKET)
    shelf.put(KEY, b"one", "text/html; charset=utf-8")
    shelf.put(KEY, b"one", "text/html; charset=utf-8")

    versions = client.list_object_versions(Bucket=BUCKET)["Versions"]
    head = client.head_object(Bucket=BUCKET, Key=KEY)

    assert len(versions) == 1
    assert head["ContentType"] == "text/html; charset=utf-8"
    assert head["CacheControl"] == "private, no-store"


@mock_aws
def test_a_link_is_signed_with_version_4_and_expires() -> None:
    boto3.client("s3", region_name="us-east-1").create_bucket(Bucket=BUCKET)
    shelf = S3Shelf(s3(), BUCKET)
    shelf.put(KEY, b"one", "text/html")

    query = parse_qs(urlsplit(shelf.link(KEY, 300)).query)

    assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert query["X-Amz-Expires"] == ["300"]


def test_links_know_html_and_csv_only_and_keep_to_the_tenants_folder() -> None:
    shelf = MemoryShelf()
    shelf.put("reports/acme/cir-1/round-1/report.csv", b"x", "text/csv")
    links = ReportLinks(shelf)

    assert links.link("acme", "cir-1", 1, "csv").seconds == 300
    with pytest.raises(InvalidInput):
        links.link("acme", "cir-1", 1, "../../other")
    with pytest.raises(NotFound):
        links.link("other", "cir-1", 1, "csv")


@pytest.mark.parametrize("given", ["1", 1, "99"])
def test_a_round_number_is_a_small_whole_number(given: str | int) -> None:
    assert round_number(given) == int(given)


@pytest.mark.parametrize("given", ["", "0", "100", "-1", "1.5", "one", "²", "1/../2"])
def test_anything_else_is_not(given: str) -> None:
    with pytest.raises(InvalidInput):
        round_number(given)
