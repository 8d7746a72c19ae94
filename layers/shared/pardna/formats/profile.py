"""A profile: how one sender's CSV or fixed-width file is to be read. Data, validated, no code.

Whoever sets up a source writes it (or picks one), tries it on a sample and saves it. There are no
regular expressions in it: a profile comes from outside, and a bad pattern could stop the reader.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from itertools import combinations
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

    @property
    def end(self) -> int:
        """Its last character."""
        return self.start + self.length - 1

    def meets(self, other: Span) -> bool:
        """Whether a character belongs to both."""
        return self.start <= other.end and other.start <= self.end

    def crosses(self, other: Span) -> bool:
        """Whether each has characters that the other has not, and some belong to both."""
        inside = (self.start - other.start) * (self.end - other.end) <= 0
        return self.meets(other) and not inside


Name = Annotated[str, Field(min_length=1, max_length=200)]
Names = Annotated[tuple[Name, ...], Field(min_length=1, max_length=100)]
#: A CSV's column by its heading, or a cell by its number from one, or a span of characters.
Column = Name | Annotated[int, Field(ge=1, le=1000)] | Span
Columns = Annotated[tuple[Column, ...], Field(max_length=50)]


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
    credit_values: Names = ("C", "CR", "CREDIT", "+")
    debit_values: Names = ("D", "DR", "DEBIT", "-")
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
        if {v.upper() for v in self.credit_values} & {v.upper() for v in self.debit_values}:
            raise ValueError("one value would be both credit and debit")
        if len(set(self.written())) < len(self.written()):
            raise ValueError("one column would be two numbers")
        if self.decimal_mark == self.thousands_mark:
            raise ValueError("decimal and thousands marks are the same")
        return self


class Dates(_Part):
    """Where dates are and how they are written (the directives of Python's strptime)."""

    occurred: Column
    time: Column | None = None
    value: Column | None = None
    formats: Annotated[tuple[Name, ...], Field(min_length=1, max_length=20)] = ("%Y-%m-%d",)
    zone: Name = "UTC"

    def written(self) -> list[Column]:
        """The columns that hold dates and times."""
        return [c for c in (self.occurred, self.time, self.value) if c is not None]

    @model_validator(mode="after")
    def _sound(self) -> Self:
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
    values: dict[Name, Kind] = Field(default_factory=dict, max_length=1000)
    default: Kind = Kind.TRANSFER


class Skip(_Part):
    """Rows that move no money: those whose column has one of these values (pending, declined)."""

    column: Column
    values: Names


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
    delimiter: Annotated[str, Field(pattern=r"^[\t !-/:-@\[-`{-~]$")] = ","
    quote: Annotated[str, Field(pattern=r"^[!-/:-@\[-`{-~]?$")] = '"'
    headings: bool = True
    skip_lines: Annotated[int, Field(ge=0, le=1000)] = 0
    detail: Marked | None = None
    known_columns: Annotated[tuple[str, ...], Field(max_length=1000)] = ()
    account: Annotated[str, Field(max_length=100)] = ""
    account_column: Column | None = None
    currency: str = ""
    currency_column: Column | None = None
    amounts: Amounts
    dates: Dates
    id_columns: Columns = ()
    description_columns: Columns = ()
    name_column: Column | None = None
    counterparty_account_column: Column | None = None
    references: Annotated[tuple[ReferenceColumn, ...], Field(max_length=50)] = ()
    batch_column: Column | None = None
    kinds: Kinds = Kinds()
    skip: Annotated[tuple[Skip, ...], Field(max_length=50)] = ()
    marked: Annotated[tuple[Marked, ...], Field(max_length=100)] = ()
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
        if self.kind == "csv" and self.delimiter == self.quote:
            raise ValueError("this cannot delimit cells")
        wanted = Span if self.kind == "fixed_width" else (str, int)
        if not all(isinstance(c, wanted) for c in self.columns()):
            raise ValueError("spans are for fixed width, headings and numbers for CSV")
        for marked in (*self.marked, *([self.detail] if self.detail is not None else [])):
            self._check_marked(marked)
        self._check_spans()
        if not self.headings and any(isinstance(c, str) for c in self.columns()):
            raise ValueError("without headings columns have numbers")
        return self

    def _check_marked(self, marked: Marked) -> None:
        """A cell is told by its number in CSV, and by its span (or as the start) in fixed width."""
        spans = [isinstance(at, Span) for at in marked.states.values()]
        if self.kind == "csv" and (any(spans) or isinstance(marked.at, Span)):
            raise ValueError("CSV has numbers of cells, and no spans")
        if self.kind == "fixed_width" and not (all(spans) and marked.at in (1, _span(marked.at))):
            raise ValueError("fixed width has spans, and no numbers of cells")

    def _check_spans(self) -> None:
        """Fields of a line lie apart or one within the other; no number shares a character."""
        numbers = {c for c in self.amounts.written() if isinstance(c, Span)}
        dates = {c for c in self.dates.written() if isinstance(c, Span)}
        every = {c for c in self.columns() if isinstance(c, Span)}
        for one, other in combinations(sorted(every, key=lambda c: (c.start, c.end)), 2):
            apart = one in numbers or other in numbers
            counted = {one, other} <= numbers | dates
            if one.crosses(other) or (apart and counted and one.meets(other)):
                where = f"{one.start}-{one.end} and {other.start}-{other.end}"
                raise ValueError(f"the fields at {where} overlap")

    def columns(self) -> list[Column]:
        """All columns that it reads."""
        a, d = self.amounts, self.dates
        single = (
            *(*a.written(), a.direction),
            *d.written(),
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


def _span(at: int | Span) -> Span | None:
    return at if isinstance(at, Span) else None


def read_profile(text: str | bytes) -> Profile:
    """A profile from its JSON; raises InvalidInput ``profile.invalid`` with the first thing wrong."""
    try:
        return Profile.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "profile"
        raise InvalidInput("profile.invalid", f"{where}: {first['msg']}") from None
