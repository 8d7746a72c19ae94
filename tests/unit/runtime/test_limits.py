"""AWS's limits, enforced at botocore's door."""

from __future__ import annotations

import boto3
import pytest
from moto import mock_aws

from pardna.runtime import limits
from pardna.runtime.limits import LimitExceeded, check_call


@pytest.mark.parametrize(
    ("service", "operation", "parameters"),
    [
        ("dynamodb", "PutItem", {"Item": {"pk": {"S": "x" * 400 * 1024}}}),
        ("dynamodb", "TransactWriteItems", {"TransactItems": [{"Put": {"Item": {}}}] * 101}),
        ("dynamodb", "BatchWriteItem", {"RequestItems": {"t": [{}] * 26}}),
        ("dynamodb", "BatchGetItem", {"RequestItems": {"t": {"Keys": [{}] * 101}}}),
        ("sqs", "SendMessage", {"MessageBody": "é" * 131_073}),
        ("sqs", "SendMessageBatch", {"Entries": [{"MessageBody": "x"}] * 11}),
        ("kinesis", "PutRecord", {"Data": b"x" * 2**20, "PartitionKey": "k"}),
        ("kinesis", "PutRecords", {"Records": [{"Data": b"", "PartitionKey": "k"}] * 501}),
        ("events", "PutEvents", {"Entries": [{"Detail": "x" * 300_000}]}),
        ("stepfunctions", "StartExecution", {"input": "x" * 262_145}),
        ("stepfunctions", "SendTaskSuccess", {"output": "x" * 262_145}),
        ("stepfunctions", "SendTaskFailure", {"error": "x" * 257}),
        ("lambda", "Invoke", {"InvocationType": "Event", "Payload": b"x" * 262_145}),
        ("s3", "PutObject", {"Key": "x" * 1025}),
        ("s3", "PutObject", {"Key": "x", "Metadata": {"a": "x" * 2048}}),
        ("sns", "Publish", {"Message": "x" * 262_145}),
    ],
)
def test_what_aws_would_refuse_is_refused(
    service: str, operation: str, parameters: dict[str, object]
) -> None:
    with pytest.raises(LimitExceeded):
        check_call(service, operation, parameters)


def test_just_below_is_fine() -> None:
    check_call("sqs", "SendMessage", {"MessageBody": "x" * 262_144})
    check_call("dynamodb", "TransactWriteItems", {"TransactItems": [{"Put": {"Item": {}}}] * 100})
    check_call("dynamodb", "Query", {"anything": "x" * 10**6})
    limits.check_state({"a": "x" * 1000})


def test_every_client_of_this_test_run_is_measured() -> None:
    with mock_aws():
        queue = boto3.client("sqs", region_name="us-east-1")
        url = queue.create_queue(QueueName="q")["QueueUrl"]
        with pytest.raises(LimitExceeded):
            queue.send_message(QueueUrl=url, MessageBody="x" * 300_000)


def test_installing_twice_measures_once() -> None:
    from botocore.client import BaseClient

    before = BaseClient._make_api_call
    limits.install()
    assert BaseClient._make_api_call is before


def test_item_sizes_follow_the_published_rule() -> None:
    item = {"pk": {"S": "abc"}, "n": {"N": "12345"}, "m": {"M": {"a": {"S": "é"}}}, "b": {"BOOL": True}}  # fmt: skip
    assert limits.dynamodb_item_size(item) == (2 + 3) + (1 + 4) + (1 + 3 + 1 + 1 + 2) + (1 + 1)
