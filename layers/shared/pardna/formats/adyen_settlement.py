"""Adyen's settlement detail report (CSV): every movement that a batch settled, and its payout.

Rows are in the settlement (net) currency. Where the payment's currency is another one, the row is a
movement of its own (``CAP1/EUR``): a webhook told of the same capture in the other currency, and one
movement has one currency. Its gross is then net and fees together, and both stay unknown where the
fees are finer than the currency. The batch is the payout.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from functools import cache
from typing import BinaryIO

from pardna.formats.instants import in_utc
from pardna.formats.items import Item, collect
from pardna.formats.model import Origin, Parsed, Problem
from pardna.formats.psp import (
    ROW_ERRORS,
    STRONG,
    WEAK,
    currency_of,
    exact,
    movement,
    problem_of,
)
from pardna.formats.report_csv import Row, rows
from pardna.formats.text import EntryIds
from pardna.money.model import minor_from_text
from pardna.runtime.errors import InvalidInput
from pardna.transactions.model import Kind, Transaction

FORMAT = "adyen.settlement"
NEEDED = frozenset(
    {"Psp Reference", "Type", "Creation Date", "Net Currency", "Net Debit (NC)", "Net Credit (NC)"}
)
#: Record type -> what it did, and what is added to its reference; see `pardna.formats.adyen`.
_TYPES = {
    "Settled": (Kind.CHARGE, ""),
    "SettledExternally": (Kind.CHARGE, ""),
    "SettledReversed": (Kind.CHARGE, "/reversed"),
    "Refunded": (Kind.REFUND, ""),
    "RefundedExternally": (Kind.REFUND, ""),
    "RefundedReversed": (Kind.REFUND, "/reversed"),
    "Chargeback": (Kind.DISPUTE, ""),
    "ChargebackExternally": (Kind.DISPUTE, ""),
    "SecondChargeback": (Kind.DISPUTE, "/second"),
    "ChargebackReversed": (Kind.DISPUTE_REVERSAL, "/reversed"),
    "Fee": (Kind.FEE, ""),
    "MiscCosts": (Kind.FEE, ""),
    "InvoiceDeduction": (Kind.FEE, ""),
    "AuthorisationSchemeFee": (Kind.FEE, ""),
    "MerchantPayout": (Kind.PAYOUT, ""),
    "PaidOut": (Kind.TRANSFER, ""),
    "PaidOutReversed": (Kind.TRANSFER, "/reversed"),
}
_FEES = ("Commission (NC)", "Markup (NC)", "Scheme Fees (NC)", "Interchange (NC)")
_READ = NEEDED | {
    *("Merchant Account", "Merchant Reference", "TimeZone", "Modification Reference", "ARN"),
    *("Gross Currency", "Gross Debit (GC)", "Gross Credit (GC)", "Batch Number", *_FEES),
}
_HOURS = {"UTC": 0, "GMT": 0, "BST": 1, "CET": 1, "CEST": 2, "EST": -5, "EDT": -4, "CST": -6}
_HOURS |= {"CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7, "SGT": 8, "HKT": 8, "JST": 9}
_HOURS |= {"BRT": -3, "AEST": 10, "AEDT": 11, "AWST": 8, "NZST": 12, "NZDT": 13, "WET": 0, "EET": 2}


def read(data: bytes, origin: Origin) -> Parsed:
    """The movements of a report. Raises UnreadableFile when a needed column is missing."""
    return collect(FORMAT, stream(io.BytesIO(data), origin))


def stream(file: BinaryIO, origin: Origin) -> Iterator[Item]:
    """The same, row by row."""
    ids = EntryIds()
    for row in rows(file, NEEDED, _READ):
        if isinstance(row, Problem):
            yield row
            continue
        try:
            yield _one(row[1], origin, row[0], ids)
        except ROW_ERRORS as error:
            yield problem_of(error, row[0])


def _one(row: Row, origin: Origin, position: str, ids: EntryIds) -> Transaction:
    currency = currency_of(row["Net Currency"])
    net = _signed(row, "Net Credit (NC)", "Net Debit (NC)", currency)
    kind, suffix = _TYPES.get(row["Type"], (Kind.ADJUSTMENT, ""))
    fee = _fee(row, net, currency) if kind not in (Kind.PAYOUT, Kind.FEE) else 0
    reference = row.get("Modification Reference", "").strip() or row["Psp Reference"].strip()
    account, batch = row.get("Merchant Account", ""), row.get("Batch Number", "").strip()
    moment = _moment(row)
    if kind is Kind.PAYOUT:
        reference = f"payout/{account}/{batch}/{currency}"
    elif not reference or kind in (Kind.FEE, Kind.ADJUSTMENT):
        # These have no object of their own: type, batch and amount, counted where all agree.
        about = (account, batch, row["Type"], reference)
        reference = ids.of(reference, moment.date().isoformat(), net, about)
    own = {Kind.CHARGE: "charge", Kind.REFUND: "refund", Kind.DISPUTE: "dispute"}.get(kind)
    if own and _foreign(row, currency):
        suffix = f"{suffix}/{currency}"
    return movement(
        origin,
        position,
        external_id=f"{reference}{suffix}",
        kind=kind,
        amount=net + (fee or 0),
        currency=currency,
        occurred_at=moment,
        account=account,
        fee=fee,
        net=None if fee is None else net,
        batch_id=f"{account}/{batch}" if batch else "",
        description=row["Type"],
        named=[
            *([(own, reference, STRONG)] if own else []),
            ("payment", row["Psp Reference"].strip(), WEAK),
            ("payout", f"{account}/{batch}" if kind is Kind.PAYOUT else "", WEAK),
            ("order", row.get("Merchant Reference", ""), WEAK),
            ("acquirer_reference", row.get("ARN", ""), WEAK),
        ],
    )


def _foreign(row: Row, currency: str) -> bool:
    return row.get("Gross Currency", "").strip().upper() not in ("", currency)


def _fee(row: Row, net: int, currency: str) -> int | None:
    """What stayed with the processor: gross less net, or the fee columns across currencies."""
    if row.get("Gross Currency", "").strip().upper() == currency:
        gross = _signed(row, "Gross Credit (GC)", "Gross Debit (GC)", currency)
        return gross - net
    parts = [exact(row.get(name, "").strip() or "0", currency) for name in _FEES]
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None


def _signed(row: Row, credit: str, debit: str, currency: str) -> int:
    return _minor(row.get(credit, ""), currency) - _minor(row.get(debit, ""), currency)


def _minor(text: str, currency: str) -> int:
    return minor_from_text(text.strip(), currency) if text.strip() else 0


def _moment(row: Row) -> datetime:
    """The report's local time in UTC; its zones are abbreviations."""
    zone = row.get("TimeZone", "").strip().upper()
    try:
        moment = datetime.fromisoformat(row["Creation Date"].strip())
        if moment.tzinfo is None and zone and zone not in _HOURS:
            raise InvalidInput("row.time", "the time zone is unknown")
        return in_utc(moment, _zone(_HOURS.get(zone, 0)))
    except ValueError:
        raise InvalidInput("row.time", "the creation date is none") from None


@cache
def _zone(hours: int) -> timezone:
    return timezone(timedelta(hours=hours))
