"""A profile: how one sender's CSV or fixed-width file is to be read. Data, validated, no code.

Whoever sets up a source writes it (or picks one), tries it on a sample and saves it. There are no
regular expressions in it: a profile comes from outside, and a bad pattern could stop the reader.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pardna.money.model import MoneyError, exponent
from pardna.runtime.errors import InvalidInput
from pardna.transactions.model import Kind, Side, Strength


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Span(_Part):
    """Characters of a fixed-width line, counted from one."""

    start: Annotated[int, Field(ge=1, le=100_000)]
    length: Annotated[int, Field(ge=1, le=10_000)]


Name = Annotated[str, Field(min_length=1, max_length=200)]
#: A CSV's column by its heading, or a cell by its number from one, or a span of characters.
Column = Name | Annotated[int, Field(ge=1, le=1000)] | Span


class Amounts(_Part):
    """Where amounts are and how they are written.

    Either `amount` (signed, or with `direction`), or `debit` and `credit`. `negated` turns signs
    around, for a card account whose purchases are written positive. `minor_units` are amounts
    without a point. With `fee` a processor's rows are gross less fee; `net` is checked where given.
    """

    amount: Column | None = None
    debit: Column | None = None
    credit: Column | None = None
    direction: Column | None = None
    credit_values: tuple[str, ...] = ("C", "CR", "CREDIT", "+")
    debit_values: tuple[str, ...] = ("D", "DR", "DEBIT", "-")
    debit_is_negative: bool = False
    negated: bool = False
    fee: Column | None = None
    net: Column | None = None
    balance: Column | None = None
    decimal_mark: Literal[".", ","] = "."
    thousands_mark: Literal["", ",", ".", " ", "'", "’"] = ","
    minor_units: bool = False

    def written(self) -> list[Column]:
        """The columns that hold numbers."""
        every = (self.amount, self.debit, self.credit, self.fee, self.net, self.balance)
        return [c for c in every if c is not None]

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        split = self.debit is not None and self.credit is not None
        if (self.amount is None) == (not split) or (split and self.amount is not None):
            raise ValueError("either an amount, or a debit and a credit")
        if (self.debit is None) != (self.credit is None):
            raise ValueError("a debit needs a credit beside it")
        if self.direction is not None and self.amount is None:
            raise ValueError("a direction belongs to an amount")
        if self.decimal_mark == self.thousands_mark:
            raise ValueError("decimal and thousands marks are the same")
        return self


class Dates(_Part):
    """Where dates are and how they are written (the directives of Python's strptime)."""

    occurred: Column
    time: Column | None = None
    value: Column | None = None
    formats: tuple[Name, ...] = ("%Y-%m-%d",)
    zone: str = "UTC"

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if not self.formats:
            raise ValueError("at least one date format")
        probe = datetime(2026, 12, 31, 23, 58, 59, tzinfo=UTC)
        for written in self.formats:
            try:
                back = datetime.strptime(probe.strftime(written), written)  # noqa: DTZ007
            except (ValueError, re.error):  # re.error: a directive that comes twice
                raise ValueError(f"{written!r} is no date format") from None
            if abs(back.date() - date(2026, 12, 31)) > timedelta(days=1):
                raise ValueError(f"{written!r} does not hold a whole date")
        try:
            ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"{self.zone!r} is no time zone") from None
        return self


class ReferenceColumn(_Part):
    """A column that holds a reference, of which type and how strong."""

    column: Column
    type: Annotated[str, Field(pattern=r"^[a-z_]{2,30}$")] = "bank_reference"
    strength: Strength = Strength.WEAK


class Kinds(_Part):
    """What the money did, by a column's value (compared without case); else `default`."""

    column: Column | None = None
    values: dict[str, Kind] = Field(default_factory=dict)
    default: Kind = Kind.TRANSFER


class Skip(_Part):
    """Rows that move no money: those whose column has one of these values (pending, declined)."""

    column: Column
    values: Annotated[tuple[str, ...], Field(min_length=1)]


Stated = Literal["account", "currency", "opening", "closing", "count", "total", "debits", "credits"]


class Marked(_Part):
    """A line of header or footer that states something: ``Opening Balance,,1 000.00``.

    The line is the one whose cell (or span) `at` reads `marker`, without case and outer blanks;
    what it states are other cells of it. After a footer line no row may follow.
    """

    marker: Name
    at: Annotated[int, Field(ge=1)] | Span = 1
    states: dict[Stated, Annotated[int, Field(ge=1)] | Span]
    footer: bool = False


class Profile(_Part):
    """The whole of it. See the parts.

    `skip_lines` are left out unread at the start. `detail` is how a row is marked, where a file mixes
    kinds of lines. `newest_first` says that the first row is the last to have happened.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{1,60}$")]
    kind: Literal["csv", "fixed_width"] = "csv"
    side: Side = Side.BANK
    encoding: Literal["", "utf-8", "utf-8-sig", "utf-16", "latin-1", "cp1252"] = ""
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    quote: Annotated[str, Field(max_length=1)] = '"'
    headings: bool = True
    skip_lines: Annotated[int, Field(ge=0, le=1000)] = 0
    detail: Marked | None = None
    known_columns: tuple[str, ...] = ()
    account: str = ""
    account_column: Column | None = None
    currency: str = ""
    currency_column: Column | None = None
    amounts: Amounts
    dates: Dates
    id_columns: tuple[Column, ...] = ()
    description_columns: tuple[Column, ...] = ()
    name_column: Column | None = None
    counterparty_account_column: Column | None = None
    references: tuple[ReferenceColumn, ...] = ()
    batch_column: Column | None = None
    kinds: Kinds = Kinds()
    skip: tuple[Skip, ...] = ()
    marked: tuple[Marked, ...] = ()
    newest_first: bool = False

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.currency:
            try:
                exponent(self.currency)
            except MoneyError as error:
                raise ValueError(str(error)) from None
        states = {what for marked in self.marked for what in marked.states}
        if not self.currency and self.currency_column is None and "currency" not in states:
            raise ValueError("a currency, or where to find it")
        if self.kind == "csv" and self.delimiter in ("\n", "\r", self.quote):
            raise ValueError("this cannot delimit cells")
        wanted = Span if self.kind == "fixed_width" else (str, int)
        if not all(isinstance(c, wanted) for c in self.columns()):
            raise ValueError("spans are for fixed width, headings and numbers for CSV")
        if not self.headings and any(isinstance(c, str) for c in self.columns()):
            raise ValueError("without headings columns have numbers")
        return self

    def columns(self) -> list[Column]:
        """All columns that it reads."""
        a, d = self.amounts, self.dates
        single = (
            *(*a.written(), a.direction),
            *(d.occurred, d.time, d.value),
            *(self.account_column, self.currency_column, self.name_column),
            *(self.counterparty_account_column, self.batch_column, self.kinds.column),
        )
        lists = (
            *self.id_columns,
            *self.description_columns,
            *(r.column for r in self.references),
            *(s.column for s in self.skip),
        )
        return [c for c in (*single, *lists) if c is not None]


def read_profile(text: str | bytes) -> Profile:
    """A profile from its JSON; raises InvalidInput ``profile.invalid`` with the first thing wrong."""
    try:
        return Profile.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "profile"
        raise InvalidInput("profile.invalid", f"{where}: {first['msg']}") from None
