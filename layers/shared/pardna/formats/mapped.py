"""Rows of text, read by a profile into transactions. See `pardna.formats.profile`.

Shared by CSV and fixed width, which differ only in how a row's cells are found. A row that cannot
be read is named and left out. What the rows come to is counted by `pardna.formats.mapped_totals`.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime, tzinfo
from zoneinfo import ZoneInfo

from pardna.formats.day_reader import DayReader
from pardna.formats.instants import in_utc
from pardna.formats.mapped_amounts import Cell, number, signed, without_value
from pardna.formats.mapped_totals import Account, Totals
from pardna.formats.model import Origin, Problem
from pardna.formats.profile import Profile
from pardna.formats.text import clean, found_in, references, sorted_references
from pardna.money.model import MoneyError, exponent
from pardna.runtime.errors import InvalidInput
from pardna.transactions.model import Counterparty, Kind, Side, Transaction

#: How many ids are remembered to find one that comes twice.
IDS_MAX = 2_000_000
#: Characters of an id.
ID_MAX = 200
#: Names of accounts that are remembered as written.
NAMES_MAX = 10_000
#: What is written where there is no value date.
_NO_DAY = frozenset("0-./ ")


class Mapper:
    """Reads the rows of one file."""

    def __init__(self, profile: Profile, origin: Origin) -> None:
        self.profile = profile
        self.origin = origin
        self.totals = Totals(profile, origin)
        self.seen: set[int] = set()
        self.skips = [(s.column, {v.strip().upper() for v in s.values}) for s in profile.skip]
        self.kinds = {k.strip().upper(): v for k, v in profile.kinds.values.items()}
        formats = profile.dates.formats
        self.day_of = DayReader(formats)
        self.names: dict[str, str] = {}
        self.timed = any("%H" in f or "%I" in f for f in formats)
        self.zone: tzinfo = UTC if profile.dates.zone == "UTC" else ZoneInfo(profile.dates.zone)

    def row(self, cell: Cell, position: str) -> Transaction | Problem | None:
        """What one row says; nothing, where the profile leaves such rows out."""
        self.totals.rows += 1
        for column, values in self.skips:
            if cell(column).strip().upper() in values:
                return None
        if self._repeated(cell):
            # Two rows of one id would be two versions of one movement, and money would vanish.
            return Problem("row.repeated", position, "its id came before in this file", "id")
        try:
            return self._transaction(cell, position)
        except MoneyError as error:
            return Problem("row.amount", position, without_value(error), "amount")
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
            or self.totals.stated.get("account")
            or self.origin.account
        )
        currency = self._currency(cell)
        amount = signed(profile.amounts, cell, currency)
        gross, fee, net = self._parts(cell, amount, currency)
        occurred, value_day = self._dates(cell)
        balance = self.totals.balance(cell, currency)
        account = self.totals.account(account_name, currency)
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
        self.totals.count(account, transaction, balance)
        return transaction

    def _account_name(self, written: str) -> str:
        """As it is kept; a file names few, and each on many rows."""
        name = self.names.get(written)
        if name is None:
            name = clean(written, 100)
            if len(self.names) < NAMES_MAX and len(written) <= ID_MAX:
                self.names[written] = name
        return name

    def _currency(self, cell: Cell) -> str:
        profile = self.profile
        column = profile.currency_column
        written = cell(column).strip() if column is not None else ""
        currency = (written or profile.currency or self.totals.stated.get("currency", "")).upper()
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
        said = cell(dates.value).strip() if dates.value is not None else ""
        value = self.day_of(said)
        if value is None and not _NO_DAY.issuperset(said):
            raise InvalidInput("row.date", "the value date is none in the profile's formats")
        try:
            aware = in_utc(moment if self.timed else moment.replace(tzinfo=None), zone)
        except ValueError:
            raise InvalidInput("row.date", "the date is outside of the calendar") from None
        return aware, None if value is None else value.date()

    def _identity(
        self, cell: Cell, account: Account, day: date, amount: int, texts: tuple[str, str]
    ) -> str:
        columns = self.profile.id_columns
        if columns:
            named = "/".join([clean(cell(c)) for c in columns])
            if not named.strip("/"):
                raise InvalidInput("row.id", "it has no id")
            if len(named) > ID_MAX:  # what distinguishes two of them may come last
                digest = hashlib.sha256(named.encode()).hexdigest()[:32]
                named = f"{named[:100]}~{digest}"
            return named
        strongest = next((v for r in self.profile.references if (v := clean(cell(r.column)))), "")
        return account.ids.of(strongest, day.isoformat(), amount, texts)

    def _kind(self, cell: Cell) -> Kind:
        kinds = self.profile.kinds
        if kinds.column is None:
            return kinds.default
        return self.kinds.get(cell(kinds.column).strip().upper(), kinds.default)


def stray(ended: bool, position: str) -> Problem:
    """A line that is neither a row nor marked, or that follows the footer."""
    if ended:
        return Problem("row.after_footer", position, "a row follows the footer")
    return Problem("row.kind", position, "the profile knows no such kind of line")
