"""Trying a profile on a sample before it is saved: what each row becomes, side by side with why not.

Nothing is stored, and a sample need not be whole: control totals of a cut file do not count against
the profile.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from itertools import islice

from pardna.formats.model import Origin, Problem, Statement
from pardna.formats.profile import Profile
from pardna.formats.streaming import open_stream
from pardna.transactions.model import Transaction

ROWS_MAX = 200


@dataclass(frozen=True, slots=True)
class TriedRow:
    """One row of a sample: the transaction that it becomes, or what is wrong with it."""

    position: str
    transaction: Transaction | None
    problem: Problem | None


@dataclass(frozen=True, slots=True)
class Trial:
    """What a profile makes of a sample. It is good when `read` is positive and `refused` is zero."""

    rows: tuple[TriedRow, ...]
    read: int
    refused: int
    statements: tuple[Statement, ...]
    controls: tuple[Problem, ...]


def try_profile(sample: bytes, profile: Profile, rows_max: int = ROWS_MAX) -> Trial:
    """Read a sample by a profile; raises UnreadableFile where the whole cannot be read by it."""
    origin = Origin("trial", "trial", "0" * 64)
    _, items = open_stream(io.BytesIO(sample), origin, profile)
    rows: list[TriedRow] = []
    statements: list[Statement] = []
    controls: list[Problem] = []
    for item in islice(items, rows_max * 2):
        match item:
            case Transaction():
                rows.append(TriedRow(item.raw_position, item, None))
            case Problem() if item.code.startswith("row."):
                rows.append(TriedRow(item.position, None, item))
            case Problem():
                controls.append(item)
            case Statement():
                statements.append(item)
    shown = rows[:rows_max]
    return Trial(
        rows=tuple(shown),
        read=sum(row.transaction is not None for row in shown),
        refused=sum(row.problem is not None for row in shown),
        statements=tuple(statements),
        controls=tuple(controls),
    )
