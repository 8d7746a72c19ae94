"""``pardna parse FILE``: what a file is and says, without a network, an account or a database.

Exit status 0 when the file could be read (whatever is wrong in it is told), 1 when it is refused,
2 when the command itself is wrong. An archive's files are shown one after the other. Memory does not grow with the file: transactions are counted and
summed as they pass; ``--transactions`` writes them out as they come.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from pardna.formats.archive import Member, members
from pardna.formats.items import Item
from pardna.formats.model import Origin, PaymentStatus, Problem, Severity, Statement
from pardna.formats.profile import Profile, read_profile
from pardna.formats.recognise import is_archive
from pardna.formats.streaming import open_stream
from pardna.money.model import Money, MoneyError
from pardna.runtime.errors import InvalidInput, PardnaError
from pardna.transactions.model import Transaction, to_dict

#: How much of each list is shown; counts are always of everything.
STATEMENTS_SHOWN = 200
PROBLEMS_SHOWN = 50


def main(arguments: Sequence[str]) -> int:
    """Run the command."""
    chosen = _arguments(arguments)
    for out in (sys.stdout, sys.stderr):
        if isinstance(out, io.TextIOWrapper):  # a terminal need not know every letter of a file
            out.reconfigure(errors="backslashreplace")
    shown = Path(chosen.file).name
    try:
        profile = _profile(chosen.profile)
        with Path(chosen.file).open("rb") as file:
            if not is_archive(file.read(4)):
                return _show(shown, file, profile, chosen)
            # Every file of an archive is shown; one that is refused makes the answer 1.
            found = members(file)
            alone = [_show(_inside(shown, m), io.BytesIO(m.data), profile, chosen) for m in found]
            return max(alone, default=1)
    except OSError as error:
        sys.stderr.write(f"pardna parse: {chosen.file}: {error.strerror or error}\n")
        return 2
    except _ProfileError as error:
        sys.stderr.write(f"pardna parse: {error}\n")
        return 2
    except PardnaError as error:
        _refuse(error, shown, chosen)
        return 1


def _inside(archive_name: str, member: Member) -> str:
    return f"{archive_name}: {member.name}"


def _show(name: str, file: BinaryIO, profile: Profile | None, chosen: argparse.Namespace) -> int:
    """Read one file and write what it says."""
    try:
        summary = _summary(file, profile, chosen)
    except PardnaError as error:
        _refuse(error, name, chosen)
        return 1
    if chosen.json:
        sys.stdout.write(json.dumps(as_json(summary), indent=2, ensure_ascii=False) + "\n")
    elif not chosen.transactions:
        write_text(summary, name, sys.stdout)
    return 0


class _ProfileError(Exception):
    """A profile that is none."""


def _arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="pardna parse",
        description="Show what a bank's or payment processor's file is and says.",
        epilog="Exit status: 0 read, 1 refused, 2 wrong usage.",
    )
    parser.add_argument("file", metavar="FILE")
    parser.add_argument("--profile", metavar="P", help="read CSV or fixed width by this JSON file")
    parser.add_argument("--json", action="store_true", help="write one JSON object")
    parser.add_argument(
        "--transactions", action="store_true", help="write each transaction as one line of JSON"
    )
    return parser.parse_args(list(arguments))


def _profile(name: str | None) -> Profile | None:
    if name is None:
        return None
    try:
        return read_profile(Path(name).read_bytes())
    except InvalidInput as error:
        raise _ProfileError(f"{name}: {error.detail}") from None
    except OSError as error:
        raise _ProfileError(f"{name}: {error.strerror or error}") from None


def _summary(file: BinaryIO, profile: Profile | None, chosen: argparse.Namespace) -> Summary:
    # Names stand in for a tenant's: nothing is stored.
    origin = Origin("local", "file", _sha256(file))
    name, items = open_stream(file, origin, profile)
    summary = Summary(name)
    for item in summary.passing(items):
        if chosen.transactions and isinstance(item, Transaction):
            sys.stdout.write(json.dumps(to_dict(item), ensure_ascii=False) + "\n")
    return summary


def _sha256(file: BinaryIO) -> str:
    file.seek(0)
    digest = hashlib.sha256()
    while chunk := file.read(1024 * 1024):
        digest.update(chunk)
    return digest.hexdigest()


@dataclass
class Summary:
    """What is kept of a file while it passes by."""

    format: str
    statements: list[tuple[Statement, int]] = field(default_factory=list)
    statements_count: int = 0
    transactions: int = 0
    loose: Counter[str] = field(default_factory=Counter)
    loose_sums: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    statuses: list[PaymentStatus] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    errors: int = 0
    warnings: int = 0

    def passing(self, items: Iterator[Item]) -> Iterator[Item]:
        """Count each item and hand it on."""
        pending = 0
        pending_sums: Counter[str] = Counter()
        for item in items:
            match item:
                case Transaction():
                    self.transactions += 1
                    self.kinds[item.kind.value] += 1
                    pending += 1
                    pending_sums[item.currency] += item.amount_minor
                    self.loose[item.currency] += 1
                    self.loose_sums[item.currency] += item.amount_minor
                case Statement():
                    self.statements_count += 1
                    if len(self.statements) < STATEMENTS_SHOWN:
                        self.statements.append((item, pending))
                    pending, pending_sums = 0, Counter()
                    self.loose.clear()
                    self.loose_sums.clear()
                case PaymentStatus():
                    self.statuses.append(item)
                case Problem():
                    self._problem(item)
            yield item

    def _problem(self, problem: Problem) -> None:
        if problem.severity is Severity.ERROR:
            self.errors += 1
        else:
            self.warnings += 1
        if len(self.problems) < PROBLEMS_SHOWN:
            self.problems.append(problem)


def as_json(summary: Summary) -> dict[str, Any]:
    """The summary as plain JSON types; amounts in minor units."""
    return {
        "format": summary.format,
        "statements_count": summary.statements_count,
        "statements": [_statement_json(s) for s, _ in summary.statements],
        "transactions": summary.transactions,
        "kinds": dict(sorted(summary.kinds.items())),
        "outside_statements": [
            {"currency": c, "entries": n, "sum_minor": summary.loose_sums[c]}
            for c, n in sorted(summary.loose.items())
        ],
        "statuses": [
            {
                "status": s.status,
                "reason_code": s.reason_code,
                "reason": s.reason,
                "end_to_end_id": s.end_to_end_id,
                "instruction_id": s.instruction_id,
                "original_message_id": s.original_message_id,
            }
            for s in summary.statuses
        ],
        "errors": summary.errors,
        "warnings": summary.warnings,
        "problems": [
            {
                "severity": p.severity.value,
                "code": p.code,
                "position": p.position,
                "field": p.field,
                "reason": p.reason,
            }
            for p in summary.problems
        ],
    }


def _statement_json(statement: Statement) -> dict[str, Any]:
    return {
        "account": statement.account,
        "id": statement.statement_id,
        "sequence_number": statement.sequence_number,
        "currency": statement.currency,
        "from_date": None if statement.from_date is None else statement.from_date.isoformat(),
        "to_date": None if statement.to_date is None else statement.to_date.isoformat(),
        "opening_minor": statement.opening_minor,
        "closing_minor": statement.closing_minor,
        "entries": statement.entries_count,
        "sum_minor": statement.entries_minor,
        "gap_minor": statement.gap_minor,
        "ties": None if statement.gap_minor is None else statement.ties,
    }


def write_text(summary: Summary, name: str, out: TextIO) -> None:
    """The summary for people."""
    out.write(f"{name}: {summary.format}\n")
    for statement, _ in summary.statements:
        _write_statement(statement, out)
    hidden = summary.statements_count - len(summary.statements)
    if hidden:
        out.write(f"\n... and {hidden:,} more statements\n")
    for currency, count in sorted(summary.loose.items()):
        total = _money(summary.loose_sums[currency], currency)
        out.write(f"\n{_counted(count, 'transaction')}, sum {total}\n")
    kinds = ", ".join(f"{n:,} {kind}" for kind, n in sorted(summary.kinds.items()))
    if kinds:
        out.write(f"\n{_counted(summary.transactions, 'transaction')}: {kinds}\n")
    for status in summary.statuses[:PROBLEMS_SHOWN]:
        about = status.end_to_end_id or status.instruction_id or status.original_message_id
        out.write(
            f"  {status.status} {status.reason_code:<5} {about}  {status.reason}".rstrip() + "\n"
        )
    if not summary.problems:
        out.write("\nNo problems.\n")
        return
    out.write(f"\n{_counted(summary.errors, 'error')}, {_counted(summary.warnings, 'warning')}\n")
    for problem in summary.problems:
        out.write(f"  {problem.severity.value:<7} {problem.position}: {problem.reason}")
        out.write(f" ({problem.code})\n")
    hidden = summary.errors + summary.warnings - len(summary.problems)
    if hidden:
        out.write(f"  ... and {hidden:,} more\n")


def _write_statement(statement: Statement, out: TextIO) -> None:
    currency = statement.currency
    days = " to ".join(str(d) for d in (statement.from_date, statement.to_date) if d is not None)
    out.write(f"\nAccount {statement.account or '(not named)'}  {currency}  {days}".rstrip() + "\n")
    rows = [
        ("opening", statement.opening_minor),
        (_counted(statement.entries_count, "entry", "entries"), statement.entries_minor),
        ("closing", statement.closing_minor),
    ]
    for label, amount in rows:
        shown = "not given" if amount is None else _money(amount, currency)
        out.write(f"  {label:<16}{shown:>24}\n")
    gap = statement.gap_minor
    if gap is None:
        out.write("  cannot be proved: a balance is missing\n")
    elif gap == 0:
        out.write("  ties: opening + entries = closing\n")
    else:
        out.write(f"  DOES NOT TIE: {_money(gap, currency)} are unexplained\n")


def _counted(count: int, word: str, words: str = "") -> str:
    return f"{count:,} {word if count == 1 else words or word + 's'}"


def _money(minor: int, currency: str) -> str:
    try:
        return str(Money(minor, currency))
    except MoneyError:  # a currency that is none today: hundredths
        sign = "-" if minor < 0 else ""
        return f"{sign}{currency} {abs(minor) // 100:,}.{abs(minor) % 100:02d}"


def _refuse(error: PardnaError, name: str, chosen: argparse.Namespace) -> None:
    if chosen.json:
        refusal = {"refused": {"code": error.code, "reason": error.detail}}
        sys.stdout.write(json.dumps(refusal, indent=2) + "\n")
    else:
        sys.stderr.write(f"{name}: refused: {error.detail} ({error.code})\n")
