"""Envelopes and the outbox table for tests."""

from __future__ import annotations

from typing import Any

from pardna.runtime.events import Envelope


def an_envelope(
    subject: str = "s-1", event_type: str = "transaction.recorded", /, **data: Any
) -> Envelope:
    """An event of tenant ``kgn-one``."""
    return Envelope(
        event_type=event_type,
        tenant_id="kgn-one",
        subject=subject,
        key=subject,
        occurred_at="2026-01-31T12:00:00.000Z",
        correlation_id="c-1",
        data=data,
    )


def make_outbox_table(client: Any, name: str = "outbox") -> str:
    """The table as template.yaml declares it."""
    client.create_table(
        TableName=name,
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": n, "AttributeType": "S"}
            for n in ("pk", "sk", "unsent_pk", "unsent_sk")
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "unsent",
                "KeySchema": [
                    {"AttributeName": "unsent_pk", "KeyType": "HASH"},
                    {"AttributeName": "unsent_sk", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    return name


def make_directory_table(client: Any, name: str = "directory") -> str:
    """The table as template.yaml declares it."""
    client.create_table(
        TableName=name,
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[{"AttributeName": n, "AttributeType": "S"} for n in ("pk", "sk")],
        BillingMode="PAY_PER_REQUEST",
    )
    return name
