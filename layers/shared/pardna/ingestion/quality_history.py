"""A delivery against those that its source sent before: volume, value, columns. Pure, integers only.

"Unusual" is robust: further from the median than six standard deviations, which the median absolute
deviation (MAD) estimates (times 1.4826 where deviations are normal; P. J. Huber, Robust Statistics),
and than half of the median. One wild delivery thus moves neither the middle nor the spread.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pardna.formats.model import Problem, Severity

#: Deliveries that are asked for, and of these the ones compared with.
ASKED_MAX = 60
COMPARED_MAX = 12
#: Fewer of the same weekday than this, and every day counts; fewer in all, and nothing is said.
WEEKDAY_MIN = 4
ALL_MIN = 6
#: JSON leaves keys out: they are missed only when so many deliveries in a row had them.
JSON_MIN = 5
COLUMNS_MAX = 200


@dataclass(frozen=True, slots=True)
class Facts:
    """What is remembered of a delivery to compare later ones with.

    `value_minor` is the sum of absolute amounts by currency; `columns` are headings of a CSV or keys
    of a JSON document, of the kind that `columns_of` names.
    """

    rows: int = 0
    value_minor: Mapping[str, int] = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    columns_of: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "rows": self.rows,
            "value_minor": dict(sorted(self.value_minor.items())),
            "columns": list(self.columns),
            "columns_of": self.columns_of,
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Facts:
        """The inverse; what was written before there were facts has none."""
        return cls(
            int(plain.get("rows", 0)),
            {str(c): int(v) for c, v in plain.get("value_minor", {}).items()},
            tuple(map(str, plain.get("columns", ()))),
            str(plain.get("columns_of", "")),
        )


@dataclass(frozen=True, slots=True)
class Past:
    """An accepted delivery of the same source."""

    received_at: datetime
    format: str
    facts: Facts


def unusual(
    facts: Facts, format_name: str, received_at: datetime, past: Sequence[Past]
) -> Iterator[Problem]:
    """Warnings about volume and value, with the numbers; `past` is newest first."""
    same = [p for p in past if p.format == format_name and p.facts.rows]
    days = [p for p in same if p.received_at.weekday() == received_at.weekday()]
    chosen, name = days[:COMPARED_MAX], f"{received_at:%A}s"
    if len(chosen) < WEEKDAY_MIN:
        chosen, name = same[:COMPARED_MAX], "deliveries"
    if len(chosen) < ALL_MIN and (name == "deliveries" or len(chosen) < WEEKDAY_MIN):
        return
    rows = [p.facts.rows for p in chosen]
    if (middle := _far(facts.rows, rows)) is not None:
        yield _warning(
            "volume.unusual", f"{facts.rows} rows; the last {len(rows)} {name} had {middle}"
        )
    for currency in sorted(facts.value_minor):
        values = [v for p in chosen if (v := p.facts.value_minor.get(currency)) is not None]
        value = facts.value_minor[currency]
        if len(values) >= WEEKDAY_MIN and (middle := _far(value, values)) is not None:
            words = f"{value} minor units of {currency}; the last {len(values)} {name} had {middle}"
            yield _warning("value.unusual", words)


def drifted(facts: Facts, past: Sequence[Past]) -> Iterator[Problem]:
    """Columns that are new, or have vanished, since the deliveries before."""
    before = [p.facts.columns for p in past if p.facts.columns_of == facts.columns_of]
    before = [columns for columns in before if columns]
    if not facts.columns or not before:
        return
    is_json = facts.columns_of.startswith("json:")
    now = set(facts.columns)
    known = {c for columns in (before if is_json else before[:1]) for c in columns}
    expected = set(before[0])
    if is_json:
        expected = set.intersection(*map(set, before)) if len(before) >= JSON_MIN else set()
        known = known if len(before) >= JSON_MIN else now
    for what, columns in (("new", now - known), ("vanished", expected - now)):
        if columns:
            listed = ", ".join(sorted(columns))[:300]
            yield _warning("schema.drift", f"{what} since the last delivery: {listed}", "columns")


def _far(value: int, past: Sequence[int]) -> str | None:
    """The middle of the past in words, when `value` is far from it; doubled to stay whole."""
    middle = _median2(past)
    spread = _median2([abs(2 * v - middle) for v in past])  # four times the MAD
    distance = abs(2 * value - middle)
    # distance > 6 x 1.4826 x MAD, and > half of the median.
    if distance * 2 * 10_000 <= 6 * 14_826 * spread or distance * 2 <= middle:
        return None
    return f"a median of {middle // 2} and a median deviation of {spread // 4}"


def _median2(values: Sequence[int]) -> int:
    """Twice the median: whole also between two."""
    ordered = sorted(values)
    at = len(ordered) // 2
    return ordered[at] * 2 if len(ordered) % 2 else ordered[at - 1] + ordered[at]


def _warning(code: str, reason: str, name: str = "") -> Problem:
    return Problem(code, "file", reason, name, Severity.WARNING)
