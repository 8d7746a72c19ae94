"""Use cases of the ledger: post what was recorded, clear what was matched, show what stands."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import TypeVar

from pardna.ledger import chart
from pardna.ledger.model import (
    COMMITTED,
    UNMATCHED,
    Balance,
    Basis,
    CurrencyTotal,
    Journal,
    LegMark,
    MatchEvent,
    MatchState,
    OpenItem,
    Outcome,
    PastBalance,
    Refusal,
    StatementLine,
    Status,
    TrialBalance,
)
from pardna.ledger.ports import Book, Books, LedgerBook, LedgerRaced
from pardna.ledger.posting_rules import clearing_lines, journals_of
from pardna.runtime.paging import PAGE_DEFAULT
from pardna.transactions.model import Transaction
from pardna.transactions.recorded import TransactionRecorded

T = TypeVar("T")

#: How often a posting that raced another with the same keys is repeated.
ATTEMPTS_MAX = 8


@dataclass(frozen=True, slots=True)
class Refused:
    """A journal that the ledger refused; `subject` is the transaction or match that caused it."""

    subject: str
    key: str
    refusal: Refusal


@dataclass(frozen=True, slots=True)
class Posted:
    """What a call did: journals that are new, journals that were there, and refusals."""

    new: int = 0
    known: int = 0
    refused: tuple[Refused, ...] = ()


@dataclass(frozen=True, slots=True)
class BalancesPage:
    """Some accounts, what all of them add up to, and until when the books are closed."""

    accounts: tuple[Balance, ...]
    totals: tuple[CurrencyTotal, ...]
    closed_until: datetime | None
    more: bool


class Ledger:
    """One tenant at a time; every call is one database transaction."""

    def __init__(self, books: Books) -> None:
        self._books = books

    def post(
        self,
        tenant_id: str,
        principal: str,
        journals: Sequence[Journal],
        all_or_nothing: bool = False,
    ) -> list[Outcome]:
        """Post journals, opening accounts of the chart on first use; one outcome each, in order."""
        return self._in_book(
            tenant_id, principal, lambda book: post_in(book, journals, all_or_nothing)
        )

    def post_transactions(
        self, tenant_id: str, principal: str, events: Sequence[TransactionRecorded]
    ) -> Posted:
        """Post recorded transactions by the posting rules; again, or in any order, changes nothing."""

        def work(book: Book) -> Posted:
            changed = [e.transaction_id for e in events if e.version > 1]
            histories = book.versions(sorted(set(changed))) if changed else {}
            wanted: dict[str, tuple[int, str, Journal]] = {}
            for event in events:
                versions = histories.get(event.transaction_id) or _known_versions(event)
                step = 0
                for journal in journals_of(versions):
                    step += bool(journal.reverses)
                    wanted.setdefault(journal.key, (step, event.transaction_id, journal))
            # First versions first, then what supersedes them: a reversal finds its journal posted.
            ordered = sorted(wanted.values(), key=lambda entry: entry[0])
            return _summary(book, [(subject, journal) for _, subject, journal in ordered])

        return self._in_book(tenant_id, principal, work)

    def post_matches(self, tenant_id: str, principal: str, matches: Sequence[MatchEvent]) -> Posted:
        """Post clearing journals of matches and record their legs, in one transaction.

        Independent of whether the legs' own journals are there yet, and of the order in which
        versions of a match arrive: its marks are locked and written first, and who finds a later
        state there posts nothing. A match that moves nothing only marks its legs. A match that the
        ledger refuses leaves no mark either, so that it is tried, and reported, again.
        """
        left = list(matches)
        refused: list[Refused] = []
        while True:
            try:
                posted = self._in_book(tenant_id, principal, partial(_post_matches, left))
            except _SomeRefused as some:
                refused += some.refused
                subjects = {refusal.subject for refusal in some.refused}
                left = [match for match in left if match.match_id not in subjects]
            else:
                return replace(posted, refused=tuple(refused))

    def not_posted(
        self, tenant_id: str, principal: str, states: Sequence[MatchState]
    ) -> list[MatchState]:
        """Those states that were not recorded as the last of their match."""
        ids = [state.match_id for state in states]
        marked = self._in_book(tenant_id, principal, lambda book: book.marked(ids))
        return [state for state in states if state not in marked]

    def trial_balance(self, tenant_id: str, principal: str) -> TrialBalance:
        """All accounts with their totals."""
        return self._in_book(tenant_id, principal, lambda book: book.trial_balance())

    def balances_page(
        self,
        tenant_id: str,
        principal: str,
        prefix: str = "",
        after: tuple[str, str] | None = None,
        limit: int = PAGE_DEFAULT,
    ) -> BalancesPage:
        """Accounts after one, with the totals of all by currency, as one moment's picture."""

        def work(book: Book) -> BalancesPage:
            found = book.balances(prefix, after, limit + 1)
            return BalancesPage(
                tuple(found[:limit]),
                tuple(book.totals()),
                book.closed_until(),
                len(found) > limit,
            )

        return self._in_book(tenant_id, principal, work)

    def past_balances_page(
        self,
        tenant_id: str,
        principal: str,
        moment: datetime,
        basis: Basis,
        prefix: str = "",
        after: tuple[str, str] | None = None,
        limit: int = PAGE_DEFAULT,
    ) -> tuple[list[PastBalance], bool]:
        """Accounts after one as they stood before `moment`, and whether there are more."""
        found = self._in_book(
            tenant_id,
            principal,
            lambda book: book.past_balances(moment, basis, prefix, after, limit + 1),
        )
        return found[:limit], len(found) > limit

    def statement_page(
        self,
        tenant_id: str,
        principal: str,
        account: str,
        currency: str,
        cursor: tuple[str, int] | None = None,
        limit: int = PAGE_DEFAULT,
    ) -> list[StatementLine]:
        """Entries of an account after `cursor`, oldest first, with the balance after each.

        A page that was read never gains a line: what is still under way appears at the end later.
        """
        return self._in_book(
            tenant_id, principal, lambda book: book.statement(account, currency, cursor, limit)
        )

    def close_period(self, tenant_id: str, principal: str, until: datetime) -> None:
        """Close everything effective before `until`; raises InvalidInput as PeriodBook says."""
        self._in_book(tenant_id, principal, lambda book: book.close_period(until))

    def explain_clearing(self, tenant_id: str, principal: str) -> list[OpenItem]:
        """Each transaction that keeps a clearing account from being zero, with what it leaves."""
        return self._in_book(tenant_id, principal, lambda book: book.open_items())

    def _in_book(self, tenant_id: str, principal: str, work: Callable[[Book], T]) -> T:
        """Run `work` in a transaction, again when it raced another; raises LedgerRaced at last."""
        for attempt in range(ATTEMPTS_MAX):
            try:
                with self._books.open(tenant_id, principal) as book:
                    return work(book)
            except LedgerRaced:
                if attempt == ATTEMPTS_MAX - 1:
                    raise
        raise AssertionError("unreachable")


