"""The result on a terminal: tables that line up, amounts as J$ and US$, no colours needed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from local.console import say
from pardna.money.model import Money


def money(amount_minor: int, currency: str) -> str:
    """An amount as people read it: ``J$5,000.00``."""
    return str(Money(amount_minor, currency))


def title(text: str) -> None:
    """A heading."""
    say(f"\n{text}\n{'─' * len(text)}")


def table(
    heads: Sequence[str], rows: Iterable[Sequence[str]], *, right: Iterable[int] = ()
) -> None:
    """Columns as wide as what stands in them; those of `right` are aligned to the right."""
    shown = [list(heads), *(list(map(str, row)) for row in rows)]
    if len(shown) == 1:
        say("  (none)")
        return
    widths = [max(len(row[at]) for row in shown) for at in range(len(heads))]
    numbers = frozenset(right)
    for number, row in enumerate(shown):
        cells = [
            cell.rjust(widths[at]) if at in numbers else cell.ljust(widths[at])
            for at, cell in enumerate(row)
        ]
        say(f"  {'  '.join(cells)}".rstrip())
        if number == 0:
            say(f"  {'  '.join('─' * width for width in widths)}")


def pairs(rows: Iterable[tuple[str, str]]) -> None:
    """Names and values in two columns."""
    listed = list(rows)
    width = max((len(name) for name, _ in listed), default=0)
    for name, value in listed:
        say(f"  {name.ljust(width)}  {value}")


def bullet(text: str) -> None:
    """One line of a list."""
    say(f"  · {text}")
