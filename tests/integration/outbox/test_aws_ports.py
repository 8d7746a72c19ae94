"""The ports against an emulated AWS: partial failures, poison, waits, and the handlers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest
from moto import mock_aws

from pardna.outbox.aws import PartsPort, PoisonPort, QueuePort, StreamPort, TopicPort, WaitPort
from pardna.runtime.errors import Unavailable
from pardna.runtime.events import Envelope
from pardna.transactions.lake import PartMessage
from tests.fakes.outbox import CollectingWaits
from tests.support.outbox import an_envelope


@pytest.fixture
def aws() -> Iterator[None]:
    with mock_aws():
        yield


def messages(client: Any, url: str) -> list[Envelope]:
    found: list[Envelope] = []
    while got := client.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        found += [Envelope.from_json(m["Body"]) for m in got]
        for m in got:
            client.delete_message(QueueUrl=url, ReceiptHandle=m["ReceiptHandle"])
    return found


@pytest.mark.usefixtures("aws")
def test_a_stream_takes_any_number_of_events() -> None:
    client = boto3.client("kinesis")
    client.create_stream(StreamName="transactions", ShardCount=2)
    said = [an_envelope(f"s-{i}") for i in range(501)]
    assert StreamPort(client, "transactions").send(said) == []
    records = []
    for shard in client.list_shards(StreamName="transactions")["Shards"]:
        iterator = client.get_shard_iterator(
            StreamName="transactions",
            ShardId=shard["ShardId"],
            ShardIteratorType="TRIM_HORIZON",
        )["ShardIterator"]
        records += client.get_records(ShardIterator=iterator)["Records"]
    assert {json.loads(r["Data"])["subject"] for r in records} == {e.subject for e in said}
    assert all(r["PartitionKey"] == json.loads(r["Data"])["key"] for r in records)


class Throttling:
    """The edge: a Kinesis that takes every second record of a call, `times` times."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.taken: list[bytes] = []

    def put_records(self, StreamName: str, Records: list[dict[str, Any]]) -> dict[str, Any]:
        results = []
        for i, record in enumerate(Records):
            refused = self.times > 0 and i % 2 == 0
            if not refused:
                self.taken.append(record["Data"])
            results.append(
                {"ErrorCode": "ProvisionedThroughputExceededException"} if refused else {}
            )
        self.times -= 1
        return {"Records": results}


def test_only_throttled_records_are_sent_again() -> None:
    client, pauses = Throttling(2), list[float]()
    said = [an_envelope(f"s-{i}") for i in range(5)]
    assert StreamPort(client, "transactions", pauses.append).send(said) == []
    assert len(client.taken) == len(set(client.taken)) == 5
    assert pauses == sorted(pauses)


def test_what_stays_throttled_is_handed_back() -> None:
    said = [an_envelope(f"s-{i}") for i in range(2)]
    assert StreamPort(Throttling(99), "transactions", lambda _: None).send(said) == [said[0]]


@pytest.mark.usefixtures("aws")
def test_a_stream_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(Unavailable):
        StreamPort(boto3.client("kinesis"), "nothing").send([an_envelope()])


@pytest.mark.usefixtures("aws")
def test_queues_take_batches_and_poison_goes_to_its_consumers_queue() -> None:
    client = boto3.client("sqs")
    urls = {n: client.create_queue(QueueName=n)["QueueUrl"] for n in ("notify", "poison")}
    said = [an_envelope(f"s-{i}", "notification.requested") for i in range(23)]
    assert QueuePort(client, urls["notify"]).send(said) == []
    assert {e.subject for e in messages(client, urls["notify"])} == {e.subject for e in said}

    port = PoisonPort({"match_online": QueuePort(client, urls["poison"])})
    ours = an_envelope("a", "record.poisoned", consumer="match_online", record="x")
    nobodys = an_envelope("b", "record.poisoned", consumer="who", record="x")
    assert port.send([ours, nobodys]) == [nobodys]
    assert messages(client, urls["poison"]) == [ours]


def test_waits_are_signalled_and_an_unreadable_signal_holds_up_no_other() -> None:
    waits = CollectingWaits()
    good = an_envelope("a", "wait.signalled", subject="payment:1", outcome={"outcome": "paid"})
    bad = an_envelope("b", "wait.signalled", subject=3)
    assert WaitPort(waits).send([bad, good]) == [bad]
    assert waits.signals == [("kgn-one", "payment:1", {"outcome": "paid"})]


def an_alert(subject: str) -> Envelope:
    data = {"subject": subject, "message": "Look"}
    return replace(an_envelope("quality:2026-01-31", "alert.raised"), data=data)


@pytest.mark.usefixtures("aws")
def test_an_alert_reaches_whoever_listens_to_the_topic() -> None:
    topic = boto3.client("sns").create_topic(Name="alarms")["TopicArn"]
    url = boto3.client("sqs").create_queue(QueueName="ears")["QueueUrl"]
    arn = "arn:aws:sqs:us-east-1:123456789012:ears"
    boto3.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    alert = an_alert("Line 1\nLine 2é")
    assert TopicPort(boto3.client("sns"), topic).send([alert]) == []
    (heard,) = boto3.client("sqs").receive_message(QueueUrl=url)["Messages"]
    body = json.loads(heard["Body"])
    assert (body["Subject"], body["Message"]) == ("Line 1?Line 2?", "Look")


@pytest.mark.usefixtures("aws")
def test_an_alert_that_nobody_takes_stays() -> None:
    gone = "arn:aws:sns:us-east-1:123456789012:gone"
    alert = an_alert("s")
    assert TopicPort(boto3.client("sns"), gone).send([alert]) == [alert]


@pytest.mark.usefixtures("aws")
def test_something_in_parts_is_one_message_for_each_part() -> None:
    sqs = boto3.client("sqs")
    url = sqs.create_queue(QueueName="parts")["QueueUrl"]
    staged = an_envelope("f" * 64, "delivery.staged", raw_sha256="f" * 64, parts=23)

    assert PartsPort(sqs, url).send([staged]) == []
    parts = []
    while found := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
        parts += [PartMessage.from_json(m["Body"]) for m in found]
    assert sorted(p.part for p in parts) == list(range(1, 24))
    assert {(p.tenant_id, p.raw_sha256, p.parts) for p in parts} == {("kgn-one", "f" * 64, 23)}


def test_parts_of_which_one_was_not_taken_are_sent_again() -> None:
    class Refusing:
        def send_message_batch(self, **_: Any) -> dict[str, Any]:
            return {"Failed": [{"Id": "2"}]}

    staged = an_envelope("f" * 64, "delivery.staged", raw_sha256="f" * 64, parts=3)
    assert PartsPort(Refusing(), "url").send([staged]) == [staged]


@pytest.mark.usefixtures("aws")
def test_parts_for_a_queue_that_is_not_there_are_unavailable() -> None:
    staged = an_envelope("f" * 64, "delivery.staged", raw_sha256="f" * 64, parts=3)
    with pytest.raises(Unavailable):
        PartsPort(boto3.client("sqs"), "http://localhost/1/none").send([staged])