def post_in(
    book: LedgerBook, journals: Sequence[Journal], all_or_nothing: bool = False
) -> list[Outcome]:
    """Post within a book that the caller opened, opening accounts of the chart on first use.

    Accounts are opened only after a posting missed them: in the steady state that costs nothing.
    One that the chart does not describe stays unknown, and its journal refused.
    """
    outcomes = book.post(journals, all_or_nothing)
    missing = {
        (line.account, line.currency)
        for journal, outcome in zip(journals, outcomes, strict=True)
        if outcome.refusal in (Refusal.UNKNOWN_ACCOUNT, Refusal.CURRENCY_MISMATCH)
        for line in journal.lines
        if chart.describes(line.account)
    }
    if not missing:
        return outcomes
    book.open_accounts([chart.account(code, currency) for code, currency in sorted(missing)])
    again = book.post(journals, all_or_nothing)
    # What the first pass posted is already there in the second: report it as new.
    return [
        first if first.status is Status.POSTED else second
        for first, second in zip(outcomes, again, strict=True)
    ]


def clearing_journals(match: MatchEvent) -> list[Journal]:
    """Journals that bring the ledger to a match's state, whatever it has posted of it before.

    Version n supersedes those before it, so each of them is taken back if it was posted; when
    ``unmatched``, so is version n itself. That a version was never posted is no refusal.
    """
    refs: dict[str, str | int] = {"match_id": match.match_id, "pair": match.pair}
    last_undone = match.version if match.status == UNMATCHED else match.version - 1
    journals = [
        Journal(
            key=f"reverse:match:{match.match_id}:{version}",
            kind="unmatch",
            reverses=f"match:{match.match_id}:{version}",
            refs=refs,
        )
        for version in range(1, last_undone + 1)
    ]
    lines = clearing_lines(match)
    if match.status == COMMITTED and len(lines) >= 2:
        key = f"match:{match.match_id}:{match.version}"
        journals.append(Journal(key=key, kind="clearing", lines=lines, refs=refs))
    return journals


class _SomeRefused(Exception):
    """Rolls back a transaction in which some matches were refused, to go on without them."""

    def __init__(self, refused: tuple[Refused, ...]) -> None:
        super().__init__(f"{len(refused)} refused")
        self.refused = refused


def _post_matches(matches: Sequence[MatchEvent], book: Book) -> Posted:
    stale = book.mark_legs([mark for match in matches for mark in _marks(match)])
    posted = _summary(
        book,
        [
            (match.match_id, journal)
            for match in matches
            if match.match_id not in stale
            for journal in clearing_journals(match)
        ],
    )
    if posted.refused:
        raise _SomeRefused(posted.refused)
    return posted


def _marks(match: MatchEvent) -> list[LegMark]:
    return [
        LegMark(
            pair=match.pair,
            transaction_id=leg.transaction_id,
            match_id=match.match_id,
            version=match.version,
            status=match.status,
            matched_at=match.at,
        )
        for leg in match.legs
    ]


def _known_versions(event: TransactionRecorded) -> list[Transaction]:
    """What the event itself tells, for a transaction that the store does not know."""
    return [event.transaction] if event.previous is None else [event.previous, event.transaction]


def _summary(book: LedgerBook, journals: Iterable[tuple[str, Journal]]) -> Posted:
    journals = list(journals)
    outcomes = post_in(book, [journal for _, journal in journals])
    return Posted(
        new=sum(o.status is Status.POSTED for o in outcomes),
        known=sum(o.status is Status.ALREADY_POSTED for o in outcomes),
        refused=tuple(
            Refused(subject, journal.key, outcome.refusal)
            for (subject, journal), outcome in zip(journals, outcomes, strict=True)
            if outcome.refusal is not None and not _needless(journal, outcome)
        ),
    )


def _needless(journal: Journal, outcome: Outcome) -> bool:
    """A match's version that was never posted needs no taking back."""
    return journal.kind == "unmatch" and outcome.refusal is Refusal.UNKNOWN_JOURNAL
