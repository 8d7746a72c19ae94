"""DynamoDB tables as the template makes them, in moto."""

from __future__ import annotations

from typing import Any


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
