"""DynamoDB tables as the template makes them, in moto."""

from __future__ import annotations

import functools
import threading
from typing import Any

from moto.dynamodb.responses import DynamoHandler

_ITEM_LOCK = threading.RLock()


def _one_at_a_time() -> None:
    """DynamoDB decides a conditional write atomically; moto checks first and writes afterwards, so
    that two threads can both win. One lock around its calls gives back what DynamoDB promises."""
    original = DynamoHandler.call_action
    if getattr(original, "is_serialised", False):
        return

    @functools.wraps(original)
    def call_action(self: Any) -> Any:
        with _ITEM_LOCK:
            return original(self)

    call_action.is_serialised = True  # type: ignore[attr-defined]
    DynamoHandler.call_action = call_action  # type: ignore[method-assign]


_one_at_a_time()


def create_table(client: Any, name: str, **indexes: tuple[str, str]) -> str:
    """A table with ``pk`` and ``sk`` and an index per keyword: ``pending=("pending_pk", ...)``."""
    attributes = {"pk", "sk", *(a for pair in indexes.values() for a in pair)}
    extra: dict[str, Any] = {}
    if indexes:
        extra["GlobalSecondaryIndexes"] = [
            {
                "IndexName": index,
                "KeySchema": [
                    {"AttributeName": hash_key, "KeyType": "HASH"},
                    {"AttributeName": range_key, "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            }
            for index, (hash_key, range_key) in indexes.items()
        ]
    client.create_table(
        TableName=name,
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": a, "AttributeType": "S"} for a in sorted(attributes)
        ],
        BillingMode="PAY_PER_REQUEST",
        **extra,
    )
    return name


def workflow_table(client: Any, name: str = "workflow") -> str:
    """The table of approvals, waits and attempts."""
    return create_table(client, name, pending=("pending_pk", "pending_sk"))
