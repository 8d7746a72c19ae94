"""Which few amounts come to a total, when nothing names them: exact, bounded, honest.

Only a subset that is the *only* one is worth proposing: with a few dozen amounts, sums coincide.
The budget is a number of steps, not a clock, so that the same input gives the same answer anywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

CANDIDATES_MAX = 24


class Found(StrEnum):
    """``UNIQUE``: exactly one subset. ``AMBIGUOUS``: at least two. ``EXHAUSTED``: none.
    ``BOUND_HIT``: too many candidates, or the budget ended before the answer was certain."""

    UNIQUE = "UNIQUE"
    AMBIGUOUS = "AMBIGUOUS"
    EXHAUSTED = "EXHAUSTED"
    BOUND_HIT = "BOUND_HIT"


@dataclass(frozen=True, slots=True)
class Subset:
    """The answer, the positions of the only subset when it is unique, and the steps it took."""

    found: Found
    positions: tuple[int, ...] = ()
    steps: int = 0


def search(amounts: Sequence[int], total: int, steps_max: int = 200_000) -> Subset:
    """The subsets of at least two `amounts` (signed minor units) that come to `total`.

    Depth first over the amounts by size, cutting branches that cannot reach the total any more.
    """
    if len(amounts) > CANDIDATES_MAX:
        return Subset(Found.BOUND_HIT)
    order = sorted(range(len(amounts)), key=lambda i: (-abs(amounts[i]), amounts[i], i))
    values = [amounts[i] for i in order]
    highest, lowest = [0], [0]  # what the rest, from a position on, can add at most and at least
    for value in reversed(values):
        highest.append(highest[-1] + max(value, 0))
        lowest.append(lowest[-1] + min(value, 0))
    highest.reverse()
    lowest.reverse()
    found: list[tuple[int, ...]] = []
    steps = 0
    waiting: list[tuple[int, int, tuple[int, ...]]] = [(0, total, ())]
    while waiting:
        position, left, taken = waiting.pop()
        steps += 1
        if steps > steps_max:
            return Subset(Found.BOUND_HIT, (), steps)
        if position == len(values):
            if left == 0 and len(taken) >= 2:
                found.append(tuple(sorted(order[i] for i in taken)))
                if len(found) > 1:
                    return Subset(Found.AMBIGUOUS, (), steps)
            continue
        if not lowest[position] <= left <= highest[position]:
            continue
        waiting.append((position + 1, left, taken))
        waiting.append((position + 1, left - values[position], (*taken, position)))
    if found:
        return Subset(Found.UNIQUE, found[0], steps)
    return Subset(Found.EXHAUSTED, (), steps)
