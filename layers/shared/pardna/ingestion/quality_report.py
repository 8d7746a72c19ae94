"""The daily quality report: what each source sent, what of it counts, and what needs a person. Pure.

A source is silent when it is expected and nothing came: it delivered on three of the last four of
this weekday, or on each of the last five days. Its schedule says when it is asked, not when it answers.
"""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

#: Days of history that `is_expected` looks at.
HISTORY_DAYS = 28
_WEEKS, _WEEKS_MIN, _DAYS_IN_A_ROW = 4, 3, 5
#: Lines of an alert; the report has all of them.
ALERT_LINES_MAX = 40
#: Warnings of a delivery that a person should look at; others are told in the report only.
_GAPS = ("statement.gap", "statement.sequence_gap", "statement.balance_missing")
_ODD = ("volume.unusual", "value.unusual", "schema.drift", "csv.drift")


@dataclass(frozen=True, slots=True)
class SourceDay:
    """One source on one day. Counts of deliveries by status, rows, problems by code."""

    source_id: str
    deliveries: Mapping[str, int] = field(default_factory=dict)
    rows_count: int = 0
    problems: Mapping[str, int] = field(default_factory=dict)
    statements_count: int = 0
    statements_untied_count: int = 0
    quarantine_open_count: int = 0
    days_with_deliveries: Set[date] = frozenset()
    enabled: bool = True

    @property
    def continuity(self) -> str:
        """``whole``, ``interrupted`` or, without a statement, ``none``."""
        if not self.statements_count:
            return "none"
        broken = self.statements_untied_count or any(self.problems.get(c) for c in _GAPS)
        return "interrupted" if broken else "whole"

    def is_silent(self, day: date) -> bool:
        """Whether it was expected on a day, and nothing came."""
        if not self.enabled or day in self.days_with_deliveries:
            return False
        return is_expected(self.days_with_deliveries, day)


@dataclass(frozen=True, slots=True)
class QualityReport:
    """A tenant's day."""

    tenant_id: str
    day: date
    sources: tuple[SourceDay, ...]

    def needs_a_person(self) -> list[str]:
        """What somebody must look at, in words without anybody's data; empty on a good day."""
        return [line for s in self.sources for line in _needs(s, self.day)]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "tenant_id": self.tenant_id,
            "day": self.day.isoformat(),
            "needs_a_person": self.needs_a_person(),
            "sources": [_source(s, self.day) for s in self.sources],
        }

    def to_json(self) -> bytes:
        """Equal reports are equal bytes."""
        return json.dumps(self.to_dict(), indent=2, sort_keys=True).encode() + b"\n"

    def to_html(self) -> bytes:
        """One table for people; everything in it is escaped."""
        rows = "".join(_row(_source(s, self.day)) for s in self.sources)
        lines = "".join(f"<li>{html.escape(line)}</li>" for line in self.needs_a_person())
        title = html.escape(f"Quality of {self.tenant_id} on {self.day}")
        heads = "".join(f"<th>{name.replace('_', ' ')}</th>" for name in _COLUMNS)
        told = f"<ul>{lines}</ul>" if lines else "<p>Nothing needs a person.</p>"
        return (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">'
            f"<title>{title}</title><style>{_STYLE}</style></head><body><h1>{title}</h1>"
            f"{told}<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></body></html>\n"
        ).encode()


def report_key(tenant_id: str, day: date, extension: str) -> str:
    """Key of a report in the bucket of packs; the tenant comes first, so that access can be cut."""
    return f"reports/{tenant_id}/quality/{day}/report.{extension}"


def is_expected(days: Set[date], day: date) -> bool:
    """Whether a source that delivered on these days is expected on this one."""
    weeks = sum(day - timedelta(weeks=n) in days for n in range(1, _WEEKS + 1))
    in_a_row = all(day - timedelta(days=n) in days for n in range(1, _DAYS_IN_A_ROW + 1))
    return weeks >= _WEEKS_MIN or in_a_row


def _needs(s: SourceDay, day: date) -> list[str]:
    found = []
    if s.is_silent(day):
        found.append(f"{s.source_id}: nothing came, and it was expected")
    found += [
        f"{s.source_id}: {s.deliveries[status]} deliveries {status}"
        for status in ("quarantined", "refused")
        if s.deliveries.get(status)
    ]
    if s.quarantine_open_count:
        found.append(f"{s.source_id}: {s.quarantine_open_count} rows or files wait in quarantine")
    if s.statements_untied_count:
        found.append(f"{s.source_id}: {s.statements_untied_count} statements do not tie")
    found += [
        f"{s.source_id}: {code} in {s.problems[code]} places"
        for code in ("card.number", *_GAPS[:2], *_ODD)
        if s.problems.get(code)
    ]
    return found


_COLUMNS = (
    "source_id", "deliveries", "rows_count", "problems", "continuity", "statements_count",
    "quarantine_open_count", "silent",
)  # fmt: skip
_STYLE = (
    "body{font:15px system-ui,sans-serif;margin:2rem}table{border-collapse:collapse}"
    "td,th{border:1px solid #ccc;padding:.3rem .6rem;text-align:left;vertical-align:top}"
)


def _source(s: SourceDay, day: date) -> dict[str, Any]:
    return {
        "source_id": s.source_id,
        "enabled": s.enabled,
        "deliveries": dict(sorted(s.deliveries.items())),
        "rows_count": s.rows_count,
        "problems": dict(sorted(s.problems.items())),
        "continuity": s.continuity,
        "statements_count": s.statements_count,
        "statements_untied_count": s.statements_untied_count,
        "quarantine_open_count": s.quarantine_open_count,
        "silent": s.is_silent(day),
    }


def _row(source: Mapping[str, Any]) -> str:
    cells = "".join(f"<td>{_cell(source[name])}</td>" for name in _COLUMNS)
    return f"<tr>{cells}</tr>"


def _cell(value: object) -> str:
    if isinstance(value, Mapping):
        return "<br>".join(html.escape(f"{key}: {count}") for key, count in value.items())
    return html.escape("yes" if value is True else "no" if value is False else str(value))


def alert_text(report: QualityReport, lines: Sequence[str]) -> str:
    """What is sent to the people on call."""
    shown = "\n".join(f"- {line}" for line in lines[:ALERT_LINES_MAX])
    more = len(lines) - ALERT_LINES_MAX
    rest = f"\n- and {more} more" if more > 0 else ""
    where = report_key(report.tenant_id, report.day, "html")
    return f"Quality of {report.tenant_id} on {report.day}:\n{shown}{rest}\nReport: {where}\n"
