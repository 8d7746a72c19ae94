"""What is looked for in each statement: that it adds up, and goes on where the last one ended. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Set

from pardna.formats.model import Problem, Severity, Statement
from pardna.transactions.ports import StatementRecord


def against_whole(statement: Statement, currency: str) -> Iterator[Problem]:
    """What speaks against a statement as a whole; `currency` is the source's, if it has only one."""
    gap = statement.gap_minor
    if gap:
        yield Problem(
            "statement.does_not_tie",
            statement.position,
            f"statement {statement.statement_id}: opening balance and {statement.entries_count}"
            f" entries miss the closing balance by {gap} minor units of {statement.currency}",
        )
    elif gap is None and statement.entries_count:
        yield Problem(
            "statement.balance_missing",
            statement.position,
            f"statement {statement.statement_id} cannot be proved: a balance is missing",
            severity=Severity.WARNING,
        )
    if currency and statement.entries_count and statement.currency != currency:
        yield Problem(
            "statement.currency",
            statement.position,
            f"statement {statement.statement_id} is in {statement.currency}, the source in {currency}",
        )


def contradictions(statement: Statement, problems: list[Problem]) -> Iterator[Problem]:
    """A statement whose own figures speak against each other, as its reader found."""
    for problem in problems:
        if problem.code.startswith("statement.") and problem.severity is Severity.ERROR:
            yield Problem(
                "statement.contradicts_itself", statement.position, problem.reason, problem.field
            )


#: A longer jump is another way of counting: some banks number by day of the year and page (17501).
_MISSING_MAX = 31


class Continuity:
    """Statements that do not open where the one before closed, or whose number does not follow.

    Each adds up by itself, so it counts; the gap is told: a statement is missing, or comes later.
    """

    def __init__(self, last_sequence: Callable[[Statement], str]) -> None:
        self._last_sequence = last_sequence
        self._closed: dict[tuple[str, str], set[int]] = {}
        self._numbers: dict[tuple[str, str], int] = {}

    def interrupted(self, statement: Statement, closings: Set[int]) -> list[Problem]:
        """Warnings about one statement; `closings` are what earlier ones closed with."""
        return [*self._gap(statement, closings), *self._sequence(statement)]

    def _gap(self, s: Statement, closings: Set[int]) -> Iterator[Problem]:
        before = self._closed.setdefault((s.source, s.currency), set())
        known = closings | before
        if known and s.opening_minor is not None and s.opening_minor not in known:
            yield Problem(
                "statement.gap",
                s.position,
                f"statement {s.statement_id} does not open where the one before closed",
                severity=Severity.WARNING,
            )
        if s.closing_minor is not None:
            before.add(s.closing_minor)

    def _sequence(self, s: Statement) -> Iterator[Problem]:
        """A number that skips; one that is lower begins anew (a year), one that repeats is a page."""
        if s.opening_minor is None or s.closing_minor is None:
            return  # notifications and reports within the day have numbers of their own
        key = s.source, s.currency
        now = _number(s.sequence_number)
        if now is None:
            return
        last = self._numbers.get(key)
        if last is None:
            last = _number(self._last_sequence(s))
        self._numbers[key] = now
        if last is not None and last + 1 < now <= last + 1 + _MISSING_MAX:
            yield Problem(
                "statement.sequence_gap",
                s.position,
                f"statement number {now} follows {last}: {now - last - 1} are missing",
                "sequence_number",
                Severity.WARNING,
            )


def _number(sequence: str) -> int | None:
    """The statement's number of ``123``, ``00123/001`` (MT940 28C: statement/page)."""
    found = re.match(r"\s*(\d{1,9})(?:/\d{1,9})?\s*$", sequence)
    return int(found[1]) if found else None


def record_of(s: Statement, raw_sha256: str, times: int) -> StatementRecord:
    """As it is stored: a name that a file uses again for an account is numbered."""
    return StatementRecord(
        source=s.source,
        statement_id=s.statement_id if times == 1 else f"{s.statement_id}#{times}",
        currency=s.currency,
        opening_minor=s.opening_minor,
        closing_minor=s.closing_minor,
        entries_minor=s.entries_minor,
        entries_count=s.entries_count,
        raw_sha256=raw_sha256,
        sequence_number=s.sequence_number,
        from_date=s.from_date,
        to_date=s.to_date,
    )
