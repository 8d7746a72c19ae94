"""The quality gate: what of a file counts, what is put aside and why. Pure.

A statement that does not add up is put aside whole, named with its gap; the file's other statements
go on. A row that cannot be read is put aside; the rest of its statement counts as long as it adds
up. What is merely odd (a balance that is missing, one reference on two entries) is told and counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from types import MappingProxyType

from pardna.formats.controls import breaks_control
from pardna.formats.model import Parsed, Problem, Severity, Statement
from pardna.transactions.model import Side, Strength, Transaction
from pardna.transactions.ports import DeliveryStatus, Rejected, StatementRecord

#: Problems kept on a delivery's row; quarantine holds every rejected row.
PROBLEMS_MAX = 100


@dataclass(frozen=True, slots=True)
class Judged:
    """What a file comes to."""

    status: DeliveryStatus
    statements: tuple[StatementRecord, ...]
    transactions: tuple[Transaction, ...]
    rejected: tuple[Rejected, ...]
    problems: tuple[Problem, ...]


#: Closing balances that a statement (by its place in the file) may open with; see `closings`.
Closings = Mapping[int, Set[int]]


def judge(
    parsed: Parsed,
    source_id: str,
    raw_sha256: str,
    currency: str = "",
    closings: Closings = MappingProxyType({}),
) -> Judged:
    """Decide what counts. `currency` is the source's, where it has only one."""
    problems: list[Problem] = list(parsed.problems)
    # Where the file's own totals do not hold, nobody knows which of its rows is wrong or missing.
    whole = not any(breaks_control(p) for p in problems)
    good: list[Transaction] = list(parsed.transactions) if whole else []
    for statement in parsed.statements:
        against = list(_against_whole(statement, currency))
        problems += against
        problems += statement.problems
        broken = any(breaks_control(p) for p in statement.problems)
        if whole and not broken and not any(p.severity is Severity.ERROR for p in against):
            good += statement.transactions
    problems += _repeated(good)
    problems += _interrupted(parsed.statements, closings)
    errors = [p for p in problems if p.severity is Severity.ERROR]
    status = DeliveryStatus.ACCEPTED
    if problems:
        status = DeliveryStatus.ACCEPTED_WITH_WARNINGS
    if errors and not good and not parsed.statuses:
        status = DeliveryStatus.QUARANTINED
    return Judged(
        status=status,
        statements=tuple(_records(parsed.statements, raw_sha256)),
        transactions=tuple(good),
        rejected=tuple(
            Rejected(raw_sha256, p.position, source_id, p.code, p.reason, p.field) for p in errors
        ),
        problems=tuple(problems[:PROBLEMS_MAX]),
    )


def _against_whole(statement: Statement, currency: str) -> Iterator[Problem]:
    """What speaks against a statement as a whole."""
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
    for problem in statement.problems:
        if problem.code.startswith("statement.") and problem.severity is Severity.ERROR:
            yield Problem(
                "statement.contradicts_itself", statement.position, problem.reason, problem.field
            )


def _interrupted(statements: Iterable[Statement], closings: Closings) -> Iterator[Problem]:
    """Statements that do not open where the one before closed: one is missing, or comes later.

    Each adds up by itself, so it counts; the gap is told.
    """
    in_file: dict[tuple[str, str], set[int]] = {}
    for place, s in enumerate(statements):
        before = in_file.setdefault((s.source, s.currency), set())
        known = closings.get(place, frozenset()) | before
        if known and s.opening_minor is not None and s.opening_minor not in known:
            yield Problem(
                "statement.gap",
                s.position,
                f"statement {s.statement_id} does not open where the one before closed",
                severity=Severity.WARNING,
            )
        if s.closing_minor is not None:
            before.add(s.closing_minor)


def _repeated(transactions: Iterable[Transaction]) -> Iterator[Problem]:
    """One strong reference on two entries of the bank, in one direction: perhaps paid twice.

    Both are real movements of the account, so both count; matching makes a break of the second.
    """
    seen: Counter[tuple[str, str, bool]] = Counter()
    for t in transactions:
        if t.side is not Side.BANK:
            continue
        for r in t.references:
            if r.strength is Strength.STRONG:
                seen[f"{t.source} {r.type}", r.value, t.amount_minor < 0] += 1
                if seen[f"{t.source} {r.type}", r.value, t.amount_minor < 0] == 2:
                    yield Problem(
                        "entry.duplicate_reference",
                        t.raw_position,
                        f"an {r.type} reference is on two entries",
                        severity=Severity.WARNING,
                    )


def _records(statements: Iterable[Statement], raw_sha256: str) -> Iterator[StatementRecord]:
    """As they are stored: a name that a file uses twice for an account is numbered."""
    used: Counter[tuple[str, str]] = Counter()
    for s in statements:
        if s.currency == "XXX":  # neither entry nor balance: nothing to prove
            continue
        used[s.source, s.statement_id] += 1
        times = used[s.source, s.statement_id]
        yield StatementRecord(
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
