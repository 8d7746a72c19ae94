"""What the ledger's use cases need from the outside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

from pardna.ledger.model import (
    Account,
    Balance,
    Basis,
    CurrencyTotal,
    Hold,
    HoldOutcome,
    HoldStatus,
    Journal,
    LegMark,
    MatchEvent,
    MatchState,
    OpenItem,
    Outcome,
    PastBalance,
    StatementLine,
    TrialBalance,
)
from pardna.runtime.errors import Conflict
from pardna.runtime.events import Envelope
from pardna.transactions.model import Transaction


class LedgerRaced(Conflict):
    """A concurrent call took the same keys; repeating the whole transaction decides it."""

    title = "Another posting came in between"


class LedgerBook(Protocol):
    """One tenant's ledger within one database transaction."""

    def open_accounts(self, accounts: Sequence[Account]) -> None:
        """Open what is not open yet; accounts that exist stay as they are."""

    def post(self, journals: Sequence[Journal], all_or_nothing: bool = False) -> list[Outcome]:
        """Post journals; one outcome each, in order. Raises LedgerRaced."""

    def balances(
        self, prefix: str = "", after: tuple[str, str] | None = None, limit: int | None = None
    ) -> list[Balance]:
        """Accounts whose code starts with `prefix`, by code and currency.

        `after` is the code and currency of the last one seen; None begins at the first.
        """

    def past_balances(
        self,
        moment: datetime,
        basis: Basis,
        prefix: str = "",
        after: tuple[str, str] | None = None,
        limit: int | None = None,
    ) -> list[PastBalance]:
        """The same accounts as they stood before `moment`, those opened since at zero."""

    def totals(self) -> list[CurrencyTotal]:
        """All accounts added up, by currency."""

    def trial_balance(self) -> TrialBalance:
        """All accounts."""

    def statement(
        self, account: str, currency: str, cursor: tuple[str, int] | None = None, limit: int = 100
    ) -> list[StatementLine]:
        """Entries after `cursor` (journal id and line of the last one seen), oldest first."""


class PeriodBook(Protocol):
    """Until when the books are closed."""

    def closed_until(self) -> datetime | None:
        """Nothing effective before this is posted any more; None when nothing was ever closed."""

    def close_period(self, until: datetime) -> None:
        """Close everything effective before `until`; waits for postings under way.

        Raises InvalidInput for a moment to come or one before an earlier closing.
        """


class ClearingBook(Protocol):
    """What the ledger knows of matches, beside the journals that they caused."""

    def mark_legs(self, marks: Sequence[LegMark]) -> set[str]:
        """Record which legs matches join or part, and keep these marks locked until the end.

        Returns ids of matches of which a later state was recorded before: theirs stay as they are.
        """

    def marked(self, match_ids: Sequence[str]) -> set[MatchState]:
        """The states of these matches that were recorded last; unknown matches are absent."""

    def open_items(self) -> list[OpenItem]:
        """What clearing accounts that are not zero consist of."""


class HoldBook(Protocol):
    """Two-phase postings: reserve, then capture, void or let expire, exactly once."""

    def hold(self, holds: Sequence[Hold]) -> list[HoldOutcome]:
        """Reserve amounts; one outcome each, in order. Raises LedgerRaced."""

    def end_hold(
        self, key: str, action: HoldStatus, amount_minor: int | None = None
    ) -> HoldOutcome:
        """Capture (`amount_minor` of it, None for all), void or expire the hold of `key`.

        Ending again in the same way gives the first answer; in another way it is refused.
        """

    def expire_holds(self, most: int = 1000) -> int:
        """End up to `most` holds whose time is over; returns how many. Repeat until zero."""


class History(Protocol):
    """What was ever said of a transaction."""

    def versions(self, transaction_ids: Sequence[str]) -> dict[str, list[Transaction]]:
        """All versions of each transaction, first version first; unknown ids are absent."""


class Book(LedgerBook, PeriodBook, ClearingBook, HoldBook, History, Protocol):
    """All of them on the same transaction."""


class Books(Protocol):
    """Where a book is opened: commits when the block ends, else leaves no trace."""

    def open(self, tenant_id: str, principal: str) -> AbstractContextManager[Book]:
        """A book of `tenant_id`, written as `principal`. Raises Unavailable."""


class Matches(Protocol):
    """Matches as the match table has them now."""

    def get(self, tenant_id: str, match_id: str) -> MatchEvent | None:
        """A match that is committed or unmatched; None when it is neither.

        Raises InvalidInput when its items cannot be read, Unavailable when the table cannot.
        """

    def decided_since(self, tenant_id: str, since: datetime) -> Iterator[MatchState]:
        """States of matches that were committed or unmatched at `since` or later."""


class Departures(Protocol):
    """How events leave the database's network."""

    def depart(self, envelopes: Sequence[Envelope]) -> int:
        """Send what was not sent yet; returns how many that were. Raises Unavailable."""
        ...
