"""Rows of text, read by a profile into transactions and statements. See `pardna.formats.profile`.

Shared by CSV and fixed width, which differ only in how a row's cells are found. A row that cannot
be read is named and left out; the totals that the file states are compared with what was read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from pardna.formats.day_reader import DayReader
from pardna.formats.items import Item
from pardna.formats.model import Origin, Problem, Severity, Statement
from pardna.formats.profile import Amounts, Column, Marked, Profile
from pardna.formats.text import EntryIds, clean, found_in, references, sorted_references
from pardna.money.model import MoneyError, exponent, minor_from_text
from pardna.runtime.errors import InvalidInput
from pardna.transactions.model import Counterparty, Kind, Side, Transaction

#: How many ids are remembered to find one that comes twice.
IDS_MAX = 2_000_000
#: Names of accounts that are remembered as written.
NAMES_MAX = 10_000
Cell = Callable[[Column], str]
_SYMBOLS = re.compile(r"^(?:[A-Z]{0,3}\s?[$£€¥₹]|[A-Z]{3}\s)\s*|\s*(?:[$£€¥₹]|\s[A-Z]{3})$")


@dataclass
class _Account:
    """What was read of one account."""

    currency: str
    source: str
    sum_minor: int = 0
    entries: int = 0
    first: tuple[int, int] | None = None  # amount and balance of its first row
    last: tuple[int, int] | None = None
    from_day: date | None = None
    to_day: date | None = None
    ids: EntryIds = field(default_factory=EntryIds)


class Mapper:
    """Reads the rows of one file."""

    def __init__(self, profile: Profile, origin: Origin) -> None:
        self.profile = profile
        self.origin = origin
        self.stated: dict[str, str] = {}
        self.accounts: dict[str, _Account] = {}
        self.seen: set[int] = set()
        self.rows = 0
        self.debits = 0
        self.credits = 0
        self.skips = [(s.column, {v.strip().upper() for v in s.values}) for s in profile.skip]
        self.kinds = {k.strip().upper(): v for k, v in profile.kinds.values.items()}
        formats = profile.dates.formats
        self.day_of = DayReader(formats)
        self.names: dict[str, str] = {}
        self.timed = any("%H" in f or "%I" in f for f in formats)
        self.zone: tzinfo = UTC if profile.dates.zone == "UTC" else ZoneInfo(profile.dates.zone)

    def state(self, marked: Marked, cell: Cell) -> None:
        """Take down what a marked line states."""
        for what, at in marked.states.items():
            value = cell(at).strip()
            if value:
                self.stated[what] = value

    def row(self, cell: Cell, position: str) -> Transaction | Problem | None:
        """What one row says; nothing, where the profile leaves such rows out."""
        self.rows += 1
        for column, values in self.skips:
            if cell(column).strip().upper() in values:
                return None
        if self._repeated(cell):
            # Two rows of one id would be two versions of one movement, and money would vanish.
            return Problem("row.repeated", position, "its id came before in this file", "id")
        try:
            return self._transaction(cell, position)
        except MoneyError as error:
            return Problem("row.amount", position, _without_value(error), "amount")
        except InvalidInput as error:
            return Problem(error.code, position, error.detail)

    def _repeated(self, cell: Cell) -> bool:
        """Whether a row's id came before."""
        columns = self.profile.id_columns
        if not columns:
            return False
        key = hash(tuple([cell(c).strip() for c in columns]))
        if key in self.seen:
            return True
        if len(self.seen) < IDS_MAX:
            self.seen.add(key)
        return False

    def _transaction(self, cell: Cell, position: str) -> Transaction:
        profile = self.profile
        account_name = self._account_name(
            (cell(profile.account_column) if profile.account_column is not None else "")
            or profile.account
            or self.stated.get("account")
            or self.origin.account
        )
        currency = self._currency(cell)
        amount = _amount(profile.amounts, cell, currency)
        gross, fee, net = self._parts(cell, amount, currency)
        occurred, value_day = self._dates(cell)
        account = self.accounts.get(account_name)
        if account is None:
            account = _Account(currency, self.origin.source(account_name))
            self.accounts[account_name] = account
        if account.currency != currency:
            raise InvalidInput("row.currency", "its account's other rows are in another currency")
        texts = [clean(cell(c)) for c in profile.description_columns]
        description = clean(" ".join([t for t in texts if t])) if len(texts) != 1 else texts[0]
        found = references([(r.type, cell(r.column), r.strength) for r in profile.references])
        if description:
            found |= found_in(description, wrapped=description.replace(" ", ""))
        name = clean(cell(profile.name_column)) if profile.name_column is not None else ""
        day = value_day or occurred.date()
        other = profile.counterparty_account_column
        transaction = Transaction(
            tenant_id=self.origin.tenant_id,
            source=account.source,
            external_id=self._identity(cell, account, day, amount, (description, name)),
            side=profile.side,
            kind=self._kind(cell),
            amount_minor=amount,
            currency=currency,
            occurred_at=occurred,
            raw_sha256=self.origin.raw_sha256,
            raw_position=position,
            value_date=value_day or (day if profile.side is Side.BANK else None),
            account=account_name,
            gross_minor=gross,
            fee_minor=fee,
            net_minor=net,
            counterparty=Counterparty(name, clean(cell(other)) if other is not None else ""),
            description=description,
            references=sorted_references(found),
            batch_id=clean(cell(profile.batch_column), 200)
            if profile.batch_column is not None
            else "",
        )
        self._count(account, transaction, cell)
        return transaction

    def _count(self, account: _Account, transaction: Transaction, cell: Cell) -> None:
        amount, day = transaction.amount_minor, transaction.value_date
        account.entries += 1
        account.sum_minor += amount
        if amount < 0:
            self.debits += -amount
        else:
            self.credits += amount
        day = day or transaction.occurred_at.date()
        if account.from_day is None or day < account.from_day:
            account.from_day = day
        if account.to_day is None or day > account.to_day:
            account.to_day = day
        balance = self.profile.amounts.balance
        if balance is not None and (written := cell(balance).strip()):
            pair = amount, number(written, self.profile.amounts, account.currency)
            account.first = account.first or pair
            account.last = pair

    def _account_name(self, written: str) -> str:
        """As it is kept; a file names few, and each on many rows."""
        name = self.names.get(written)
        if name is None:
            name = clean(written, 100)
            if len(self.names) < NAMES_MAX:
                self.names[written] = name
        return name

    def _currency(self, cell: Cell) -> str:
        profile = self.profile
        column = profile.currency_column
        written = cell(column).strip() if column is not None else ""
        currency = (written or profile.currency or self.stated.get("currency", "")).upper()
        exponent(currency)
        return currency

    def _parts(
        self, cell: Cell, amount: int, currency: str
    ) -> tuple[int | None, int | None, int | None]:
        """Gross, fee and net, where the file has a fee; a fee may be written as cost or as minus."""
        amounts = self.profile.amounts
        if amounts.fee is None:
            return None, None, None
        written = cell(amounts.fee).strip()
        fee = abs(number(written, amounts, currency)) if written else 0
        if amounts.net is None:
            return amount, fee, amount - fee
        net = number(cell(amounts.net), amounts, currency)
        net = -net if amounts.negated else net
        # A fee that is given back, with a refund for instance, makes net more than gross.
        if amount - fee != net and amount + fee == net:
            fee = -fee
        if amount - fee != net:
            raise InvalidInput("row.net", "gross less fee is not net")
        return amount, fee, net

    def _dates(self, cell: Cell) -> tuple[datetime, date | None]:
        dates = self.profile.dates
        written = cell(dates.occurred).strip()
        if dates.time is not None:
            written = f"{written} {cell(dates.time).strip()}"
        moment = self.day_of(written)
        if moment is None:
            raise InvalidInput("row.date", "the date is none in the profile's formats")
        # A date alone keeps its day, whatever the zone.
        zone = self.zone if self.timed else UTC
        aware = moment if self.timed and moment.tzinfo else moment.replace(tzinfo=zone)
        value = self.day_of(cell(dates.value).strip()) if dates.value else None
        if aware.tzinfo is not UTC:
            aware = aware.astimezone(UTC)
        return aware, None if value is None else value.date()

    def _identity(
        self, cell: Cell, account: _Account, day: date, amount: int, texts: tuple[str, str]
    ) -> str:
        columns = self.profile.id_columns
        if columns:
            named = "/".join([clean(cell(c), 90) for c in columns])
            if not named.strip("/"):
                raise InvalidInput("row.id", "it has no id")
            return named[:200]
        strongest = next((v for r in self.profile.references if (v := clean(cell(r.column)))), "")
        return account.ids.of(strongest, day.isoformat(), amount, texts)

    def _kind(self, cell: Cell) -> Kind:
        kinds = self.profile.kinds
        if kinds.column is None:
            return kinds.default
        return self.kinds.get(cell(kinds.column).strip().upper(), kinds.default)

    def end(self) -> Iterator[Item]:
        """Statements, and what the stated totals say about the rows."""
        yield from self._controls()
        if self.profile.side is not Side.BANK:
            return
        alone = len(self.accounts) == 1
        for name, account in self.accounts.items():
            opening, closing = self._balances(account, alone)
            yield Statement(
                source=self.origin.source(name),
                account=name,
                statement_id=f"{name or self.profile.name}/{account.to_day or 'undated'}",
                currency=account.currency,
                opening_minor=opening,
                closing_minor=closing,
                entries_minor=account.sum_minor,
                entries_count=account.entries,
                position=f"account {name}" if name else "file",
                from_date=account.from_day,
                to_date=account.to_day,
            )

    def _balances(self, account: _Account, alone: bool) -> tuple[int | None, int | None]:
        """As stated, else as the running balance of the first and the last row gives them."""
        opening = closing = None
        if account.first is not None and account.last is not None:
            first, last = account.first, account.last
            if self.profile.newest_first:
                first, last = last, first
            opening, closing = first[1] - first[0], last[1]
        if alone:
            for what in ("opening", "closing"):
                if what in self.stated:
                    value = self._stated_number(what, account.currency)
                    opening, closing = (value, closing) if what == "opening" else (opening, value)
        return opening, closing

    def _stated_number(self, what: str, currency: str) -> int | None:
        try:
            return number(self.stated[what], self.profile.amounts, currency)
        except MoneyError:
            return None

    def _controls(self) -> Iterator[Problem]:
        currency = next((a.currency for a in self.accounts.values()), self.profile.currency)
        is_so = {
            "total": self.credits - self.debits,
            "debits": self.debits,
            "credits": self.credits,
        }
        for what, value in is_so.items():
            if what not in self.stated or not currency:
                continue
            said = self._stated_number(what, currency)
            if said is None or (said if what == "total" else abs(said)) != value:
                reason = f"the file's own {what} is not what its rows give"
                yield Problem(f"control.{what}", "control line", reason, what)
        if "count" in self.stated:
            written = self.stated["count"].strip()
            if not written.isdigit() or int(written) != self.rows:
                reason = f"the file's own count is not that of its rows ({self.rows})"
                yield Problem("control.count", "control line", reason, "count")
        if not self.rows:
            reason = "there is no row in it"
            yield Problem("file.no_rows", "file", reason, severity=Severity.WARNING)


