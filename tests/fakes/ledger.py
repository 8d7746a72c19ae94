"""A ledger in memory; passes the same contract tests as PostgreSQL's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pardna.ledger.model import (
    TOTAL_MAX,
    UNMATCHED,
    Account,
    Balance,
    Basis,
    CurrencyTotal,
    Hold,
    HoldOutcome,
    HoldRefusal,
    HoldStatus,
    Journal,
    LegMark,
    Line,
    MatchState,
    OpenItem,
    Outcome,
    PastBalance,
    Refusal,
    StatementLine,
    Status,
    TrialBalance,
    shape_refusal,
)
from pardna.ledger.ports import LedgerRaced
from pardna.runtime.errors import InvalidInput, Unavailable
from pardna.transactions.model import Transaction


@dataclass
class FakeBook:
    """One tenant's ledger."""

    accounts: dict[tuple[str, str], Account] = field(default_factory=dict)
    journals: dict[str, Journal] = field(default_factory=dict)
    lines: dict[str, tuple[Line, ...]] = field(default_factory=dict)
    reversed: set[str] = field(default_factory=set)
    marks: dict[tuple[str, str, str], LegMark] = field(default_factory=dict)
    histories: dict[str, list[Transaction]] = field(default_factory=dict)
    closed_until_: datetime | None = None
    recorded: dict[str, datetime] = field(default_factory=dict)
    holds: dict[str, Hold] = field(default_factory=dict)
    ends: dict[str, tuple[HoldStatus, int]] = field(default_factory=dict)

    def open_accounts(self, accounts: Sequence[Account]) -> None:
        for account in accounts:
            self.accounts.setdefault((account.code, account.currency), account)

    def post(self, journals: Sequence[Journal], all_or_nothing: bool = False) -> list[Outcome]:
        before = deepcopy((self.journals, self.lines, self.reversed))
        outcomes = [self._post(journal) for journal in journals]
        if all_or_nothing and not all(outcome.stands for outcome in outcomes):
            self.journals, self.lines, self.reversed = before
            refused = Outcome(Status.REFUSED, refusal=Refusal.BATCH_REFUSED)
            return [refused if o.status is Status.POSTED else o for o in outcomes]
        return outcomes

    def _post(self, journal: Journal) -> Outcome:
        known = self.journals.get(journal.key)
        if known is not None:
            if known == journal:
                return Outcome(Status.ALREADY_POSTED, self._id(journal.key))
            return _refused(Refusal.KEY_REUSED)
        lines = journal.lines
        if journal.reverses:
            if journal.reverses not in self.journals:
                return _refused(Refusal.UNKNOWN_JOURNAL)
            if journal.reverses in self.reversed:
                return _refused(Refusal.ALREADY_REVERSED)
            lines = tuple(
                Line(ln.account, ln.currency, -ln.amount_minor, ln.item)
                for ln in self.lines[journal.reverses]
            )
        refusal = self._refusal(journal, lines)
        if refusal:
            return _refused(refusal)
        self.journals[journal.key] = journal
        self.lines[journal.key] = lines
        self.recorded[journal.key] = datetime.now(UTC)
        if journal.reverses:
            self.reversed.add(journal.reverses)
        return Outcome(Status.POSTED, self._id(journal.key))

    def _refusal(self, journal: Journal, lines: tuple[Line, ...]) -> Refusal | None:
        if len(lines) < 2:
            return Refusal.TOO_FEW_LINES
        unknown = [ln for ln in lines if (ln.account, ln.currency) not in self.accounts]
        if unknown:
            codes = {code for code, _ in self.accounts}
            elsewhere = all(line.account in codes for line in lines)
            return Refusal.CURRENCY_MISMATCH if elsewhere else Refusal.UNKNOWN_ACCOUNT
        if shape := shape_refusal(lines):
            return shape
        if (
            self.closed_until_
            and not journal.move_late
            and (journal.effective_at or datetime.now(UTC)) < self.closed_until_
        ):
            return Refusal.CLOSED_PERIOD
        return self._below_minimum(lines) or self._overflow(lines)

    def _overflow(self, lines: tuple[Line, ...]) -> Refusal | None:
        for line in lines:
            account = self.accounts[line.account, line.currency]
            total = self._balance(account)
            if max(total.debits_minor, total.credits_minor) + abs(line.amount_minor) >= TOTAL_MAX:
                return Refusal.OVERFLOW
        return None

    def _below_minimum(self, lines: tuple[Line, ...]) -> Refusal | None:
        for key in {(line.account, line.currency) for line in lines}:
            account = self.accounts[key]
            if account.minimum_minor is None:
                continue
            side = 1 if account.type.normal_side == "debit" else -1
            delta = side * sum(ln.amount_minor for ln in lines if (ln.account, ln.currency) == key)
            left = self._balance(account).balance_minor - self._held(account) + delta
            if delta < 0 and left < account.minimum_minor:
                return Refusal.BELOW_MINIMUM
        return None

    def _balance(self, account: Account) -> Balance:
        amounts = [
            line.amount_minor
            for lines in self.lines.values()
            for line in lines
            if (line.account, line.currency) == (account.code, account.currency)
        ]
        debits = sum(a for a in amounts if a > 0)
        credits = -sum(a for a in amounts if a < 0)
        return Balance(account.code, account.currency, account.type, debits, credits)

    def _id(self, key: str) -> str:
        return f"00000000-0000-7000-8000-{list(self.journals).index(key):012d}"

    def balances(
        self, prefix: str = "", after: tuple[str, str] | None = None, limit: int | None = None
    ) -> list[Balance]:
        return [self._balance(account) for account in self._page(prefix, after, limit)]

    def _page(self, prefix: str, after: tuple[str, str] | None, limit: int | None) -> list[Account]:
        found = [
            account
            for key, account in sorted(self.accounts.items())
            if key[0].startswith(prefix) and key > (after or ("", ""))
        ]
        return found[:limit]

    def past_balances(
        self,
        moment: datetime,
        basis: Basis,
        prefix: str = "",
        after: tuple[str, str] | None = None,
        limit: int | None = None,
    ) -> list[PastBalance]:
        return [
            PastBalance(
                account.code,
                account.currency,
                account.type,
                sum(
                    line.amount_minor
                    for key, lines in self.lines.items()
                    for line in lines
                    if (line.account, line.currency) == (account.code, account.currency)
                    and self._time(key, basis) < moment
                ),
            )
            for account in self._page(prefix, after, limit)
        ]

    def _time(self, key: str, basis: Basis) -> datetime:
        recorded = self.recorded[key]
        effective = self.journals[key].effective_at or recorded
        return recorded if basis is Basis.RECORDED else effective

    def totals(self) -> list[CurrencyTotal]:
        balances = self.balances()
        return [
            CurrencyTotal(
                currency,
                sum(b.debits_minor for b in balances if b.currency == currency),
                sum(b.credits_minor for b in balances if b.currency == currency),
                sum(b.currency == currency for b in balances),
            )
            for currency in sorted({b.currency for b in balances})
        ]

    def close_period(self, until: datetime) -> None:
        if until > datetime.now(UTC):
            raise InvalidInput("ledger.period", "a period that is not over cannot be closed")
        if self.closed_until_ and self.closed_until_ > until:
            raise InvalidInput("ledger.period", "a later period is closed already")
        self.closed_until_ = until

    def closed_until(self) -> datetime | None:
        return self.closed_until_

    def trial_balance(self) -> TrialBalance:
        return TrialBalance(tuple(self.balances()))

    def statement(
        self, account: str, currency: str, cursor: tuple[str, int] | None = None, limit: int = 100
    ) -> list[StatementLine]:
        found, total = [], 0
        for key, lines in self.lines.items():
            journal = self.journals[key]
            for number, line in enumerate(lines, start=1):
                if (line.account, line.currency) != (account, currency):
                    continue
                total += line.amount_minor
                found.append(
                    StatementLine(
                        self._id(key),
                        number,
                        line.amount_minor,
                        total,
                        key,
                        journal.kind,
                        journal.description,
                        journal.effective_at or self.recorded[key],
                        self.recorded[key],
                        line.item,
                    )
                )
        return [ln for ln in found if cursor is None or (ln.journal_id, ln.line) > cursor][:limit]

    def mark_legs(self, marks: Sequence[LegMark]) -> set[str]:
        def rank(mark: LegMark) -> tuple[int, bool]:
            return mark.version, mark.status == UNMATCHED

        stale = set()
        for mark in marks:
            key = (mark.pair, mark.transaction_id, mark.match_id)
            known = self.marks.get(key)
            if known is not None and rank(known) > rank(mark):
                stale.add(mark.match_id)
            else:
                self.marks[key] = mark
        return stale

    def marked(self, match_ids: Sequence[str]) -> set[MatchState]:
        return {
            MatchState(mark.match_id, mark.version, mark.status)
            for mark in self.marks.values()
            if mark.match_id in match_ids
        }

    def open_items(self) -> list[OpenItem]:
        sums: dict[tuple[str, str, str], int] = {}
        for lines in self.lines.values():
            for line in lines:
                if line.account.startswith("clearing:"):
                    key = (line.account, line.currency, line.item)
                    sums[key] = sums.get(key, 0) + line.amount_minor
        return [OpenItem(*key, total) for key, total in sorted(sums.items()) if total]

    def hold(self, holds: Sequence[Hold]) -> list[HoldOutcome]:
        return [self._hold(hold) for hold in holds]

    def _hold(self, hold: Hold) -> HoldOutcome:
        if hold.key in self.holds:
            if self.holds[hold.key] == hold:
                return HoldOutcome(HoldStatus.ALREADY_HELD, hold.key)
            return _refused_hold(HoldRefusal.KEY_REUSED)
        if refusal := self._hold_refusal(hold):
            return _refused_hold(refusal)
        self.holds[hold.key] = hold
        return HoldOutcome(HoldStatus.HELD, hold.key)

    def _hold_refusal(self, hold: Hold) -> HoldRefusal | None:
        if hold.amount_minor <= 0:
            return HoldRefusal.ZERO_AMOUNT
        codes = {code for code, _ in self.accounts}
        ends = (hold.debit, hold.currency), (hold.credit, hold.currency)
        if not all(end in self.accounts for end in ends):
            known = {hold.debit, hold.credit} <= codes
            return HoldRefusal.CURRENCY_MISMATCH if known else HoldRefusal.UNKNOWN_ACCOUNT
        if hold.debit == hold.credit:
            return HoldRefusal.SAME_ACCOUNT
        if hold.expires_at is not None and hold.expires_at <= datetime.now(UTC):
            return HoldRefusal.ALREADY_EXPIRED
        lines = (
            Line(hold.debit, hold.currency, hold.amount_minor),
            Line(hold.credit, hold.currency, -hold.amount_minor),
        )
        if self._below_minimum(lines):
            return HoldRefusal.BELOW_MINIMUM
        held = sum(h.amount_minor for key, h in self.holds.items() if key not in self.ends)
        return HoldRefusal.OVERFLOW if held + hold.amount_minor >= TOTAL_MAX else None

    def end_hold(
        self, key: str, action: HoldStatus, amount_minor: int | None = None
    ) -> HoldOutcome:
        hold = self.holds.get(key)
        if hold is None:
            return _refused_hold(HoldRefusal.UNKNOWN_HOLD)
        default = hold.amount_minor if amount_minor is None else amount_minor
        taken = default if action is HoldStatus.CAPTURED else 0
        if key in self.ends:
            if self.ends[key] == (action, taken):
                return HoldOutcome(action, self._capture_id(key), again=True)
            return _refused_hold(HoldRefusal(f"already_{self.ends[key][0]}"))
        over = hold.expires_at is not None and hold.expires_at <= datetime.now(UTC)
        if action is HoldStatus.EXPIRED and not over:
            return _refused_hold(HoldRefusal.NOT_EXPIRED)
        if action is not HoldStatus.EXPIRED and over:
            return _refused_hold(HoldRefusal.ALREADY_EXPIRED)
        if action is HoldStatus.CAPTURED and taken <= 0:
            return _refused_hold(HoldRefusal.ZERO_AMOUNT)
        if taken > hold.amount_minor:
            return _refused_hold(HoldRefusal.EXCEEDS_HOLD)
        self.ends[key] = (action, taken)
        if action is HoldStatus.CAPTURED:
            lines = (
                Line(hold.debit, hold.currency, taken),
                Line(hold.credit, hold.currency, -taken),
            )
            assert self._post(Journal(f"capture:{key}", "capture", lines)).stands
        return HoldOutcome(action, self._capture_id(key))

    def _capture_id(self, key: str) -> str:
        return self._id(f"capture:{key}") if f"capture:{key}" in self.journals else ""

    def expire_holds(self, most: int = 1000) -> int:
        due = [
            key
            for key, hold in self.holds.items()
            if key not in self.ends and hold.expires_at and hold.expires_at <= datetime.now(UTC)
        ][:most]
        return sum(self.end_hold(k, HoldStatus.EXPIRED).refusal is None for k in due)

    def _held(self, account: Account) -> int:
        """What open holds would take from an account on its normal side."""
        debit = account.type.normal_side == "debit"
        return sum(
            hold.amount_minor
            for key, hold in self.holds.items()
            if key not in self.ends
            and ((hold.credit if debit else hold.debit), hold.currency)
            == (account.code, account.currency)
        )

    def versions(self, transaction_ids: Sequence[str]) -> dict[str, list[Transaction]]:
        return {i: self.histories[i] for i in transaction_ids if i in self.histories}


class FakeBooks:
    """Opens books in memory; a block that raises leaves no trace. Can fail on demand."""

    def __init__(self) -> None:
        self.books: dict[str, FakeBook] = {}
        self.unavailable = False
        self.races = 0  # so many of the next blocks end in a race

    @contextmanager
    def open(self, tenant_id: str, principal: str) -> Iterator[FakeBook]:
        assert principal
        if self.unavailable:
            raise Unavailable("database.unavailable", "the database did not answer")
        book = deepcopy(self.books.get(tenant_id, FakeBook()))
        yield book
        if self.races > 0:
            self.races -= 1
            raise LedgerRaced("ledger.raced", "a concurrent posting came in between")
        self.books[tenant_id] = book


def _refused(refusal: Refusal) -> Outcome:
    return Outcome(Status.REFUSED, refusal=refusal)


def _refused_hold(refusal: HoldRefusal) -> HoldOutcome:
    return HoldOutcome(HoldStatus.REFUSED, refusal=refusal)
