"""Large deliveries reach the ledger part by part, straight from the database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from pardna.ledger.consume import Consumed, Record, TransactionConsumer
from pardna.transactions.lake import PartMessage, from_lines
from pardna.transactions.recorded import TransactionRecorded

#: Transactions posted in one database transaction.
POSTED_AT_ONCE = 1_000


class Parts(Protocol):
    """See `pardna.transactions.bulk.PartFiles`."""

    def get(self, key: str) -> bytes:
        """Raises NotFound, Unavailable."""
        ...


class Heads(Protocol):
    """Transactions as they stand."""

    def heads(self, tenant_id: str, transaction_ids: Sequence[str]) -> list[TransactionRecorded]:
        """Those that are recorded, each with the version before it; others are left out."""
        ...


class PostDelivery:
    """Posts what a part of a large delivery recorded.

    What a part names is asked of the database, which knows what counts and how it stands; journals'
    keys make a repetition, also of half a part, change nothing.
    """

    def __init__(self, parts: Parts, heads: Heads, consumer: TransactionConsumer) -> None:
        self._parts = parts
        self._heads = heads
        self._consumer = consumer

    def post(self, message: PartMessage) -> Consumed:
        """Post a part, `POSTED_AT_ONCE` by that. Raises NotFound, Unavailable: try again."""
        ids = sorted(row.transaction_id for row in from_lines(self._parts.get(message.staged_key)))
        records = new = known = poisoned = 0
        for start in range(0, len(ids), POSTED_AT_ONCE):
            some = self._heads.heads(message.tenant_id, ids[start : start + POSTED_AT_ONCE])
            done = self._consumer.post([_record(r, message.correlation_id) for r in some])
            records, new = records + done.records, new + done.new
            known, poisoned = known + done.known, poisoned + done.poisoned
        return Consumed(records, new, known, poisoned)


def _record(recorded: TransactionRecorded, correlation_id: str) -> Record[TransactionRecorded]:
    """As the stream would have brought it, for the day when the ledger refuses it."""
    at = recorded.transaction.occurred_at.isoformat()
    text = recorded.to_envelope(at, correlation_id).to_json()
    return Record(text, recorded.transaction.tenant_id, recorded.transaction_id, recorded)