def stray(ended: bool, position: str) -> Problem:
    """A line that is neither a row nor marked, or that follows the footer."""
    if ended:
        return Problem("row.after_footer", position, "a row follows the footer")
    return Problem("row.kind", position, "the profile knows no such kind of line")


def _amount(amounts: Amounts, cell: Cell, currency: str) -> int:
    if amounts.amount is not None:
        value = number(cell(amounts.amount), amounts, currency)
        if amounts.direction is not None:
            marked = cell(amounts.direction).strip().upper()
            if marked in {v.upper() for v in amounts.debit_values}:
                value = -abs(value)
            elif marked in {v.upper() for v in amounts.credit_values}:
                value = abs(value)
            else:
                raise InvalidInput("row.direction", "it says neither credit nor debit")
    else:
        debit = cell(amounts.debit).strip() if amounts.debit is not None else ""
        credit = cell(amounts.credit).strip() if amounts.credit is not None else ""
        out = number(debit, amounts, currency) if debit else 0
        into = number(credit, amounts, currency) if credit else 0
        if out and into:
            raise InvalidInput("row.amount", "both a debit and a credit are given")
        if not debit and not credit:
            raise InvalidInput("row.amount", "neither a debit nor a credit is given")
        value = into + (out if amounts.debit_is_negative else -out)
    return -value if amounts.negated else value


