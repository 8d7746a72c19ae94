"""Stripe's itemised payout reconciliation report (CSV): every movement that a payout settled.

Columns as in Stripe's report type ``payout_reconciliation.itemized``, with or without ``_utc``
in the names of times; metadata columns are ``payment_metadata[key]``. The payout itself is no line.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from datetime import UTC, date, datetime

from pardna.formats.encoding import decode
from pardna.formats.model import Origin, Parsed, Problem
from pardna.formats.stripe_objects import WEAK, charge_references, identifier, identity, kind_of
from pardna.formats.text import clean, references, sorted_references
from pardna.money.model import MoneyError, minor_from_text
from pardna.runtime.errors import InvalidInput, TooLarge, UnreadableFile
from pardna.transactions.model import Kind, Side, Strength, Transaction

FORMAT = "stripe.payout_report"
BYTES_MAX = 256 * 1024 * 1024
NEEDED = frozenset(
    {"automatic_payout_id", "balance_transaction_id", "currency", "gross", "fee", "net", "reporting_category"}
)  # fmt: skip


def read(data: bytes, origin: Origin) -> Parsed:
    """The transactions of a report. Raises UnreadableFile when a needed column is missing."""
    if len(data) > BYTES_MAX:
        raise TooLarge("stripe.report_too_large", f"a report has at most {BYTES_MAX} bytes")
    rows = csv.DictReader(io.StringIO(decode(data), newline=""), strict=True)
    found: list[Transaction] = []
    problems: list[Problem] = []
    try:
        missing = NEEDED - set(rows.fieldnames or ())
        if missing:
            names = ", ".join(sorted(missing))
            raise UnreadableFile("stripe.report_columns", f"the report lacks {names}")
        for row in rows:
            position = f"line {rows.line_num}"
            try:
                if None in row or None in row.values():
                    raise InvalidInput("csv.width", "more or fewer cells than columns")
                found.append(_one(row, origin, position))
            except (InvalidInput, MoneyError) as error:
                code = error.code if isinstance(error, InvalidInput) else "row.amount"
                reason = error.detail if isinstance(error, InvalidInput) else "an amount is not one"
                problems.append(Problem(code, position, reason))
    except csv.Error:
        raise UnreadableFile("csv.malformed", f"not CSV at line {rows.line_num}") from None
    return Parsed(FORMAT, transactions=tuple(found), problems=tuple(problems))


def _one(row: Mapping[str, str], origin: Origin, position: str) -> Transaction:
    currency, category = row["currency"].upper(), row["reporting_category"]
    gross, fee, net = (minor_from_text(row[name], currency) for name in ("gross", "fee", "net"))
    source_id = identifier(row.get("source_id"))
    kind = kind_of(category)
    metadata = {"contribution_id": row.get("payment_metadata[contribution_id]", "")}
    strong = Strength.STRONG if kind is Kind.CHARGE else WEAK
    found = charge_references(
        identifier(row.get("charge_id")),
        identifier(row.get("payment_intent_id")),
        metadata,
        strength=strong,
    )
    named = {Kind.REFUND: "refund", Kind.DISPUTE: "dispute", Kind.DISPUTE_REVERSAL: "dispute"}
    if kind in named:
        found |= references([(named[kind], source_id, Strength.STRONG)])
    return Transaction(
        tenant_id=origin.tenant_id,
        source=origin.source(),
        external_id=identity(category, source_id, identifier(row["balance_transaction_id"])),
        side=Side.PSP,
        kind=kind,
        amount_minor=gross,
        currency=currency,
        occurred_at=_moment(row, "created"),
        raw_sha256=origin.raw_sha256,
        raw_position=position,
        value_date=_day(row, "available_on"),
        account=origin.account,
        gross_minor=gross,
        fee_minor=fee,
        net_minor=net,
        description=clean(row.get("description")),
        references=sorted_references(found),
        batch_id=identifier(row["automatic_payout_id"]),
    )


def _moment(row: Mapping[str, str], name: str) -> datetime:
    text = row.get(f"{name}_utc") or row.get(name) or ""
    try:
        read_as = datetime.fromisoformat(text.strip())
    except ValueError:
        raise InvalidInput("row.time", f"{name} is not a time") from None
    return (read_as if read_as.tzinfo else read_as.replace(tzinfo=UTC)).astimezone(UTC)


def _day(row: Mapping[str, str], name: str) -> date | None:
    return _moment(row, name).date() if row.get(f"{name}_utc") or row.get(name) else None
