"""Whatever stands in a request about sources, uploads, quarantine and profiles: never our failure."""

from __future__ import annotations

import importlib
from collections.abc import Iterator

import boto3
import pytest

from pardna.ingestion.dynamodb import DynamoSources
from tests.support.deployed import deployed, join, sample
from tests.support.ingestion import a_bank_source
from tests.support.odd import failures
from tests.support.postgres import TestDatabase

OURS = "harbour"
WHO = "11111111-1111-4111-8111-111111111111"
ACCOUNT = "us-east-1:123456789012"
#: Samples, and what their queries may say.
SAMPLES = {
    "change_source.disable": (),
    "change_source.schedule": (),
    "correct_quarantined.correct": (),
    "correct_quarantined.discard": (),
    "list_deliveries.refused": ("cursor", "limit", "status", "source_id"),
    "list_profiles.request": ("cursor", "limit", "name"),
    "list_quarantine.open": ("cursor", "limit", "status", "source_id", "code", "raw_sha256"),
    "list_sources.first_page": ("cursor", "limit"),
    "register_source.bank": (),
    "register_source.stripe": (),
    "replay_deliveries.window": (),
    "rotate_secret.stripe": (),
    "save_profile.sample": (),
    "show_source.stripe": (),
    "show_upload.one": (),
    "start_upload.statement": (),
    "try_profile.sample": (),
}


@pytest.fixture
def town(database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    environment = {
        "RAW_BUCKET": "raw",
        "LAKE_BUCKET": "lake",
        "ARRIVALS_BUCKET": "arrivals",
        "SOURCE_SCHEDULE_GROUP": "sources",
        "SOURCE_SCHEDULE_ROLE_ARN": "arn:aws:iam::123456789012:role/r",
        "FAILED_INVOCATIONS_QUEUE_ARN": f"arn:aws:sqs:{ACCOUNT}:q",
        "POLL_PROVIDER_ARN": f"arn:aws:lambda:{ACCOUNT}:function:poll",
        "PULL_FILES_ARN": f"arn:aws:lambda:{ACCOUNT}:function:pull",
        "FETCH_MAIL_ARN": f"arn:aws:lambda:{ACCOUNT}:function:fetch",
    }
    with deployed(database, monkeypatch, **environment):
        for bucket in ("raw", "lake", "arrivals"):
            boto3.client("s3").create_bucket(Bucket=bucket)
        boto3.client("scheduler").create_schedule_group(Name="sources")
        join(WHO, "operator", tenant_id=OURS)
        join("eve", "operator", tenant_id="rival-union")
        for source_id in ("ncb", "stripe"):
            known = a_bank_source(tenant_id=OURS, source_id=source_id, channels=("sftp", "upload"))
            DynamoSources(boto3.client("dynamodb"), "directory").put(known)
        yield


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_no_value_anywhere_is_a_failure_of_ours(town: None, name: str) -> None:
    event = sample("ingestion", name)
    event["pathParameters"] |= {"tenant_id": OURS}
    event["requestContext"]["authorizer"] = {"claims": {"sub": WHO, "token_use": "id"}}
    function = importlib.import_module(f"functions.ingestion.{name.partition('.')[0]}")
    assert failures(function.handler, event, SAMPLES[name]) == []
