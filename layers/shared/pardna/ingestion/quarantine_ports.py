"""What quarantine needs of the world."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pardna.ingestion.quality import Judged
from pardna.ingestion.quarantine_model import Decision, Entry
from pardna.transactions.model import Transaction


@dataclass(frozen=True, slots=True)
class Effect:
    """What a decision makes true, all of it in one transaction.

    `resolved` are the entries that it settles; `judged` what the file comes to now, if it was read.
    """

    transactions: tuple[Transaction, ...] = ()
    resolved: tuple[str, ...] = ()
    judged: Judged | None = None


@dataclass(frozen=True, slots=True)
class Filter:
    """Which rows are listed; what is empty does not filter. `after` is the last one shown."""

    status: str = ""
    source_id: str = ""
    code: str = ""
    raw_sha256: str = ""
    after: tuple[datetime, str] | None = None


class QuarantineList(Protocol):
    """Rows that were put aside. All raise Unavailable."""

    def page(self, tenant_id: str, chosen: Filter, most: int) -> list[Entry]:
        """Entries in the order in which they were put aside."""
        ...

    def entry(self, tenant_id: str, quarantine_id: str) -> Entry:
        """Raises NotFound ``quarantine.not_found``."""
        ...

    def open_entries(self, tenant_id: str, raw_sha256: str) -> list[Entry]:
        """What is undecided of a file."""
        ...


class QuarantineBook(Protocol):
    """What people decided. All raise Unavailable; who was too late gets Conflict."""

    def by_request(self, tenant_id: str, request_hash: str) -> Decision | None:
        """The decision that this very request made, unless it was withdrawn or rejected."""
        ...

    def decision(self, tenant_id: str, decision_id: str) -> Decision:
        """Raises NotFound ``quarantine.not_found``."""
        ...

    def decisions(self, tenant_id: str, raw_sha256: str) -> list[Decision]:
        """Those of a file that are done, in the order in which they became so."""
        ...

    def propose(
        self, tenant_id: str, principal: str, decision: Decision, made_count: int
    ) -> Decision:
        """Keep a decision for a second person; its row waits."""
        ...

    def withdraw(self, tenant_id: str, principal: str, decision_id: str) -> Decision:
        """Its maker takes it back: its row is open again.

        The same again changes nothing. Raises NotFound, Conflict ``quarantine.decided``.
        """
        ...

    def reject(self, tenant_id: str, principal: str, decision_id: str, reason: str) -> Decision:
        """Another person turns it down: its row is open again. Raises as `withdraw` does."""
        ...


class QuarantineEffects(Protocol):
    """Makes decisions true."""

    def settle(
        self,
        tenant_id: str,
        principal: str,
        decision: Decision,
        effect: Effect,
        made_count: int,
        correlation_id: str,
    ) -> Decision:
        """Everything in one transaction, or nothing; a decision that is done is given back.

        `made_count` is how many decisions of the file the effect was worked out from. Raises Conflict
        ``quarantine.decided`` and ``quarantine.changed``, InvalidInput
        ``transaction.contradiction``, Unavailable.
        """
        ...
