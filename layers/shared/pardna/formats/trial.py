"""Trying a profile on a sample before it is saved: what each row becomes, side by side with why not.

Nothing is stored, and a sample need not be whole: control totals of a cut file are shown and do not
count against the profile.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from pardna.formats.model import Origin, Problem, Severity, Statement
from pardna.formats.profile import Profile
from pardna.formats.streaming import open_stream
from pardna.transactions.model import Transaction

ROWS_MAX = 200
#: Statements and control problems that are shown.
OTHERS_MAX = 100


@dataclass(frozen=True, slots=True)
class TriedRow:
    """One row of a sample: the transaction that it becomes, or what is wrong with it."""

    position: str
    transaction: Transaction | None
    problem: Problem | None


@dataclass(frozen=True, slots=True)
class Trial:
    """What a profile makes of a sample.

    `rows` are the first of them; `read`, `refused` and `sums_minor` (by currency) are over all.
    `ties` says whether every statement adds up and every control total holds, and is None where
    the sample states none.
    """

    rows: tuple[TriedRow, ...]
    read: int
    refused: int
    sums_minor: Mapping[str, int]
    statements: tuple[Statement, ...]
    controls: tuple[Problem, ...]
    ties: bool | None

    @property
    def is_good(self) -> bool:
        """Whether every row of the sample was read, and there was one."""
        return self.read > 0 and self.refused == 0


def try_profile(sample: bytes, profile: Profile, rows_max: int = ROWS_MAX) -> Trial:
    """Read a sample by a profile; raises UnreadableFile where the whole cannot be read by it."""
    origin = Origin("trial", "trial", "0" * 64)
    _, items = open_stream(io.BytesIO(sample), origin, profile)
    rows: list[TriedRow] = []
    statements: list[Statement] = []
    controls: list[Problem] = []
    sums = Counter[str]()
    read = refused = 0
    for item in items:
        row: TriedRow | None = None
        match item:
            case Transaction():
                read += 1
                sums[item.currency] += item.amount_minor
                row = TriedRow(item.raw_position, item, None)
            case Problem() if item.code.startswith(("row.", "transaction.")):
                refused += 1
                row = TriedRow(item.position, None, item)
            case Problem():
                controls.append(item)
            case Statement():
                statements.append(item)
        if row is not None and len(rows) < rows_max:
            rows.append(row)
    return Trial(
        rows=tuple(rows),
        read=read,
        refused=refused,
        sums_minor=dict(sums),
        statements=tuple(statements[:OTHERS_MAX]),
        controls=tuple(controls[:OTHERS_MAX]),
        ties=_ties(statements, controls, profile),
    )


def _ties(statements: list[Statement], controls: list[Problem], profile: Profile) -> bool | None:
    if any(c.severity is Severity.ERROR for c in controls):
        return False
    gaps = [s.gap_minor for s in statements if s.gap_minor is not None]
    stated = {what for marked in profile.marked for what in marked.states}
    if not gaps and not stated & {"count", "total", "debits", "credits"}:
        return None
    return not any(gaps)
