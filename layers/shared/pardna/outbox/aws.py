"""Where events go: a Kinesis stream, SQS queues, and state machines that wait."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pardna.outbox.dynamodb import aws_answers
from pardna.outbox.ports import Waits
from pardna.runtime.errors import InvalidInput, PardnaError
from pardna.runtime.events import Envelope
from pardna.runtime.limits import (
    KINESIS_BATCH_BYTES_MAX,
    KINESIS_BATCH_MAX,
    SQS_BATCH_MAX,
    SQS_MESSAGE_BYTES_MAX,
)
from pardna.runtime.observability import count, logger

_ATTEMPTS = 4
_PAUSE_SECONDS = 0.1


class StreamPort:
    """Events on a Kinesis stream, by their key. Records that it throttles are sent again."""

    def __init__(
        self, client: Any, stream: str, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._client = client
        self._stream = stream
        self._sleep = sleep

    def send(self, envelopes: Sequence[Envelope]) -> list[Envelope]:
        """See `Port`."""
        left: list[Envelope] = []
        for batch in _batches(envelopes, KINESIS_BATCH_MAX, KINESIS_BATCH_BYTES_MAX):
            left += self._send(batch)
        return left

    def _send(self, batch: list[Envelope]) -> list[Envelope]:
        for attempt in range(_ATTEMPTS):
            if attempt:
                self._sleep(_PAUSE_SECONDS * 2**attempt)
            with aws_answers("the stream"):
                answer = self._client.put_records(
                    StreamName=self._stream,
                    Records=[{"Data": e.to_json().encode(), "PartitionKey": e.key} for e in batch],
                )
            batch = [
                e
                for e, result in zip(batch, answer["Records"], strict=True)
                if result.get("ErrorCode")
            ]
            if not batch:
                break
        return batch


class QueuePort:
    """Events on an SQS queue, the envelope as the message."""

    def __init__(self, client: Any, queue_url: str) -> None:
        self._client = client
        self._queue_url = queue_url

    def send(self, envelopes: Sequence[Envelope]) -> list[Envelope]:
        """See `Port`."""
        left: list[Envelope] = []
        for batch in _batches(envelopes, SQS_BATCH_MAX, SQS_MESSAGE_BYTES_MAX):
            with aws_answers("the queue"):
                answer = self._client.send_message_batch(
                    QueueUrl=self._queue_url,
                    Entries=[
                        {"Id": str(i), "MessageBody": e.to_json()} for i, e in enumerate(batch)
                    ],
                )
            left += [batch[int(failed["Id"])] for failed in answer.get("Failed", ())]
        return left


class PartsPort:
    """One event about something in parts, as one message for each part.

    A message is the event's ``data`` with ``part`` (from one to ``data.parts``), ``tenant_id`` and
    ``correlation_id``. When one fails all are sent again, which consumers expect.
    """

    def __init__(self, client: Any, queue_url: str) -> None:
        self._client = client
        self._queue_url = queue_url

    def send(self, envelopes: Sequence[Envelope]) -> list[Envelope]:
        """See `Port`."""
        return [e for e in envelopes if not self._send(e)]

    def _send(self, envelope: Envelope) -> bool:
        said = {
            **envelope.data,
            "tenant_id": envelope.tenant_id,
            "correlation_id": envelope.correlation_id,
        }
        parts = range(1, int(envelope.data["parts"]) + 1)
        for start in range(0, len(parts), SQS_BATCH_MAX):
            entries = [
                {"Id": str(part), "MessageBody": json.dumps(said | {"part": part}, sort_keys=True)}
                for part in parts[start : start + SQS_BATCH_MAX]
            ]
            with aws_answers("the queue"):
                answer = self._client.send_message_batch(QueueUrl=self._queue_url, Entries=entries)
            if answer.get("Failed"):
                return False
        return True


class PoisonPort:
    """Records that a consumer could not process, each on that consumer's own queue.

    ``data.consumer`` names it as the function is called (``post_transactions``); what names no
    known consumer stays in the outbox, where it is counted.
    """

    def __init__(self, queues: Mapping[str, QueuePort]) -> None:
        self._queues = queues

    def send(self, envelopes: Sequence[Envelope]) -> list[Envelope]:
        """See `Port`."""
        left = []
        for envelope in envelopes:
            queue = self._queues.get(str(envelope.data.get("consumer", "")))
            if queue is None:
                logger.info("Poison for nobody", event_id=envelope.event_id)
                left.append(envelope)
            else:
                left += queue.send([envelope])
        return left


class TopicPort:
    """Alerts for people on an SNS topic; ``data`` is ``{"subject": ..., "message": ...}``."""

    def __init__(self, client: Any, topic_arn: str) -> None:
        self._client = client
        self._topic_arn = topic_arn

    def send(self, envelopes: Sequence[Envelope]) -> list[Envelope]:
        """See `Port`. A topic has no memory: an alert that is sent again is heard again."""
        left = []
        for envelope in envelopes:
            subject = str(envelope.data.get("subject", ""))
            try:
                with aws_answers("the topic"):
                    self._client.publish(
                        TopicArn=self._topic_arn,
                        Subject="".join(c if " " <= c <= "~" else "?" for c in subject)[:100]
                        or "Pardna",
                        Message=str(envelope.data.get("message", "")),
                    )
            except PardnaError as error:
                logger.info("Alert not sent", error_code=error.code)
                left.append(envelope)
        return left


class WaitPort:
    """Signals for state machines that wait; ``data`` is ``{"subject": ..., "outcome": {...}}``."""

    def __init__(self, waits: Waits) -> None:
        self._waits = waits

    def send(self, envelopes: Sequence[Envelope]) -> list[Envelope]:
        """See `Port`. One signal that fails does not hold up the others."""
        left = []
        for envelope in envelopes:
            try:
                subject, outcome = envelope.data.get("subject"), envelope.data.get("outcome")
                if not isinstance(subject, str) or not isinstance(outcome, Mapping):
                    raise InvalidInput("wait.unreadable", "a signal has a subject and an outcome")
                self._waits.signal(envelope.tenant_id, subject, outcome)
            except PardnaError as error:
                logger.info("Wait not signalled", error_code=error.code)
                count("WaitNotSignalled")
                left.append(envelope)
        return left


def _batches(
    envelopes: Sequence[Envelope], count_max: int, bytes_max: int
) -> Iterator[list[Envelope]]:
    """Split so that neither the number nor the bytes of a batch exceed what AWS takes."""
    batch: list[Envelope] = []
    size = 0
    for envelope in envelopes:
        weight = len(envelope.to_json().encode()) + len(envelope.key.encode())
        if batch and (len(batch) == count_max or size + weight > bytes_max):
            yield batch
            batch, size = [], 0
        batch.append(envelope)
        size += weight
    if batch:
        yield batch
