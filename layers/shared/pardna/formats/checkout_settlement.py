"""Checkout.com's settlement breakdown and settlement statement (CSV).

The breakdown has each movement in the holding currency, with gross, deduction and net, and the
payout that it belongs to; the statement has the payouts. Deductions may be finer than the currency:
gross then counts, net stays unknown, and a warning says so. See `pardna.formats.checkout` for identity.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import BinaryIO

from pardna.formats.checkout import identity
from pardna.formats.instants import from_iso
from pardna.formats.items import Item, collect
from pardna.formats.model import Origin, Parsed, Problem, Severity
from pardna.formats.psp import STRONG, WEAK, currency_of, day, exact, guarded, identifier, movement
from pardna.formats.report_csv import Row, rows
from pardna.money.model import minor_from_text
from pardna.runtime.errors import InvalidInput
from pardna.transactions.model import Kind

FORMAT = "checkout.settlement"
_BREAKDOWN = "Net In Holding Currency"
_KINDS = {
    "charge": Kind.CHARGE,
    "capture": Kind.CHARGE,
    "payment": Kind.CHARGE,
    "refund": Kind.REFUND,
    "chargeback": Kind.DISPUTE,
    "chargeback reversal": Kind.DISPUTE_REVERSAL,
    "second chargeback": Kind.DISPUTE,
    "fee": Kind.FEE,
}


def read(data: bytes, origin: Origin) -> Parsed:
    """The movements of a report. Raises UnreadableFile when a needed column is missing."""
    return collect(FORMAT, stream(io.BytesIO(data), origin))


def stream(file: BinaryIO, origin: Origin) -> Iterator[Item]:
    """The same, row by row."""
    seen: Counter[str] = Counter()
    for row in rows(file, frozenset({"Payout ID", "Holding Currency"})):
        if isinstance(row, Problem):
            yield row
        elif _BREAKDOWN in row[1]:
            yield from guarded(row[1], lambda r, at: _movement(r, origin, at, seen), row[0])
        else:
            yield from guarded(row[1], lambda r, at: _payout(r, origin, at), row[0])


def _movement(row: Row, origin: Origin, position: str, seen: Counter[str]) -> Iterator[Item]:
    currency = currency_of(row["Holding Currency"])
    net = exact(row[_BREAKDOWN], currency)
    gross = minor_from_text(row["Gross In Holding Currency"].strip(), currency)
    kind = _KINDS.get(row["Type"].strip().lower(), Kind.ADJUSTMENT)
    payment = row["Payment ID"].strip()
    key = identity(payment or row["Type"], kind, gross, currency)
    seen[key] += 1
    external_id = key if seen[key] == 1 else f"{key}/{seen[key]}"
    if net is None:
        reason = "net is finer than its currency and stays unknown"
        yield Problem("row.net_finer", position, reason, _BREAKDOWN, Severity.WARNING)
    yield movement(
        origin,
        position,
        external_id=external_id,
        kind=kind,
        amount=gross,
        currency=currency,
        occurred_at=_moment(row.get("Processed On", "")),
        value_date=day(row.get("Available On")),
        account=row.get("Client Entity ID", ""),
        fee=None if net is None else gross - net,
        net=net,
        batch_id=row["Payout ID"].strip(),
        description=row["Type"],
        named=[
            ("charge", payment, STRONG if kind is Kind.CHARGE else WEAK),
            ("order", row.get("Reference", ""), WEAK),
        ],
    )


def _payout(row: Row, origin: Origin, position: str) -> Iterator[Item]:
    currency, own_id = currency_of(row["Holding Currency"]), identifier(row["Payout ID"].strip())
    yield movement(
        origin,
        position,
        external_id=own_id,
        kind=Kind.PAYOUT,
        amount=-minor_from_text(row["Payout Amount"].strip(), currency),
        currency=currency,
        occurred_at=_moment(row["Payout Date"]),
        value_date=day(row["Payout Date"]),
        account=row.get("Client Entity ID", ""),
        fee=0,
        batch_id=own_id,
        named=[("payout", own_id, WEAK)],
    )


def _moment(text: str) -> datetime:
    try:
        return from_iso(text)
    except ValueError:
        raise InvalidInput("row.time", "a date is none") from None
