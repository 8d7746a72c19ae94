"""What every list of uploads does: the fake and DynamoDB alike."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import boto3
import pytest
from moto import mock_aws

from pardna.ingestion.dynamodb_uploads import DynamoUploads
from pardna.ingestion.upload_model import Upload, UploadState
from pardna.ingestion.upload_ports import Uploads
from pardna.runtime.errors import Conflict, InvalidInput, NotFound, Unavailable
from tests.fakes.ingestion import MemoryUploads
from tests.support.ingestion import NOON, TENANT
from tests.support.tables import workflow_table

UPLOAD = Upload(
    TENANT, "bns", "0" * 31 + "1", "größe.csv", 7, "sub-1", NOON + timedelta(seconds=900)
)
RECEIVED = replace(
    UPLOAD, state=UploadState.RECEIVED, raw_sha256="a" * 64, etag='"e"', received_at=NOON
)


@pytest.fixture(params=["memory", "dynamodb"])
def uploads(request: pytest.FixtureRequest) -> Iterator[Uploads]:
    if request.param == "memory":
        yield MemoryUploads()
        return
    with mock_aws():
        client = boto3.client("dynamodb")
        yield DynamoUploads(client, workflow_table(client))


def test_an_upload_comes_back_whole(uploads: Uploads) -> None:
    uploads.announce(UPLOAD)
    assert uploads.get(TENANT, UPLOAD.upload_id) == UPLOAD
    assert uploads.settle(RECEIVED) == RECEIVED
    assert uploads.get(TENANT, UPLOAD.upload_id) == RECEIVED


def test_an_id_is_announced_once(uploads: Uploads) -> None:
    uploads.announce(UPLOAD)
    with pytest.raises(Conflict):
        uploads.announce(UPLOAD)


def test_what_came_first_stays(uploads: Uploads) -> None:
    uploads.announce(UPLOAD)
    others = [replace(RECEIVED, raw_sha256=f"{n:064x}") for n in range(8)]
    with ThreadPoolExecutor(8) as pool:
        settled = set(pool.map(uploads.settle, others))
    assert len(settled) == 1
    refused = replace(UPLOAD, state=UploadState.REFUSED, code="upload.size")
    assert {uploads.settle(refused)} == settled


def test_another_tenants_is_not_there(uploads: Uploads) -> None:
    uploads.announce(UPLOAD)
    with pytest.raises(NotFound):
        uploads.get("kgn-two", UPLOAD.upload_id)
    with pytest.raises(NotFound):
        uploads.settle(replace(RECEIVED, tenant_id="kgn-two"))


def test_an_odd_id_is_none() -> None:
    for odd in ("", "x", "A" * 32, "0" * 33, "../" + "0" * 29):
        with pytest.raises(InvalidInput):
            replace(UPLOAD, upload_id=odd)


def test_a_table_that_is_not_there_is_unavailable() -> None:
    with mock_aws(), pytest.raises(Unavailable):
        DynamoUploads(boto3.client("dynamodb"), "nothing").get(TENANT, UPLOAD.upload_id)