def number(text: str, amounts: Amounts, currency: str) -> int:
    """Minor units of an amount as the profile writes it; raises MoneyError for anything else.

    Understood besides a plain number: a sign before or behind, parentheses or ``DR`` for minus,
    ``CR`` for plus, a currency's code or symbol around it.
    """
    mark, minor_units = amounts.decimal_mark, amounts.minor_units
    if not minor_units:
        # As nearly all are written: digits, a mark, digits.
        whole, _, part = text.partition(mark)
        body = whole[1:] if whole[:1] == "-" else whole
        plain = body + part
        if body and plain.isdigit() and plain.isascii():
            minor = minor_from_text(f"{body}.{part or '0'}", currency)
            return minor if body is whole else -minor
    return _number(text, mark, amounts.thousands_mark, minor_units, currency)


@lru_cache(maxsize=4096)
def _number(text: str, mark: str, thousands: str, minor_units: bool, currency: str) -> int:
    plain = text.replace("\u00a0", " ").replace("\u202f", " ").replace("\u2212", "-").strip()
    negative = False
    if plain.startswith("(") and plain.endswith(")"):
        plain, negative = plain[1:-1].strip(), True
    tail = plain[-2:].upper()
    if tail in ("CR", "DR") and len(plain) > 2:
        plain, negative = plain[:-2].strip(), tail == "DR"
    if plain.endswith(("-", "+")):
        plain, negative = plain[:-1].strip(), plain[-1] == "-"
    if plain[:1] in ("-", "+"):
        plain, negative = plain[1:].strip(), plain[0] == "-"
    plain = _SYMBOLS.sub("", _SYMBOLS.sub("", plain)).strip()
    if plain[:1] == "-" and text.count("-") == 1:  # behind the symbol: $-5
        plain, negative = plain[1:].strip(), True
    whole, point, part = plain.partition(mark)
    if thousands and thousands in whole:
        groups = whole.split(thousands)
        if not (1 <= len(groups[0]) <= 3) or len(groups[-1]) != 3:
            raise MoneyError("its thousands are not set as the profile says")
        if any(len(g) not in (2, 3) for g in groups[1:]):
            raise MoneyError("its thousands are not set as the profile says")
        whole = "".join(groups)
    digits = whole.isascii() and (whole.isdigit() or (not whole and part.isdigit()))
    if not digits or (point and not (part.isascii() and part.isdigit()) and part):
        raise MoneyError("it is not a number as the profile writes it")
    if minor_units:
        if part.strip("0"):
            raise MoneyError("it is not whole minor units")
        value = int(whole or "0")
        exponent(currency)
    else:
        value = minor_from_text(f"{whole or '0'}.{part or '0'}", currency)
    return -value if negative else value


def _without_value(error: MoneyError) -> str:
    """The error's words, but none of the row's data."""
    words = str(error)
    if words.startswith("unknown currency"):
        return "the currency is not one"
    if "decimals" in words:
        return "it has more decimals than its currency"
    return words if words.startswith("it") else "the amount cannot be read"
