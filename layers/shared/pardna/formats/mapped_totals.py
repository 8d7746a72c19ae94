"""What the rows of a mapped file come to, and what the file itself says that they do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date

from pardna.formats.items import Item
from pardna.formats.mapped_amounts import Cell, number
from pardna.formats.model import Origin, Problem, Severity, Statement
from pardna.formats.profile import Marked, Profile
from pardna.formats.text import EntryIds
from pardna.money.model import MoneyError
from pardna.runtime.errors import InvalidInput
from pardna.transactions.model import Side, Transaction


@dataclass
class Account:
    """What was read of one account."""

    currency: str
    name: str
    source: str
    sum_minor: int = 0
    entries: int = 0
    first: tuple[int, int] | None = None  # amount and balance of its first row
    last: tuple[int, int] | None = None
    from_day: date | None = None
    to_day: date | None = None
    ids: EntryIds = field(default_factory=EntryIds)


class Totals:
    """Counts and sums of one file's rows, beside the lines that state them."""

    def __init__(self, profile: Profile, origin: Origin) -> None:
        self.profile = profile
        self.origin = origin
        self.stated: dict[str, str] = {}
        self.accounts: dict[str, Account] = {}
        self.rows = 0
        self.debits = 0
        self.credits = 0

    def state(self, marked: Marked, cell: Cell) -> None:
        """Take down what a marked line states."""
        for what, at in marked.states.items():
            value = cell(at).strip()
            if value:
                self.stated[what] = value

    def account(self, name: str, currency: str) -> Account:
        """The account of a row; raises InvalidInput when its other rows are in another currency."""
        source = self.origin.source(name)
        account = self.accounts.get(source)
        if account is None:
            account = self.accounts[source] = Account(currency, name, source)
        if account.currency != currency:
            raise InvalidInput("row.currency", "its account's other rows are in another currency")
        return account

    def balance(self, cell: Cell, currency: str) -> int | None:
        """The running balance beside a row, where there is one; raises MoneyError."""
        column = self.profile.amounts.balance
        written = cell(column).strip() if column is not None else ""
        return self._number(written, currency) if written else None

    def _number(self, written: str, currency: str) -> int:
        """A balance or total, its sign turned around where the amounts' signs are."""
        amounts = self.profile.amounts
        value = number(written, amounts, currency)
        return -value if amounts.negated else value

    def count(self, account: Account, transaction: Transaction, balance: int | None) -> None:
        """Count a row that was read."""
        amount, day = transaction.amount_minor, transaction.value_date
        account.entries += 1
        account.sum_minor += amount
        if amount < 0:
            self.debits += -amount
        else:
            self.credits += amount
        day = day or transaction.occurred_at.date()
        if account.from_day is None or day < account.from_day:
            account.from_day = day
        if account.to_day is None or day > account.to_day:
            account.to_day = day
        if balance is not None:
            account.first = account.first or (amount, balance)
            account.last = amount, balance

    def end(self) -> Iterator[Item]:
        """Statements, and what the stated totals say about the rows."""
        yield from self._controls()
        if self.profile.side is not Side.BANK:
            return
        alone = len(self.accounts) == 1
        for account in self.accounts.values():
            name = account.name
            opening, closing = self._balances(account, alone)
            for what, value in (("opening", opening), ("closing", closing)):
                if alone and value is None and what in self.stated:
                    reason = f"the {what} balance cannot be read"
                    yield Problem("statement.balance", "control line", reason, what)
            yield Statement(
                source=account.source,
                account=name,
                statement_id=f"{name or self.profile.name}/{account.to_day or 'undated'}",
                currency=account.currency,
                opening_minor=opening,
                closing_minor=closing,
                entries_minor=account.sum_minor,
                entries_count=account.entries,
                position=f"account {name}" if name else "file",
                from_date=account.from_day,
                to_date=account.to_day,
            )

    def _balances(self, account: Account, alone: bool) -> tuple[int | None, int | None]:
        """As stated, else as the running balance of the first and the last row gives them."""
        opening = closing = None
        if account.first is not None and account.last is not None:
            first, last = account.first, account.last
            if self.profile.newest_first:
                first, last = last, first
            opening, closing = first[1] - first[0], last[1]
        if alone:
            for what in ("opening", "closing"):
                if what in self.stated:
                    value = self._stated_number(what, account.currency)
                    opening, closing = (value, closing) if what == "opening" else (opening, value)
        return opening, closing

    def _stated_number(self, what: str, currency: str) -> int | None:
        try:
            return self._number(self.stated[what], currency)
        except MoneyError:
            return None

    def _controls(self) -> Iterator[Problem]:
        currency = next((a.currency for a in self.accounts.values()), self.profile.currency)
        is_so = {
            "total": self.credits - self.debits,
            "debits": self.debits,
            "credits": self.credits,
        }
        for what, value in is_so.items():
            if what not in self.stated or not currency:
                continue
            said = self._stated_number(what, currency)
            if said is None or (said if what == "total" else abs(said)) != value:
                reason = f"the file's own {what} is not what its rows give"
                yield Problem(f"control.{what}", "control line", reason, what)
        if "count" in self.stated:
            written = self.stated["count"].strip()
            if not (written.isascii() and written.isdigit()) or int(written[:30]) != self.rows:
                reason = f"the file's own count is not that of its rows ({self.rows})"
                yield Problem("control.count", "control line", reason, "count")
        if not self.rows:
            reason = "there is no row in it"
            yield Problem("file.no_rows", "file", reason, severity=Severity.WARNING)
