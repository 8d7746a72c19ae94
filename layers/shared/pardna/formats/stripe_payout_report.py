"""Stripe's itemised payout reconciliation report (CSV): every movement that a payout settled.

Columns as in Stripe's report type ``payout_reconciliation.itemized``, with or without ``_utc``
in the names of times; metadata columns are ``payment_metadata[key]``. The payout itself is no line.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from functools import lru_cache
from typing import BinaryIO

from pardna.formats.instants import from_iso
from pardna.formats.items import Item, collect
from pardna.formats.model import Origin, Parsed, Problem
from pardna.formats.psp import ROW_ERRORS, problem_of
from pardna.formats.report_csv import rows
from pardna.formats.stripe_objects import WEAK, charge_references, identifier, identity, kind_of
from pardna.formats.text import clean, references, sorted_references
from pardna.money.model import minor_from_text
from pardna.runtime.errors import InvalidInput, TooLarge
from pardna.transactions.model import Kind, Side, Strength, Transaction

FORMAT = "stripe.payout_report"
BYTES_MAX = 256 * 1024 * 1024
_UTC = {"created": "created_utc", "available_on": "available_on_utc"}
NEEDED = frozenset(
    {"automatic_payout_id", "balance_transaction_id", "currency", "gross", "fee", "net", "reporting_category"}
)  # fmt: skip

_CONTRIBUTION = "payment_metadata[contribution_id]"
_READ = NEEDED | {"source_id", "charge_id", "payment_intent_id", "description", _CONTRIBUTION}
_READ |= {*_UTC, *_UTC.values()}


def read(data: bytes, origin: Origin) -> Parsed:
    """The transactions of a report. Raises UnreadableFile when a needed column is missing."""
    if len(data) > BYTES_MAX:
        raise TooLarge("stripe.report_too_large", f"a report has at most {BYTES_MAX} bytes")
    return collect(FORMAT, stream(io.BytesIO(data), origin))


def stream(file: BinaryIO, origin: Origin) -> Iterator[Item]:
    """The same, row by row, for reports of any size."""
    for row in rows(file, NEEDED, _READ):
        if isinstance(row, Problem):
            yield row
            continue
        try:
            yield _one(row[1], origin, row[0])
        except ROW_ERRORS as error:
            yield problem_of(error, row[0])


def _one(row: Mapping[str, str], origin: Origin, position: str) -> Transaction:
    currency, category = row["currency"].upper(), row["reporting_category"]
    gross, fee, net = (
        minor_from_text(row["gross"], currency),
        minor_from_text(row["fee"], currency),
        minor_from_text(row["net"], currency),
    )
    source_id = identifier(row.get("source_id"))
    kind = kind_of(category)
    metadata = {"contribution_id": row.get(_CONTRIBUTION, "")}
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
    found = _instant((row.get(_UTC[name]) or row.get(name) or "")[:100])
    if found is None:
        raise InvalidInput("row.time", f"{name} is not a time")
    return found


@lru_cache(maxsize=8192)
def _instant(text: str) -> datetime | None:
    try:
        return from_iso(text)
    except ValueError:
        return None


def _day(row: Mapping[str, str], name: str) -> date | None:
    return _moment(row, name).date() if row.get(_UTC[name]) or row.get(name) else None
