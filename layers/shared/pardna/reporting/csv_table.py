"""The report as CSV (RFC 4180, UTF-8): one table, a section in each line's first column.

Amounts are plain decimals with a point and the currency in a column of its own, so that a
spreadsheet can add them. A text that a spreadsheet would run as a formula is shown as text.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import date, datetime

from pardna.money.model import Money
from pardna.reporting.model import RoundReport
from pardna.runtime.clock import iso
from pardna.runtime.spreadsheets import harmless

COLUMNS = (
    "section", "id", "name", "kind", "status", "amount", "currency", "when", "reference", "explanation",
)  # fmt: skip
Row = tuple[str, ...]


def render(report: RoundReport) -> bytes:
    """The report's bytes; equal reports give equal bytes."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for row in _rows(report):
        # The amount is ours and checked: a minus sign is a number there, not a formula.
        writer.writerow([cell if at == _AMOUNT else harmless(cell) for at, cell in enumerate(row)])
    return out.getvalue().encode("utf-8")


_AMOUNT = COLUMNS.index("amount")


def _rows(report: RoundReport) -> Iterator[Row]:
    yield _row(
        "round", report.circle_id, report.circle_name, status=report.status, amount=report.paid,
        when=report.due_on.isoformat() if report.due_on else "",
        reference=f"round {report.round_number} of {report.rounds_count}",
    )  # fmt: skip
    for line in report.contributions:
        yield _row(
            "contribution", line.contribution_id, line.member, line.slot, line.status, line.amount,
            line.due_on.isoformat() if line.due_on else "",
        )  # fmt: skip
        for payment in line.payments:
            yield _row(
                "payment", line.contribution_id, line.member, payment.rail, "received",
                payment.amount, _when(payment.paid_at, payment.paid_on), payment.reference,
            )  # fmt: skip
    for match in report.matches:
        for leg in match.legs:
            yield _row(
                "match", match.match_id, leg.side, leg.kind, f"level {match.level}", leg.amount,
                _when(leg.occurred_at, leg.on), leg.name, f"{match.rule}: {match.why}",
            )  # fmt: skip
    yield from _open_rows(report)
    yield from _draw_rows(report)


def _open_rows(report: RoundReport) -> Iterator[Row]:
    for found in report.breaks:
        yield _row(
            "break", found.break_id, found.break_class, found.severity, found.status, found.amount,
            found.since, ", ".join(leg.name for leg in found.legs), found.reason,
        )  # fmt: skip
    for item in report.open_items:
        yield _row(
            "clearing", item.transaction_id, item.account, "open item",
            "explained" if item.explained_by else "NOT EXPLAINED", item.amount, "", "",
            " ".join(part for part in (item.what, item.explained_by) if part),
        )  # fmt: skip
    for account in report.accounts:
        yield _row("account", account.code, account.code, account.type, "", account.balance)
    for balance in report.trial_balances:
        status = "balances" if balance.difference.amount_minor == 0 else "DOES NOT BALANCE"
        yield _row("trial balance", balance.currency, "difference", "", status, balance.difference)


def _draw_rows(report: RoundReport) -> Iterator[Row]:
    draw = report.draw
    if draw is None:
        return
    yield _row(
        "draw", draw.draw_id, draw.recipient, "draw", draw.status, draw.amount, "",
        draw.end_to_end_id,
    )  # fmt: skip
    for step in draw.steps:
        yield _row(
            "draw step", draw.draw_id, step.by, step.title,
            when=_when(step.at, step.on), explanation=step.detail,
        )  # fmt: skip


def _when(at: datetime | None, on: date | None) -> str:
    """An instant in UTC, or where only the day is known, the day."""
    if at is not None:
        return iso(at)
    return on.isoformat() if on else ""


def _row(
    section: str,
    identifier: str,
    name: str = "",
    kind: str = "",
    status: str = "",
    amount: Money | None = None,
    when: str = "",
    reference: str = "",
    explanation: str = "",
) -> Row:
    shown = amount.decimal_text() if amount else ""
    currency = amount.currency if amount else ""
    return section, identifier, name, kind, status, shown, currency, when, reference, explanation
