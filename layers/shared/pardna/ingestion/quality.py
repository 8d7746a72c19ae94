"""The quality gate: what of a file counts, what is put aside and why. Pure, a fold over its items.

A statement that does not add up is put aside whole, named with its gap; the file's other statements
go on. A row that cannot be read is put aside; the rest of its statement counts as long as it adds
up. What is merely odd (a balance that is missing, one reference on two entries) is told and counts.
A card number keeps its row out, and the whole file where nobody can tell whose it is.

What counts is known only at the end (`Gate.verdict`), so whoever streams keeps rows with their group
where they can still be dropped. The gate's memory does not grow with the file's good rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType

from pardna.formats.controls import breaks_control, is_of_file
from pardna.formats.items import Item
from pardna.formats.model import Parsed, PaymentStatus, Problem, Severity, Statement
from pardna.ingestion.card_numbers import FOUND_MAX, CardNumbers, in_text, mask
from pardna.ingestion.quality_history import Facts, Past, drifted, unusual
from pardna.ingestion.quality_rows import RowChecks, card_problem, day_of
from pardna.ingestion.quality_statements import (
    Continuity,
    against_whole,
    contradictions,
    record_of,
)
from pardna.transactions.model import Transaction
from pardna.transactions.ports import DeliveryStatus, Rejected, StatementRecord

#: Problems kept on a delivery's row; quarantine holds every rejected row.
PROBLEMS_MAX = 100
#: Rows put aside one by one; a file with more is not what its source sends, and waits whole.
REJECTED_MAX = 10_000

#: Closing balances that a statement (by its place in the file) may open with; see `closings`.
Closings = Mapping[int, Set[int]]
_NOTHING: Mapping[int, Set[int]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Expected:
    """What is known before a file is read.

    `currency` is the source's, where it has only one. `closings` and `last_sequence` ask what
    the account's earlier statements say. `past` are earlier deliveries, newest first. `columns` are
    this file's (`quality_schema`), `cards` what its raw text holds (`card_numbers.in_file`).
    `volume_compared`: its size should be like that of earlier ones; that of a poll is what is new.
    `released`: two people let it count although its totals do not hold.
    """

    source_id: str
    raw_sha256: str
    currency: str = ""
    received_at: datetime | None = None
    cards: CardNumbers = field(default_factory=CardNumbers)
    columns_of: str = ""
    columns: Sequence[str] = ()
    past: Sequence[Past] = ()
    volume_compared: bool = True
    closings: Callable[[int, Statement], Set[int]] = lambda _place, _statement: frozenset()
    last_sequence: Callable[[Statement], str] = lambda _statement: ""
    released: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a file comes to. `counts` says of each row, by its number from zero, whether it does."""

    status: DeliveryStatus
    statements: tuple[StatementRecord, ...]
    rejected: tuple[Rejected, ...]
    problems: tuple[Problem, ...]
    good_count: int
    entries_count: int
    facts: Facts
    card_numbers_count: int
    whole: bool
    refused_groups: frozenset[str]

    def counts(self, group: str) -> bool:
        """Whether a row counts that the gate let pass with this group."""
        return self.whole and group not in self.refused_groups


@dataclass
class _Open:
    """Rows of one account since its last statement."""

    rows: int = 0
    good: int = 0


