"""Consuming streams: what a batch of records says, and what becomes of a record that says nothing.

A record that cannot be processed is put, whole, on a queue of its own (as a ``record.poisoned``
event) and the batch goes on: a stream's own failure destination would carry a pointer, which dies
with the stream's retention. The queue's messages come back through the same door as redrives.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pardna.ledger.ports import Departures
from pardna.ledger.service import Ledger, MatchEvent, Posted
from pardna.runtime.clock import Clock, iso
from pardna.runtime.errors import InvalidInput
from pardna.runtime.events import RECORD_POISONED, Envelope
from pardna.transactions.recorded import TransactionRecorded

T = TypeVar("T")

#: Whose poison it is when a record does not even tell its tenant.
NOBODY = "platform"
PRINCIPAL = "system:ledger"


@dataclass(frozen=True, slots=True)
class Record(Generic[T]):
    """One record: its exact text, and what it says."""

    text: str
    tenant_id: str
    subject: str
    value: T


@dataclass(frozen=True, slots=True)
class Poison:
    """A record that cannot be processed, with the reason."""

    text: str
    tenant_id: str
    code: str


@dataclass(frozen=True, slots=True)
class Consumed:
    """What a batch came to; counts for logs and metrics."""

    records: int
    new: int
    known: int
    poisoned: int


class Consumer:
    """Posts batches of stream records and sends poison away."""

    def __init__(self, ledger: Ledger, departures: Departures, clock: Clock) -> None:
        self._ledger = ledger
        self._departures = departures
        self._clock = clock

    def post_transactions(self, texts: Sequence[str]) -> Consumed:
        """Post ``transaction.recorded`` envelopes; raises Unavailable to have the batch repeated."""
        records, poison = read_all(texts, _recorded)
        return self._finish("post_transactions", records, poison, self._ledger.post_transactions)

    def post_matches(self, records: Sequence[Record[MatchEvent]]) -> Consumed:
        """Post clearing of matches; raises Unavailable to have the batch repeated."""
        return self._finish("post_matches", records, [], self._ledger.post_matches)

    def _finish(
        self,
        consumer: str,
        records: Sequence[Record[T]],
        poison: list[Poison],
        post: Callable[[str, str, Sequence[T]], Posted],
    ) -> Consumed:
        new = known = 0
        for tenant_id in sorted({record.tenant_id for record in records}):
            ours = [record for record in records if record.tenant_id == tenant_id]
            posted = post(tenant_id, PRINCIPAL, [record.value for record in ours])
            new, known = new + posted.new, known + posted.known
            refused = {refusal.subject: refusal.refusal for refusal in posted.refused}
            poison += [
                Poison(record.text, tenant_id, f"ledger.{refused[record.subject]}")
                for record in ours
                if record.subject in refused
            ]
        if poison:
            self._departures.depart([self._envelope(consumer, p) for p in poison])
        return Consumed(len(records) + len(poison), new, known, len(poison))

    def _envelope(self, consumer: str, poison: Poison) -> Envelope:
        digest = hashlib.sha256(poison.text.encode()).hexdigest()
        return Envelope(
            event_type=RECORD_POISONED,
            tenant_id=poison.tenant_id,
            subject=f"{consumer}:{digest}",
            key=digest,
            occurred_at=iso(self._clock()),
            correlation_id=digest[:32],
            data={"consumer": consumer, "record": poison.text, "code": poison.code},
        )


def read_all(
    texts: Sequence[str], read: Callable[[str], Record[T]]
) -> tuple[list[Record[T]], list[Poison]]:
    """Records that say something, and those that do not."""
    records, poison = [], []
    for text in texts:
        try:
            records.append(read(text))
        except InvalidInput as error:
            poison.append(Poison(text, NOBODY, error.code))
    return records, poison


def texts_of(event: Mapping[str, Any]) -> list[str]:
    """The records of a Kinesis event or of a redriving SQS event, as text.

    Bytes that are not UTF-8 become replacement characters, which no envelope survives: poison.
    """
    return [
        base64.b64decode(record["kinesis"]["data"]).decode("utf-8", "replace")
        if "kinesis" in record
        else unwrapped(record["body"])
        for record in event.get("Records", ())
    ]


def unwrapped(body: str) -> str:
    """The record inside a poison queue's message; the message itself if it is not one."""
    try:
        envelope = Envelope.from_json(body)
    except InvalidInput:
        return body
    if envelope.event_type != RECORD_POISONED:
        return body
    return str(envelope.data.get("record", body))


def _recorded(text: str) -> Record[TransactionRecorded]:
    recorded = TransactionRecorded.from_envelope(Envelope.from_json(text))
    return Record(text, recorded.transaction.tenant_id, recorded.transaction_id, recorded)
