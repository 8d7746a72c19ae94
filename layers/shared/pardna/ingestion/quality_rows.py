"""What is looked for in each row: cards, days and currencies that cannot be. Pure.

An error keeps the row out and is told by itself. A warning may be on every row of a file, so it is
told once: the first row, and how many.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from pardna.formats.model import Problem, Severity
from pardna.ingestion import card_numbers
from pardna.ingestion.card_numbers import CardNumber, CardNumbers
from pardna.transactions.model import Side, Strength, Transaction

#: A booking so far after its receipt is a slip of the pen; statements do announce some days ahead.
AHEAD_MAX = timedelta(days=366)
AHEAD_ODD = timedelta(days=31)
BEHIND_ODD = timedelta(days=2 * 366)
#: References remembered of one file, to find one that comes twice.
REFERENCES_MAX = 300_000


@dataclass
class Told:
    """A warning: where first, how often."""

    problem: Problem
    times: int = 1

    def whole(self) -> Problem:
        """As it is told at the end."""
        if self.times == 1:
            return self.problem
        p = self.problem
        return Problem(
            p.code, p.position, f"{p.reason} (the first of {self.times})", p.field, p.severity
        )


@dataclass
class RowChecks:
    """The checks, over the rows of one file in their order."""

    received: date | None
    currency: str
    cards: CardNumbers
    warnings: dict[str, Told] = field(default_factory=dict)
    #: Digits of card numbers that a row accounts for, so that the file need not.
    explained: set[str] = field(default_factory=set)
    _seen: dict[int, int] = field(default_factory=dict)
    _known: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self._known = frozenset(found.digits for found in self.cards.found)

    def errors(self, transaction: Transaction) -> list[Problem]:
        """What keeps a row out; warnings are remembered."""
        self._currency(transaction)
        self._repeated(transaction)
        return [*self._card(transaction), *self._day(transaction)]

    def unread(self, position: str) -> None:
        """A row that its reader put aside accounts for the cards on its line, too."""
        self.explained.update(found.digits for found in self._on_line(position))

    def _card(self, transaction: Transaction) -> Iterator[Problem]:
        found = self._on_line(transaction.raw_position)
        texts = _texts(transaction)
        if card_numbers.may_hold("\x1f".join(texts)):
            found += [c for t in texts for c in card_numbers.in_text(t) if self._is_card(c)]
        if found:
            self.explained.update(c.digits for c in found)
            yield card_problem(found, transaction.raw_position)

    def _is_card(self, found: CardNumber) -> bool:
        """A bare number counts unless the file as a whole showed that its field holds references."""
        return found.certain or found.digits in self._known or not self.cards.doubtful

    def _on_line(self, position: str) -> list[CardNumber]:
        if not self.cards.count:
            return []
        word, _, number = position.partition(" ")
        return self.cards.on_line(int(number)) if word == "line" and number.isdigit() else []

    def _day(self, transaction: Transaction) -> Iterator[Problem]:
        if self.received is None:
            return
        for name, day in (
            ("occurred_at", transaction.occurred_at.date()),
            ("value_date", transaction.value_date),
        ):
            if day is None:
                continue
            if day > self.received + AHEAD_MAX or day < date(1970, 1, 1):
                reason = "its date is more than a year ahead, or before 1970"
                yield Problem("row.date_impossible", transaction.raw_position, reason, name)
                return
            if day > self.received + AHEAD_ODD:
                self.warn("row.date_ahead", transaction, "its date is over a month ahead", name)
            elif day < self.received - BEHIND_ODD:
                self.warn("row.date_old", transaction, "its date is over two years ago", name)

    def _currency(self, transaction: Transaction) -> None:
        if self.currency and transaction.currency != self.currency:
            reason = f"it is in {transaction.currency}, the source in {self.currency}"
            self.warn("row.other_currency", transaction, reason, "currency")

    def _repeated(self, transaction: Transaction) -> None:
        """One strong reference on two entries of the bank, in one direction: perhaps paid twice.

        Both are real movements of the account, so both count; matching makes a break of the second.
        """
        if transaction.side is not Side.BANK:
            return
        for r in transaction.references:
            if r.strength is not Strength.STRONG:
                continue
            key = hash((transaction.source, r.type, r.value, transaction.amount_minor < 0))
            times = self._seen.get(key, 0) + 1
            if times > 1 or len(self._seen) < REFERENCES_MAX:
                self._seen[key] = times
            if times == 2:
                reason = f"an {r.type} reference is on two entries"
                self.warn("entry.duplicate_reference", transaction, reason, "references")

    def warn(self, code: str, transaction: Transaction, reason: str, name: str) -> None:
        """Remember a warning of a row."""
        if (told := self.warnings.get(code)) is not None:
            told.times += 1
            return
        problem = Problem(code, transaction.raw_position, reason, name, Severity.WARNING)
        self.warnings[code] = Told(problem)


def card_problem(found: list[CardNumber], position: str) -> Problem:
    """Says that there is a card number, and shows of it what may be shown."""
    shown = ", ".join(sorted({f"{c.brand} {c.masked}" for c in found})[:5])
    return Problem("card.number", position, f"it carries a card number ({shown})", "text")


def day_of(moment: datetime | None) -> date | None:
    """The day of an instant."""
    return None if moment is None else moment.date()


def _texts(t: Transaction) -> tuple[str, ...]:
    return (
        t.description,
        t.counterparty.name,
        t.counterparty.account,
        t.external_id,
        t.account,
        t.batch_id,
        t.source,
        *[reference.value for reference in t.references],
    )
