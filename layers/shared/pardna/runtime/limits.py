"""AWS's limits as code: what would fail in AWS fails on a laptop first.

`install()` wraps botocore's one door (`BaseClient._make_api_call`), so that every call of every
client, pynamodb's included, is measured before it leaves and after it returns. Tests install it
always; deployed functions install it in every stage but production.

Sources: the AWS service quotas pages (Step Functions, DynamoDB, SQS, Kinesis, Lambda, EventBridge,
API Gateway), as of 2025.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

KIB = 1024
MIB = 1024 * KIB

STATE_BYTES_MAX = 256 * KIB
DYNAMODB_ITEM_BYTES_MAX = 400 * KIB
DYNAMODB_TRANSACTION_ITEMS_MAX = 100
DYNAMODB_TRANSACTION_BYTES_MAX = 4 * MIB
DYNAMODB_BATCH_WRITE_MAX = 25
DYNAMODB_BATCH_GET_MAX = 100
SQS_MESSAGE_BYTES_MAX = 256 * KIB
SQS_BATCH_MAX = 10
KINESIS_RECORD_BYTES_MAX = 1 * MIB
KINESIS_BATCH_MAX = 500
KINESIS_BATCH_BYTES_MAX = 5 * MIB
EVENT_BYTES_MAX = 256 * KIB
EVENT_BATCH_MAX = 10
LAMBDA_SYNC_BYTES_MAX = 6 * MIB
LAMBDA_ASYNC_BYTES_MAX = 256 * KIB
LAMBDA_ENVIRONMENT_BYTES_MAX = 4 * KIB
API_PAYLOAD_BYTES_MAX = 10 * MIB
API_SECONDS_MAX = 29
SNS_MESSAGE_BYTES_MAX = 256 * KIB
TASK_ERROR_CHARACTERS_MAX = 256
S3_KEY_BYTES_MAX = 1024


class LimitExceeded(AssertionError):
    """A call or payload that AWS would refuse. Never caught: it is a defect of ours."""


def check(what: str, size: int, maximum: int) -> None:
    """Raise LimitExceeded when `size` is over `maximum`."""
    if size > maximum:
        raise LimitExceeded(f"{what}: {size} is over AWS's limit of {maximum}")


def size_of(value: Any) -> int:
    """Bytes of a value as it travels: text as UTF-8, bytes as they are, anything else as JSON."""
    if value is None:
        return 0
    if isinstance(value, bytes | bytearray):
        return len(value)
    if isinstance(value, str):
        return len(value.encode())
    return len(json.dumps(value, default=str, ensure_ascii=False).encode())


def check_state(payload: Any) -> None:
    """A state machine's input or output, and so every task's result."""
    check("state input or output (bytes)", size_of(payload), STATE_BYTES_MAX)


def check_response(payload: Any) -> None:
    """A function's synchronous response."""
    check("function response (bytes)", size_of(payload), LAMBDA_SYNC_BYTES_MAX)


def dynamodb_item_size(item: Mapping[str, Any]) -> int:
    """Bytes of an item in DynamoDB's wire shape, by AWS's published rule (name plus value)."""
    return sum(len(name.encode()) + _attribute_size(value) for name, value in item.items())


def _attribute_size(attribute: Any) -> int:
    if not isinstance(attribute, Mapping) or len(attribute) != 1:
        return size_of(attribute)
    ((tag, value),) = attribute.items()
    if tag in ("S", "B"):
        return size_of(value)
    if tag == "N":
        return len(str(value)) // 2 + 2
    if tag in ("BOOL", "NULL"):
        return 1
    if tag == "M":
        return 3 + sum(len(k.encode()) + 1 + _attribute_size(v) for k, v in value.items())
    if tag == "L":
        return 3 + sum(1 + _attribute_size(v) for v in value)
    return 3 + sum(size_of(v) for v in value)


def _put_item(p: Mapping[str, Any]) -> None:
    check("DynamoDB item (bytes)", dynamodb_item_size(p.get("Item", {})), DYNAMODB_ITEM_BYTES_MAX)


def _transact(p: Mapping[str, Any]) -> None:
    items = p.get("TransactItems", ())
    check("DynamoDB transaction (items)", len(items), DYNAMODB_TRANSACTION_ITEMS_MAX)
    total = 0
    for action in items:
        if "Put" in action:
            _put_item(action["Put"])
            total += dynamodb_item_size(action["Put"].get("Item", {}))
    check("DynamoDB transaction (bytes)", total, DYNAMODB_TRANSACTION_BYTES_MAX)


def _batch_write(p: Mapping[str, Any]) -> None:
    requests = [r for table in p.get("RequestItems", {}).values() for r in table]
    check("DynamoDB batch write (items)", len(requests), DYNAMODB_BATCH_WRITE_MAX)
    for request in requests:
        _put_item(request.get("PutRequest", {}))


