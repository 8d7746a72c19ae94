"""What recording a large delivery asks of the stores; see `pardna.transactions.lake` for its parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pardna.transactions.lake import PartMessage, StagedRow
from pardna.transactions.model import Transaction
from pardna.transactions.ports import Delivery, Rejected, StatementRecord

#: What a record says of a money object that never changes: side, kind, currency (`merge`).
Stands = tuple[str, str, str]


def said_of(transaction: Transaction) -> Stands:
    """What a record says of these."""
    return transaction.side.value, transaction.kind.value, transaction.currency


@dataclass(frozen=True, slots=True)
class StagedDelivery:
    """A file that was read, judged and put into the lake in `parts` parts.

    `delivery` is what will be received once every part is recorded. Rows of `refused_groups`
    (statements that did not stand up) are in the parts and do not count. `replay_id` tells a
    replay's reading from the first. `standing` are the identities of which rows say different
    things, and what the first row in the file says: whoever says something else does not count.
    """

    delivery: Delivery
    parts: int
    correlation_id: str
    refused_groups: frozenset[str] = frozenset()
    replay_id: str = ""
    standing: Mapping[str, Stands] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PartCounts:
    """What recording a part did, by `transactions.ports.Outcome`."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    refused: int = 0


@dataclass(frozen=True, slots=True)
class PartRecorded:
    """Counts, and (transaction id, version, body) of each transaction as it stands, in id order."""

    counts: PartCounts
    rows: list[tuple[str, int, str]]


class BulkStore(Protocol):
    """Canonical transactions by the ten thousand; every method is one database transaction."""

    def stage(
        self,
        tenant_id: str,
        principal: str,
        staged: StagedDelivery,
        statements: Sequence[StatementRecord],
        rejected: Sequence[Rejected],
    ) -> bool:
        """Write down that a delivery waits, and announce it; False when it did already."""
        ...

    def staged(self, tenant_id: str, raw_sha256: str, replay_id: str = "") -> StagedDelivery | None:
        """The delivery of these bytes, if it is a large one that was staged by this reading."""
        ...

    def is_recorded(self, message: PartMessage) -> bool:
        """Whether a part was recorded and told so by `finish_part`."""
        ...

    def record_part(
        self, tenant_id: str, principal: str, staged: StagedDelivery, rows: Sequence[StagedRow]
    ) -> PartRecorded:
        """Record rows; again, nothing changes.

        What contradicts its identity is quarantined. Nothing is announced row by row.
        """
        ...

    def finish_part(
        self, tenant_id: str, principal: str, message: PartMessage, counts: PartCounts
    ) -> bool:
        """Remember that a part is recorded; the last one writes the delivery and announces it.

        True when this call closed the delivery. Raises NotFound ``bulk.not_staged``.
        """
        ...


class PartFiles(Protocol):
    """The lake's files."""

    def put(self, key: str, body: bytes) -> None:
        """Write, over what may be there. Raises Unavailable."""
        ...

    def get(self, key: str) -> bytes:
        """Raises NotFound ``part.not_found``, Unavailable."""
        ...
