"""What the bank's books hold. Amounts are whole minor units; dates are ISO texts (YYYY-MM-DD)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Literal

StatementFormat = Literal["camt.053.001.08", "MT940"]


class Refused(ValueError):
    """The bank will not do what it was asked over the control port. The text says why."""


def checked_date(day: str) -> str:
    """The same text if it is a date (YYYY-MM-DD). Raises `Refused`."""
    try:
        parsed = date.fromisoformat(day)
    except ValueError:
        raise Refused(f"not a date (YYYY-MM-DD): {day!r}") from None
    return parsed.isoformat()


@dataclass(frozen=True)
class Bank:
    """A bank: its SFTP user, its BIC, and the format of its statements."""

    user: str
    name: str
    bic: str
    format: StatementFormat


BANKS = {
    bank.user: bank
    for bank in (
        Bank("ncb", "National Commercial Bank Jamaica (simulated)", "JNCBJMKX", "camt.053.001.08"),
        Bank("bns", "Scotiabank Jamaica (simulated)", "NOSCJMKN", "MT940"),
    )
}


@dataclass
class Account:
    """A customer's account. `opening_minor` is the balance before the first entry."""

    bank: str
    number: str
    currency: str
    owner: str
    opening_minor: int


@dataclass
class Entry:
    """One booked movement: `amount_minor` is signed, positive when money comes in.

    `charges_minor` is what the bank kept back from an incoming transfer: the sender sent
    `amount_minor + charges_minor`.
    """

    id: str
    account: str
    amount_minor: int
    booking_date: str
    value_date: str
    kind: str  # a key of `codes.CODES`
    name: str = ""
    counter_account: str = ""
    counter_bic: str = ""
    remittance: str = ""
    creditor_reference: str = ""
    end_to_end: str = ""
    instruction: str = ""
    payment_information: str = ""
    message: str = ""
    charges_minor: int = 0


@dataclass
class Statement:
    """One account's day. Frozen once written: asking again gives the same bytes."""

    account: str
    date: str
    first_date: str
    sequence: int
    opening_minor: int
    closing_minor: int
    entries: list[str] = field(default_factory=list)


@dataclass
class Payment:
    """One instruction out of a payment file, and what became of it."""

    bank: str
    file: str
    message: str
    payment_information: str
    instruction: str
    end_to_end: str
    account: str
    amount_minor: int
    currency: str
    creditor: str
    creditor_account: str
    requested_date: str
    status: str  # ACSC (paid), RJCT, or PDNG while payments are held
    reason: str = ""
    entry: str = ""
