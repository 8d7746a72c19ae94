"""PayPal's settlement report (STL): records RH, FH, SH, CH, SB, SF, SC, RF, RC, FF.

Source: PayPal's settlement report specification. Amounts are in hundredths whatever the currency
(100 yen are ``10000``), unsigned, with CR or DR beside them. Columns are found by the names that the
CH record gives. A section's footer (gross and fees, credits and debits) and count are controls.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import BinaryIO

from pardna.formats.instants import from_iso
from pardna.formats.items import Item, collect
from pardna.formats.model import Origin, Parsed, Problem, Severity
from pardna.formats.psp import (
    STRONG,
    WEAK,
    currency_of,
    guarded,
    identifier,
    movement,
    rescaled,
    whole,
)
from pardna.formats.text_lines import LINE_MAX, text_of
from pardna.money.model import MoneyError
from pardna.runtime.errors import InvalidInput, UnreadableFile
from pardna.transactions.model import Kind, Transaction

FORMAT = "paypal.settlement"
_NEEDED = {
    "Transaction ID",
    "Transaction Event Code",
    "Transaction Debit or Credit",
    "Gross Transaction Amount",
    "Gross Transaction Currency",
}
#: A column that the transaction detail report (TRR) has, of the same records, and this one has not.
_STATUS = "Transactional Status"
_DIGITS = 2
#: First characters of an event code -> what it did; the longest that fits counts.
_KINDS = {
    "T00": Kind.CHARGE,
    "T0001": Kind.TRANSFER,
    "T01": Kind.FEE,
    "T03": Kind.TRANSFER,
    "T04": Kind.PAYOUT,
    "T11": Kind.ADJUSTMENT,
    "T1106": Kind.DISPUTE,
    "T1107": Kind.REFUND,
    "T1108": Kind.FEE,
    "T1201": Kind.DISPUTE,
    "T1202": Kind.DISPUTE_REVERSAL,
    "T2001": Kind.PAYOUT,
}


def read(data: bytes, origin: Origin) -> Parsed:
    """The movements of a report. Raises UnreadableFile when it has no columns that we need."""
    return collect(FORMAT, stream(io.BytesIO(data), origin))


@dataclass
class _Section:
    """A section, with what its footers are compared with."""

    account: str = ""
    ends: str = ""
    names: list[str] = field(default_factory=list)
    rows: int = 0
    sums: Counter[tuple[str, str]] = field(default_factory=Counter)


def stream(file: BinaryIO, origin: Origin) -> Iterator[Item]:
    """The same, record by record."""
    section = _Section()
    seen = closed = False
    for line, cells in _records(file):
        position, code = f"line {line}", cells[0].strip().upper()
        if code == "SH":
            section = _Section(
                cells[3] if len(cells) > 3 else "", cells[2] if len(cells) > 2 else ""
            )
        elif code == "CH":
            section.names = [c.strip() for c in cells]
            missing = _NEEDED - set(section.names)
            if _STATUS in section.names:
                # It lists what moved no money too: authorisations, and what is pending or denied.
                raise UnreadableFile("paypal.detail_report", "this is a transaction detail report")
            if missing:
                listed = ", ".join(sorted(missing))
                raise UnreadableFile("report.columns", f"the report lacks {listed}")
            seen = True
        elif code == "SB":
            section.rows += 1
            yield from guarded(cells, lambda c, at: _row(c, origin, at, section), position)  # noqa: B023 - used at once
        elif code == "SF":
            yield from _footer(cells, section, position)
        elif code == "SC":
            if len(cells) < 2 or cells[1].strip() != str(section.rows):
                reason = f"the section's count is not that of its rows ({section.rows})"
                yield Problem("paypal.section_count", position, reason)
        elif code == "FF":
            closed = True
    if not seen:
        raise UnreadableFile("report.columns", "the report names no columns")
    if not closed:
        yield Problem(
            "paypal.truncated", "end of file", "the file has no footer", severity=Severity.ERROR
        )


def _records(file: BinaryIO) -> Iterator[tuple[int, list[str]]]:
    text = text_of(file)
    try:
        first = text.readline(LINE_MAX).removeprefix("\ufeff")
        delimiter = max(",\t;", key=first.count)
        reader = csv.reader([first], delimiter=delimiter)
        yield 1, next(reader, [""]) or [""]
        reader = csv.reader(text, delimiter=delimiter, strict=True)
        for cells in reader:
            if any(cells):
                yield reader.line_num + 1, cells
    except csv.Error:
        raise UnreadableFile("csv.malformed", "this is not CSV") from None
    except UnicodeError:
        raise UnreadableFile("text.encoding", f"this is not {text.encoding} throughout") from None
    finally:
        text.detach()


def _row(cells: list[str], origin: Origin, position: str, section: _Section) -> Iterator[Item]:
    if len(cells) != len(section.names):
        raise InvalidInput("row.cells", "more or fewer cells than columns")
    row = dict(reversed(list(zip(section.names, cells, strict=True))))
    transaction = _one(row, origin, position, section)
    side = "credit" if transaction.amount_minor >= 0 else "debit"
    section.sums[transaction.currency, f"gross {side}"] += abs(transaction.amount_minor)
    fee = transaction.fee_minor or 0
    # A fee is a debit of ours, unless it is given back.
    section.sums[transaction.currency, "fee debit" if fee > 0 else "fee credit"] += abs(fee)
    yield transaction


def _one(row: dict[str, str], origin: Origin, position: str, section: _Section) -> Transaction:
    currency = currency_of(row["Gross Transaction Currency"])
    amount = _amount(row["Gross Transaction Amount"], row["Transaction Debit or Credit"], currency)
    fee = 0
    if row.get("Fee Amount", "").strip():
        if row.get("Fee Currency", "").strip().upper() not in ("", currency):
            raise InvalidInput("row.currency", "the fee is in another currency")
        fee = -_amount(row["Fee Amount"], row.get("Fee Debit or Credit", ""), currency)
    code = row["Transaction Event Code"].strip().upper()
    kind = next((_KINDS[code[:n]] for n in (5, 3) if code[:n] in _KINDS), Kind.ADJUSTMENT)
    if kind is Kind.CHARGE and amount < 0:
        kind = Kind.TRANSFER  # a payment that we made
    own_id = identifier(row["Transaction ID"].strip(), "Transaction ID")
    own = {Kind.CHARGE: "charge", Kind.REFUND: "refund", Kind.DISPUTE: "dispute"}.get(kind)
    strength = STRONG if kind is Kind.CHARGE else WEAK
    return movement(
        origin,
        position,
        external_id=own_id,
        kind=kind,
        amount=amount,
        currency=currency,
        occurred_at=_moment(row),
        account=section.account,
        fee=fee,
        batch_id=f"{section.account}/{section.ends[:10].strip()}" if section.ends else "",
        description=f"{code} {row.get('Transaction Subject', '')}",
        named=[
            *([(own, own_id, STRONG)] if own else []),
            ("charge", row.get("PayPal Reference ID"), WEAK),
            ("contribution", row.get("Custom Field"), strength),
            ("order", row.get("Invoice ID"), WEAK),
            ("bank_reference", row.get("Bank Reference ID"), WEAK),
        ],
    )


def _amount(text: str, side: str, currency: str) -> int:
    value = rescaled(whole(text.strip()), _DIGITS, currency)
    marked = side.strip().upper()
    if marked not in ("CR", "DR"):
        raise InvalidInput("row.direction", "an amount is marked neither CR nor DR")
    return value if marked == "CR" else -value


def _moment(row: dict[str, str]) -> datetime:
    """``2026/02/03 10:11:12 -0500``, completion before initiation."""
    for name in ("Transaction Completion Date", "Transaction Initiation Date"):
        text = row.get(name, "").strip()
        if text:
            day, _, rest = text.replace("/", "-").partition(" ")
            try:
                return from_iso(f"{day} {rest.replace(' ', '')}")
            except ValueError:
                raise InvalidInput("row.time", "a date is none") from None
    raise InvalidInput("row.time", "it has no date")


def _footer(cells: list[str], section: _Section, position: str) -> Iterator[Problem]:
    """A section's totals in one currency: gross credits, gross debits, fee credits, fee debits."""
    padded = [*(c.strip() for c in cells), "", "", "", "", ""]
    currency = padded[1].upper()
    names = ("gross credit", "gross debit", "fee credit", "fee debit")
    for name, text in zip(names, padded[2:6], strict=True):
        if not text:
            continue
        try:
            agrees = rescaled(whole(text), _DIGITS, currency) == section.sums[currency, name]
        except (InvalidInput, MoneyError):
            agrees = False
        if not agrees:
            reason = f"the section's total of {name}s is not what its rows give"
            yield Problem("paypal.section_total", position, reason, name)
