"""Files as a stream of what they say, so that their size does not matter.

A streaming reader is ``stream(file, origin) -> Iterator[Item]``. What belongs to a statement comes
before it; the statement itself comes last and empty-handed (`Statement.transactions` and
`Statement.problems` are the collector's), because its totals are known only then. What follows the
last statement belongs to the file.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from pardna.formats.controls import is_of_file
from pardna.formats.model import Parsed, PaymentStatus, Problem, Statement
from pardna.transactions.model import Transaction

Item = Transaction | Statement | PaymentStatus | Problem


def collect(name: str, items: Iterable[Item]) -> Parsed:
    """All items of a file of format `name` in memory, each under the statement that it belongs to."""
    statements: list[Statement] = []
    statuses: list[PaymentStatus] = []
    transactions: list[Transaction] = []
    problems: list[Problem] = []
    of_file: list[Problem] = []
    for item in items:
        match item:
            case Transaction():
                transactions.append(item)
            case Problem():
                (of_file if is_of_file(item) else problems).append(item)
            case PaymentStatus():
                statuses.append(item)
            case Statement():
                own = [t for t in transactions if t.source == item.source]
                others = [t for t in transactions if t.source != item.source]
                statements.append(
                    replace(
                        item,
                        transactions=(*item.transactions, *own),
                        problems=(*item.problems, *problems),
                    )
                )
                transactions, problems = others, []
    return Parsed(
        name, tuple(statements), tuple(transactions), tuple(statuses), (*of_file, *problems)
    )
