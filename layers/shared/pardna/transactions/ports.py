"""What the rest of the product asks of the transaction store.

What the store announces is `pardna.transactions.recorded.TransactionRecorded`: one envelope per
new version, written to the outbox in the transaction that made the version true.

`circles` records its internal transactions inside its own database transaction with
`pardna.transactions.postgres.record_in(connection, tenant_id, transactions, ...)`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Protocol

from pardna.transactions.model import Transaction


class Outcome(StrEnum):
    """What recording did: made version 1, the next version, nothing, or refused to."""

    NEW = "new"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Recorded:
    """`transaction` as it stands after recording (merged); `reason` is given when refused."""

    transaction: Transaction
    version: int
    outcome: Outcome
    reason: str = ""

    @property
    def transaction_id(self) -> str:
        """The identity; see `model.transaction_id`."""
        return self.transaction.transaction_id


class DeliveryStatus(StrEnum):
    """What became of one receipt of bytes."""

    ACCEPTED = "accepted"
    ACCEPTED_WITH_WARNINGS = "accepted_with_warnings"
    QUARANTINED = "quarantined"
    REFUSED = "refused"
    DUPLICATE = "duplicate"


#: What is said of bytes that came before under another name.
COPY = "file.duplicate"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One receipt: which bytes, from which source, by which channel, and what became of them.

    `problems` are JSON objects ``{code, position, reason}`` without personal data. `event_id` is
    what the provider calls the event; only its first delivery that counts has an effect.
    """

    source_id: str
    channel: str
    name: str
    raw_sha256: str
    received_at: datetime
    status: DeliveryStatus
    format: str = ""
    entries_count: int = 0
    problems: tuple[Mapping[str, Any], ...] = ()
    event_id: str = ""

    @property
    def counts(self) -> bool:
        """Something of it was recorded; such a delivery never falls back."""
        return self.status in (DeliveryStatus.ACCEPTED, DeliveryStatus.ACCEPTED_WITH_WARNINGS)

    @property
    def is_copy(self) -> bool:
        """Known bytes under another name: it does not say that they were ever read."""
        return self.status is DeliveryStatus.DUPLICATE and any(
            p.get("code") == COPY for p in self.problems
        )


def of_known_event() -> Mapping[str, Any]:
    """What is said of a delivery whose event other bytes told of before."""
    return {
        "code": "event.duplicate",
        "position": "file",
        "reason": "this event was received before, in other bytes",
        "severity": "error",
    }


@dataclass(frozen=True, slots=True)
class StatementRecord:
    """An account statement's figures in minor units, as read; `ties` is computed, never claimed."""

    source: str
    statement_id: str
    currency: str
    opening_minor: int | None
    closing_minor: int | None
    entries_minor: int
    entries_count: int
    raw_sha256: str
    sequence_number: str = ""
    from_date: date | None = None
    to_date: date | None = None

    @property
    def ties(self) -> bool:
        """Opening balance plus entries is the closing balance, and both are known."""
        if self.opening_minor is None or self.closing_minor is None:
            return False
        return self.opening_minor + self.entries_minor == self.closing_minor


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row, or a whole statement (its position), that does not count; why, without its data."""

    raw_sha256: str
    position: str
    source_id: str
    code: str
    reason: str
    field: str = ""


@dataclass(frozen=True, slots=True)
class Batch:
    """All that one delivery says; recorded together or not at all."""

    correlation_id: str
    delivery: Delivery | None = None
    statements: tuple[StatementRecord, ...] = ()
    transactions: tuple[Transaction, ...] = ()
    rejected: tuple[Rejected, ...] = ()


class TransactionStore(Protocol):
    """Canonical transactions, and what is known about the deliveries that brought them."""

    def record(self, tenant_id: str, principal: str, batch: Batch) -> list[Recorded]:
        """Record a batch in one database transaction; the same batch again changes nothing.

        Returns one `Recorded` per distinct identity. A record that contradicts its identity (other
        kind, side or currency) is quarantined and returned as REFUSED; the others go on.
        Raises Unavailable when the database cannot be reached: nothing of it was kept.
        """
        ...

    def get(self, tenant_id: str, transaction_ids: Collection[str]) -> dict[str, Recorded]:
        """The heads of these transactions, by id; unknown ids are left out."""
        ...

    def deliveries(self, tenant_id: str, raw_sha256: str) -> list[Delivery]:
        """Every receipt of these bytes, first received first."""
        ...

    def closings(self, tenant_id: str, source: str, currency: str, day: date) -> set[int]:
        """Closing balances (minor units) that a statement which opens on `day` may open with.

        Those of statements of the account that end on that day (pages), or on the last day before
        it that has one. Empty when nothing is known of the account yet.
        """
        ...

    def undelivered(self, tenant_id: str, hashes: Sequence[str]) -> set[str]:
        """Those of `hashes` that no delivery names, nor one that waits: bytes that were never read.

        A copy under another name (`Delivery.is_copy`) does not count.
        """
        ...
