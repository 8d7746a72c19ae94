"""The two functions, in-process, with a real database and an emulated AWS."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from functions.outbox import publish_outbox, relay_outbox
from pardna.outbox import wiring
from pardna.runtime import clients
from pardna.runtime.settings import settings
from pardna.transactions.postgres import PostgresTransactionStore
from tests.contract.transactions.test_store import TENANT, batch, charge
from tests.support.handlers import Context
from tests.support.outbox import make_directory_table, make_outbox_table
from tests.support.postgres import TestDatabase

EVENTS = Path(__file__).resolve().parents[3] / "events" / "outbox"


@pytest.fixture
def deployed(database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with mock_aws():
        dynamodb = boto3.client("dynamodb")
        monkeypatch.setenv("OUTBOX_TABLE", make_outbox_table(dynamodb))
        monkeypatch.setenv("DIRECTORY_TABLE", make_directory_table(dynamodb))
        monkeypatch.setenv("DATABASE_URL", database.runtime_conninfo)
        dynamodb.put_item(
            TableName="directory",
            Item={
                "pk": {"S": f"TENANT#{TENANT}"},
                "sk": {"S": "HEAD"},
                "tenant_id": {"S": TENANT},
            },
        )
        caches = (settings, clients.client, wiring.relay, wiring.publisher, wiring.departures)
        for cached in caches:
            cached.cache_clear()
        yield dynamodb
        wiring.relay().events._database.close()  # type: ignore[attr-defined]
        for cached in caches:
            cached.cache_clear()


def test_recorded_transactions_leave_the_database_once(
    deployed: Any, database: TestDatabase
) -> None:
    store = PostgresTransactionStore(database.session())
    store.record(TENANT, "p", batch(charge("ch_1"), charge("ch_2")))
    event = json.loads((EVENTS / "relay_outbox.scheduled.json").read_text())
    assert relay_outbox.handler(event, Context()) == {"moved_count": 2}
    assert relay_outbox.handler(event, Context()) == {"moved_count": 0}
    assert len(deployed.scan(TableName="outbox")["Items"]) == 2


def test_a_stream_batch_is_published_and_a_schedule_finds_nothing_left(
    deployed: Any, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("normalise", "stage_delivery", "record_part", "post_delivery", "match_delivery", "charge_card", "notification", "post_transactions_poison", "match_online_poison", "post_matches_poison"):  # fmt: skip
        url = boto3.client("sqs").create_queue(QueueName=name)["QueueUrl"]
        monkeypatch.setenv(f"{name}_queue_url".upper(), url)
    boto3.client("kinesis").create_stream(StreamName="transactions", ShardCount=1)
    monkeypatch.setenv("TRANSACTIONS_STREAM", "transactions")
    topic = boto3.client("sns").create_topic(Name="alarms")["TopicArn"]
    monkeypatch.setenv("ALARM_TOPIC_ARN", topic)
    monkeypatch.setattr(wiring, "_waits", lambda: None)
    settings.cache_clear()

    event = json.loads((EVENTS / "publish_outbox.stream.json").read_text())
    assert publish_outbox.handler(event, Context()) == {"sent_count": 1, "batchItemFailures": []}
