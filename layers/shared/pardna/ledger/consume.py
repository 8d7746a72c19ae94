"""Consuming streams: what a batch of records says, and what becomes of a record that says nothing.

A record that cannot be processed is put, whole, on a queue of its own (as a ``record.poisoned``
event) and the batch goes on: a stream's own failure destination would carry a pointer, which dies
with the stream's retention. The queue's messages come back through the same door as redrives.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, Generic, TypeVar

from pardna.ledger.model import COMMITTED, UNMATCHED
from pardna.ledger.ports import Departures, Matches
from pardna.ledger.service import Ledger, Posted, Refused
from pardna.runtime.clock import Clock, iso
from pardna.runtime.errors import InvalidInput
from pardna.runtime.events import RECORD_POISONED, Envelope
from pardna.transactions.recorded import TransactionRecorded

T = TypeVar("T")

#: Whose poison it is when a record does not even tell its tenant.
NOBODY = "platform"
PRINCIPAL = "system:ledger"
#: Matches whose clearing is posted in one database transaction when catching up.
MATCHES_AT_ONCE = 200


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


class _Consumer:
    """Posts batches of stream records, tenant by tenant, and sends poison away."""

    def __init__(self, ledger: Ledger, departures: Departures, clock: Clock) -> None:
        self._ledger = ledger
        self._departures = departures
        self._clock = clock

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


class TransactionConsumer(_Consumer):
    """Posts what was recorded."""

    def consume(self, texts: Sequence[str]) -> Consumed:
        """Post ``transaction.recorded`` envelopes; raises Unavailable to have the batch repeated."""
        records, poison = read_all(texts, _recorded)
        return self._finish("post_transactions", records, poison, self._ledger.post_transactions)

    def post(self, records: Sequence[Record[TransactionRecorded]]) -> Consumed:
        """The same, for records that did not come by the stream."""
        return self._finish("post_transactions", records, [], self._ledger.post_transactions)


class MatchConsumer(_Consumer):
    """Posts what was matched."""

    def __init__(
        self, ledger: Ledger, matches: Matches, departures: Departures, clock: Clock
    ) -> None:
        super().__init__(ledger, departures, clock)
        self._matches = matches

    def consume(self, texts: Sequence[str]) -> Consumed:
        """Post clearing of the matches that records of the match table's stream are about.

        The table is asked for their state of now: images may come twice, late and out of order.
        Raises Unavailable to have the batch repeated.
        """
        names, poison = read_all(texts, _match_name)
        records = []
        for name in {(n.tenant_id, n.value): n for n in names if n.value}.values():
            try:
                match = self._matches.get(name.tenant_id, name.value)
            except InvalidInput as error:
                poison.append(Poison(name.text, name.tenant_id, error.code))
                continue
            if match is not None:
                records.append(Record(name.text, name.tenant_id, name.subject, match))
        return self._finish("post_matches", records, poison, self._ledger.post_matches)

    def catch_up(self, tenant_id: str, since: datetime) -> Posted:
        """Post clearing of every match decided at `since` or later: what the stream lost."""
        new = known = 0
        refused: list[Refused] = []
        states = self._matches.decided_since(tenant_id, since)
        while some := list(islice(states, MATCHES_AT_ONCE)):
            matches = [
                match
                for state in self._ledger.not_posted(tenant_id, PRINCIPAL, some)
                if (match := self._matches.get(tenant_id, state.match_id)) is not None
            ]
            posted = self._ledger.post_matches(tenant_id, PRINCIPAL, matches)
            new, known = new + posted.new, known + posted.known
            refused += posted.refused
        return Posted(new, known, tuple(refused))


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
    """The records of a Kinesis, DynamoDB stream or (redriving) SQS event, as text.

    Bytes that are not UTF-8 become replacement characters, which no envelope survives: poison.
    """
    return [_text_of(record) for record in event.get("Records", ())]


def _text_of(record: Mapping[str, Any]) -> str:
    if "kinesis" in record:
        return base64.b64decode(record["kinesis"]["data"]).decode("utf-8", "replace")
    if "dynamodb" in record:
        return json.dumps(record, sort_keys=True, default=str)
    return unwrapped(record["body"])


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


def _match_name(text: str) -> Record[str]:
    """Which match a record of the match table's stream is about; "" when it is about none."""
    try:
        image = json.loads(text)["dynamodb"].get("NewImage", {})
        kind, status = image.get("kind", {}).get("S"), image.get("status", {}).get("S")
        if kind != "match" or status not in (COMMITTED, UNMATCHED):
            return Record(text, NOBODY, "", "")
        match_id = str(image["match_id"]["S"])
        return Record(text, str(image["tenant_id"]["S"]), match_id, match_id)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidInput("match.unreadable", f"not a record of a match: {error}") from error
