"""The bank's books: accounts, entries, statements, payments. Every action is idempotent.

There is no wall clock: dates come from requests and payment files, and ids follow from content, so
that the same story told twice leaves the same books and the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta
from pathlib import Path

from local.bank.codes import CODES
from local.bank.model import BANKS, Account, Entry, Payment, Refused, Statement, checked_date

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def _first_accounts() -> dict[str, Account]:
    return {
        "404385912": Account("ncb", "404385912", "JMD", "Pardna Client Funds", 25_000_000),
        "831047265": Account("bns", "831047265", "USD", "Pardna Client Funds", 250_000),
    }


@dataclass
class Books:
    """Everything that the bank knows. `messages` are the payment files it has seen, by bank and id;
    `refusals` are creditor accounts that it will not pay, with the reason code."""

    accounts: dict[str, Account] = field(default_factory=_first_accounts)
    entries: dict[str, Entry] = field(default_factory=dict)
    statements: list[Statement] = field(default_factory=list)
    payments: list[Payment] = field(default_factory=list)
    messages: dict[str, int] = field(default_factory=dict)
    refusals: dict[str, str] = field(default_factory=dict)

    def account(self, number: str) -> Account:
        """The account with this number. Raises `Refused`."""
        try:
            return self.accounts[number]
        except KeyError:
            raise Refused(f"no such account: {number}") from None

    def open_account(self, account: Account) -> Account:
        """Open an account, or find the one that was opened alike. Raises `Refused`."""
        if account.bank not in BANKS:
            raise Refused(f"bank must be one of {', '.join(BANKS)}")
        if not account.number.isdigit() or not 1 <= len(account.number) <= 18:
            raise Refused("an account number has 1 to 18 digits")
        existing = self.accounts.setdefault(account.number, account)
        if existing != account:
            raise Refused(f"account {account.number} exists and differs")
        return existing

    def book(self, entry: Entry) -> Entry:
        """Book an entry, on the first day whose statement is not yet written. Raises `Refused`.

        An entry with the same id was booked before: that one is returned.
        """
        if entry.id in self.entries:
            return self.entries[entry.id]
        self.account(entry.account)
        if entry.kind not in CODES:
            raise Refused(f"kind must be one of {', '.join(CODES)}")
        if entry.amount_minor == 0:
            raise Refused("amount must not be zero")
        last = self._last_statement(entry.account)
        if last is not None and entry.booking_date <= last.date:
            entry.booking_date = _next_day(last.date)
        self.entries[entry.id] = entry
        return entry

    def balance_minor(self, number: str) -> int:
        """The balance with everything that is booked, whatever its date."""
        account = self.account(number)
        booked = (one.amount_minor for one in self.entries.values() if one.account == number)
        return account.opening_minor + sum(booked)

    def close_day(self, number: str, day: str) -> Statement:
        """The statement up to and including `day`: the one that exists, or a new one.

        Raises `Refused` for a day before the last statement that has none of its own.
        """
        self.account(number)
        checked_date(day)
        for statement in self.statements:
            if (statement.account, statement.date) == (number, day):
                return statement
        last = self._last_statement(number)
        if last is not None and day < last.date:
            raise Refused(f"the last statement of {number} is of {last.date}")
        stated = {one for done in self.statements for one in done.entries}
        fresh = [
            one
            for one in self.entries.values()
            if one.account == number and one.booking_date <= day and one.id not in stated
        ]
        fresh.sort(key=lambda one: one.booking_date)
        opening = last.closing_minor if last else self.account(number).opening_minor
        statement = Statement(
            account=number,
            date=day,
            first_date=_next_day(last.date) if last else min([day, *_dates(fresh)]),
            sequence=last.sequence + 1 if last else 1,
            opening_minor=opening,
            closing_minor=opening + sum(one.amount_minor for one in fresh),
            entries=[one.id for one in fresh],
        )
        self.statements.append(statement)
        return statement

    def entries_of(self, statement: Statement) -> list[Entry]:
        """A statement's entries, in booking order."""
        return [self.entries[one] for one in statement.entries]

    def canonical(self) -> str:
        """The same text for the same books."""
        return json.dumps(asdict(self), separators=(",", ":"))

    def _last_statement(self, number: str) -> Statement | None:
        own = [one for one in self.statements if one.account == number]
        return max(own, key=lambda one: one.date, default=None)


class BookFile:
    """The books on disk, replaced as a whole."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> Books:
        """The books as last saved, or new ones."""
        if not self._path.exists():
            return Books()
        stored = json.loads(self._path.read_text(encoding="utf-8"))
        return Books(
            accounts={key: Account(**one) for key, one in stored["accounts"].items()},
            entries={key: Entry(**one) for key, one in stored["entries"].items()},
            statements=[Statement(**one) for one in stored["statements"]],
            payments=[Payment(**one) for one in stored["payments"]],
            messages=stored["messages"],
            refusals=stored["refusals"],
        )

    def save(self, books: Books) -> None:
        """Write the books."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_name(self._path.name + ".tmp")
        temporary.write_text(books.canonical(), encoding="utf-8")
        os.replace(temporary, self._path)


def entry_id(kind: str, *parts: object) -> str:
    """A reference of 16 characters, which is what MT940 has room for, from an entry's content."""
    digest = hashlib.sha256("\x1f".join(str(part) for part in (kind, *parts)).encode()).digest()
    number = int.from_bytes(digest, "big")
    out = []
    for _ in range(14):
        number, remainder = divmod(number, len(_CROCKFORD))
        out.append(_CROCKFORD[remainder])
    return kind[:2].upper() + "".join(out)


def _dates(entries: list[Entry]) -> list[str]:
    return [one.booking_date for one in entries]


def _next_day(day: str) -> str:
    return (date.fromisoformat(day) + timedelta(days=1)).isoformat()
