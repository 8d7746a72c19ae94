"""The way back from a dead-letter or poison queue: taken is gone, failed is still there, whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from pardna.runtime import clients
from pardna.runtime.errors import RefusedByRule
from pardna.runtime.queue import refuse_what_stays_poison
from pardna.runtime.redrive import main, redrive


@pytest.fixture
def sqs() -> Iterator[Any]:
    with mock_aws():
        clients.client.cache_clear()
        yield boto3.client("sqs", region_name="us-east-1")
    clients.client.cache_clear()


def queue(sqs: Any, name: str, *bodies: str) -> str:
    url = str(sqs.create_queue(QueueName=name)["QueueUrl"])
    for body in bodies:
        sqs.send_message(QueueUrl=url, MessageBody=body)
    return url


def held(sqs: Any, url: str) -> list[str]:
    found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    return sorted(message["Body"] for message in found)


def test_what_fails_again_stays_and_can_be_seen_at_once(sqs: Any) -> None:
    url = queue(sqs, "poison", "good", "bad", "good too")
    done = redrive(sqs, url, lambda body: body != "bad")
    assert (done.taken, done.stayed) == (2, 1)
    assert held(sqs, url) == ["bad"]


def test_a_crash_in_between_loses_nothing(sqs: Any) -> None:
    url = queue(sqs, "poison", "one", "two")

    def crash(body: str) -> bool:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        redrive(sqs, url, crash)
    counts = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    visible = int(counts["ApproximateNumberOfMessages"])
    assert visible + int(counts["ApproximateNumberOfMessagesNotVisible"]) == 2


def test_messages_go_back_to_the_queue_they_came_from(
    sqs: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    dead, live = queue(sqs, "dead", "a", "b"), queue(sqs, "live")
    assert main([dead, "--queue-url", live]) == 0
    assert (held(sqs, dead), held(sqs, live)) == ([], ["a", "b"])
    assert capsys.readouterr().out == "2 taken, 0 stayed\n"


def test_only_a_redrive_of_poison_is_refused() -> None:
    refuse_what_stays_poison({"Records": [{"kinesis": {}}]}, 1)
    refuse_what_stays_poison({"Records": [{"body": "x"}]}, 0)
    with pytest.raises(RefusedByRule, match=r"record\.still_poison"):
        refuse_what_stays_poison({"Records": [{"body": "x"}]}, 1)