@dataclass
class Gate:
    """Sees every item of a file, in order, and then says what counts."""

    expected: Expected
    format: str = ""
    _rows: int = 0
    _good: int = 0
    _statuses: int = 0
    _entries: int = 0
    _errors: int = 0
    _whole: bool = True
    _open: dict[str, _Open] = field(default_factory=dict)
    _pending: list[Problem] = field(default_factory=list)
    _of_file: list[Problem] = field(default_factory=list)
    _told: list[Problem] = field(default_factory=list)
    _rejected: list[Problem] = field(default_factory=list)
    _groups: Counter[str] = field(default_factory=Counter)
    _refused: set[str] = field(default_factory=set)
    _records: list[StatementRecord] = field(default_factory=list)
    _named: Counter[tuple[str, str]] = field(default_factory=Counter)
    _value: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        e = self.expected
        self._checks = RowChecks(day_of(e.received_at), e.currency, e.cards)
        self._continuity = Continuity(e.last_sequence)

    def see(self, item: Item) -> str:
        """The next item, as a reader streams it or `items_of` gives it.

        Of a row that may count: its group, the statement of its account that will follow
        (``ncb:404385912#0``). Of a row that does not, and of everything else, nothing.
        """
        match item:
            case Transaction():
                return self._row(item)
            case Problem():
                self._checks.unread(item.position)
                (self._of_file if is_of_file(item) else self._pending).append(item)
            case Statement():
                self._statement(item)
            case PaymentStatus():
                self._statuses += 1
        return ""

    def _row(self, transaction: Transaction) -> str:
        self._rows += 1
        self._value[transaction.currency] += abs(transaction.amount_minor)
        found = self._open.setdefault(transaction.source, _Open())
        found.rows += 1
        errors = self._checks.errors(transaction)
        if errors:
            self._put_aside(errors)
            return ""
        self._good += 1
        found.good += 1
        return f"{transaction.source}#{self._groups[transaction.source]}"

    def _statement(self, statement: Statement) -> None:
        place = len(self._records)
        own, self._pending = self._pending, []
        against = list(against_whole(statement, self.expected.currency))
        against += contradictions(statement, own)
        cards = in_text(f"{statement.account} | {statement.statement_id} | {statement.source}")
        if cards:
            self._checks.explained.update(c.digits for c in cards)
            against.append(card_problem(cards, statement.position))
        rows = self._open.pop(statement.source, None)
        self._entries += statement.entries_count - (rows.rows if rows else 0)
        broken = any(breaks_control(p) for p in own)
        refused = broken or any(p.severity is Severity.ERROR for p in against)
        if refused and rows is not None and not (self.expected.released and not cards):
            self._refused.add(f"{statement.source}#{self._groups[statement.source]}")
            self._good -= rows.good
        self._groups[statement.source] += 1
        self._tell([*against, *own])
        known = self.expected.closings(place, statement)
        self._tell(self._continuity.interrupted(statement, known))
        if statement.currency != "XXX" and not cards:  # else: neither entry nor balance to prove
            key = statement.source, statement.statement_id
            self._named[key] += 1
            self._records.append(record_of(statement, self.expected.raw_sha256, self._named[key]))

    def _tell(self, problems: Sequence[Problem]) -> None:
        """Remember problems that somebody must hear of, errors as rejected."""
        for problem in problems:
            if problem.severity is Severity.ERROR:
                self._put_aside([problem])
            elif len(self._told) < PROBLEMS_MAX:
                self._told.append(problem)

    def _put_aside(self, errors: Sequence[Problem]) -> None:
        self._errors += len(errors)
        self._rejected += errors[: max(0, REJECTED_MAX - len(self._rejected))]

    def verdict(self) -> Verdict:
        """What counts, now that everything was seen."""
        of_file = [*self._of_file, *self._pending, *self._cards_of_nobody()]
        # Where the file's own totals do not hold, nobody knows which of its rows is wrong or missing.
        held = [p for p in of_file if breaks_control(p) and not self.expected.released]
        whole = not held and not any(p.code == "card.number" for p in of_file)
        self._tell(of_file)
        if self._errors > REJECTED_MAX:
            whole = False
            words = f"{self._errors} things are wrong in it, of which {REJECTED_MAX} are listed"
            self._put_aside([Problem("file.too_many_errors", "file", words)])
        e, facts = self.expected, self._facts()
        if e.received_at is not None and e.volume_compared:
            self._tell(list(unusual(facts, self.format, e.received_at, e.past)))
        self._tell(list(drifted(facts, e.past)))
        problems = [*self._rejected, *self._told]
        problems += [told.whole() for told in self._checks.warnings.values()]
        good = self._good if whole else 0
        status = DeliveryStatus.ACCEPTED
        if problems:
            status = DeliveryStatus.ACCEPTED_WITH_WARNINGS
        if self._rejected and not good and not (self._statuses and whole):
            status = DeliveryStatus.QUARANTINED
        return Verdict(
            status=status,
            statements=tuple(self._records),
            rejected=tuple(
                Rejected(e.raw_sha256, p.position, e.source_id, p.code, mask(p.reason), p.field)
                for p in self._rejected
            ),
            problems=tuple(replace(p, reason=mask(p.reason)) for p in problems[:PROBLEMS_MAX]),
            good_count=good,
            entries_count=self._rows + self._entries,
            facts=facts,
            card_numbers_count=max(e.cards.count, len(self._checks.explained)),
            whole=whole,
            refused_groups=frozenset(self._refused),
        )

    def _facts(self) -> Facts:
        e = self.expected
        return Facts(self._rows, dict(self._value), tuple(e.columns), e.columns_of)

    def _cards_of_nobody(self) -> Iterator[Problem]:
        """Card numbers in the raw text that no row accounts for: the file waits whole."""
        cards = self.expected.cards
        left = [c for c in cards.found if c.digits not in self._checks.explained]
        if left or cards.count > FOUND_MAX:
            line = left[0].line if left else cards.found[0].line
            yield card_problem(left or list(cards.found), f"line {line}")


@dataclass(frozen=True, slots=True)
class Judged:
    """What a file that was read whole comes to."""

    status: DeliveryStatus
    statements: tuple[StatementRecord, ...]
    transactions: tuple[Transaction, ...]
    rejected: tuple[Rejected, ...]
    problems: tuple[Problem, ...]
    facts: Facts = field(default_factory=Facts)
    card_numbers_count: int = 0


def judge(
    parsed: Parsed,
    source_id: str,
    raw_sha256: str,
    currency: str = "",
    closings: Closings = _NOTHING,
) -> Judged:
    """Decide what of a whole file counts; `currency` is the source's, where it has only one."""
    known = Expected(
        source_id,
        raw_sha256,
        currency,
        closings=lambda place, _statement: closings.get(place, frozenset()),
    )
    return judge_expected(parsed, known)


def judge_expected(parsed: Parsed, expected: Expected) -> Judged:
    """The same, with all that is known beforehand."""
    gate = Gate(expected, parsed.format)
    passed: list[tuple[str, Transaction]] = []
    for item in _items(parsed):
        group = gate.see(item)
        if group and isinstance(item, Transaction):
            passed.append((group, item))
    verdict = gate.verdict()
    return Judged(
        status=verdict.status,
        statements=verdict.statements,
        transactions=tuple(t for group, t in passed if verdict.counts(group)),
        rejected=verdict.rejected,
        problems=verdict.problems,
        facts=verdict.facts,
        card_numbers_count=verdict.card_numbers_count,
    )


def _items(parsed: Parsed) -> Iterator[Item]:
    from pardna.formats.streaming import items_of  # imports every reader's registry

    return items_of(parsed)
