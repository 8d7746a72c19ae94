"""``pardna redrive``: the way back from a dead-letter or poison queue.

Messages go, one at a time, to the function that could not process them or to the queue they came
from. A message is deleted only after it was taken; what fails again stays, whole, where it was.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pardna.runtime.clients import client

#: While a message is being tried nobody else gets it; a function has at most 15 minutes.
HIDDEN_SECONDS = 900


@dataclass(frozen=True, slots=True)
class Message:
    """One message: its text and the receipt that deletes it."""

    body: str
    receipt: str


@dataclass(frozen=True, slots=True)
class Redriven:
    """How many messages were taken, and how many stayed."""

    taken: int
    stayed: int


def redrive(sqs: Any, queue_url: str, deliver: Callable[[str], bool]) -> Redriven:
    """Try every message of a queue once, in the order it gives them.

    `deliver` says whether a body was taken. Messages that stayed are shown again to whoever looks
    once all have been tried.
    """
    taken, stayed = 0, list[Message]()
    try:
        for message in _messages(sqs, queue_url):
            if deliver(message.body):
                sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message.receipt)
                taken += 1
            else:
                stayed.append(message)
    finally:
        for message in stayed:
            sqs.change_message_visibility(
                QueueUrl=queue_url, ReceiptHandle=message.receipt, VisibilityTimeout=0
            )
    return Redriven(taken, len(stayed))


def _messages(sqs: Any, queue_url: str) -> Iterator[Message]:
    while True:
        answer = sqs.receive_message(
            QueueUrl=queue_url,
            MaxNumberOfMessages=1,
            VisibilityTimeout=HIDDEN_SECONDS,
            WaitTimeSeconds=1,
        )
        if not answer.get("Messages"):
            return
        for message in answer["Messages"]:
            yield Message(message["Body"], message["ReceiptHandle"])


def to_function(lambda_client: Any, name: str) -> Callable[[str], bool]:
    """Deliver to a function, as an event of one SQS message; a failure of any kind is a no."""

    def deliver(body: str) -> bool:
        record = {"messageId": "redrive", "eventSource": "aws:sqs", "body": body}
        answer = lambda_client.invoke(
            FunctionName=name, Payload=json.dumps({"Records": [record]}).encode()
        )
        result = json.loads(answer["Payload"].read() or b"null")
        return not answer.get("FunctionError") and not (result or {}).get("batchItemFailures")

    return deliver


def to_queue(sqs: Any, queue_url: str) -> Callable[[str], bool]:
    """Deliver to a queue."""

    def deliver(body: str) -> bool:
        sqs.send_message(QueueUrl=queue_url, MessageBody=body)
        return True

    return deliver


def main(arguments: Sequence[str]) -> int:
    """Run it. Exit status: 0 the queue is empty, 1 something stayed."""
    parser = argparse.ArgumentParser(
        prog="pardna redrive", description=__doc__.partition("\n\n")[2] if __doc__ else ""
    )
    parser.add_argument("queue", metavar="QUEUE_URL", help="the dead-letter or poison queue")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--function", metavar="NAME", help="the function to try again")
    where.add_argument("--queue-url", metavar="URL", help="the queue to send them back to")
    options = parser.parse_args(arguments)
    sqs = client("sqs")
    if options.function:
        deliver = to_function(client("lambda"), options.function)
    else:
        deliver = to_queue(sqs, options.queue_url)
    done = redrive(sqs, options.queue, deliver)
    sys.stdout.write(f"{done.taken} taken, {done.stayed} stayed\n")
    if done.stayed:
        sys.stdout.write("What stayed failed again: the function's log says why.\n")
    return 1 if done.stayed else 0