def _batch_get(p: Mapping[str, Any]) -> None:
    keys = sum(len(table.get("Keys", ())) for table in p.get("RequestItems", {}).values())
    check("DynamoDB batch get (items)", keys, DYNAMODB_BATCH_GET_MAX)


def _sqs_send(p: Mapping[str, Any]) -> None:
    check("SQS message (bytes)", size_of(p.get("MessageBody")), SQS_MESSAGE_BYTES_MAX)


def _sqs_batch(p: Mapping[str, Any]) -> None:
    entries = p.get("Entries", ())
    check("SQS batch (messages)", len(entries), SQS_BATCH_MAX)
    check("SQS batch (bytes)", sum(size_of(e.get("MessageBody")) for e in entries), SQS_MESSAGE_BYTES_MAX)  # fmt: skip


def _kinesis_put(p: Mapping[str, Any]) -> None:
    check("Kinesis record (bytes)", size_of(p.get("Data")) + size_of(p.get("PartitionKey")), KINESIS_RECORD_BYTES_MAX)  # fmt: skip


def _kinesis_batch(p: Mapping[str, Any]) -> None:
    records = p.get("Records", ())
    check("Kinesis batch (records)", len(records), KINESIS_BATCH_MAX)
    for record in records:
        _kinesis_put(record)
    check("Kinesis batch (bytes)", sum(size_of(r.get("Data")) for r in records), KINESIS_BATCH_BYTES_MAX)  # fmt: skip


def _events_put(p: Mapping[str, Any]) -> None:
    entries = p.get("Entries", ())
    check("EventBridge batch (events)", len(entries), EVENT_BATCH_MAX)
    check("EventBridge batch (bytes)", sum(size_of(e.get("Detail")) for e in entries), EVENT_BYTES_MAX)  # fmt: skip


def _start_execution(p: Mapping[str, Any]) -> None:
    check_state(p.get("input"))


def _task_success(p: Mapping[str, Any]) -> None:
    check_state(p.get("output"))


def _task_failure(p: Mapping[str, Any]) -> None:
    check("task error (characters)", len(p.get("error", "")), TASK_ERROR_CHARACTERS_MAX)


def _invoke(p: Mapping[str, Any]) -> None:
    asynchronous = p.get("InvocationType") == "Event"
    maximum = LAMBDA_ASYNC_BYTES_MAX if asynchronous else LAMBDA_SYNC_BYTES_MAX
    payload = p.get("Payload")
    if isinstance(payload, str | bytes | bytearray):
        check("function payload (bytes)", size_of(payload), maximum)


def _sns_publish(p: Mapping[str, Any]) -> None:
    check("SNS message (bytes)", size_of(p.get("Message")), SNS_MESSAGE_BYTES_MAX)


def _s3_put(p: Mapping[str, Any]) -> None:
    check("S3 key (bytes)", size_of(p.get("Key")), S3_KEY_BYTES_MAX)
    metadata = p.get("Metadata") or {}
    check("S3 user metadata (bytes)", sum(size_of(k) + size_of(v) for k, v in metadata.items()), 2 * KIB)  # fmt: skip


_RULES: dict[tuple[str, str], Callable[[Mapping[str, Any]], None]] = {
    ("dynamodb", "PutItem"): _put_item,
    ("dynamodb", "TransactWriteItems"): _transact,
    ("dynamodb", "BatchWriteItem"): _batch_write,
    ("dynamodb", "BatchGetItem"): _batch_get,
    ("sqs", "SendMessage"): _sqs_send,
    ("sqs", "SendMessageBatch"): _sqs_batch,
    ("kinesis", "PutRecord"): _kinesis_put,
    ("kinesis", "PutRecords"): _kinesis_batch,
    ("events", "PutEvents"): _events_put,
    ("stepfunctions", "StartExecution"): _start_execution,
    ("stepfunctions", "StartSyncExecution"): _start_execution,
    ("stepfunctions", "SendTaskSuccess"): _task_success,
    ("stepfunctions", "SendTaskFailure"): _task_failure,
    ("lambda", "Invoke"): _invoke,
    ("sns", "Publish"): _sns_publish,
    ("s3", "PutObject"): _s3_put,
}


def check_call(service: str, operation: str, parameters: Mapping[str, Any]) -> None:
    """Raise LimitExceeded when AWS would refuse this call for its size."""
    rule = _RULES.get((service, operation))
    if rule is not None:
        rule(parameters)


def install() -> None:
    """Measure every botocore call of this process from now on; calling it again does nothing."""
    from botocore.client import BaseClient  # heavy: only where asked for

    original = BaseClient._make_api_call  # type: ignore[attr-defined]
    if getattr(original, "measures_limits", False):
        return

    def measured(self: Any, operation_name: str, api_params: dict[str, Any]) -> Any:
        service = str(self.meta.service_model.service_name)
        check_call(service, operation_name, api_params)
        return original(self, operation_name, api_params)

    measured.measures_limits = True  # type: ignore[attr-defined]
    BaseClient._make_api_call = measured  # type: ignore[attr-defined]
