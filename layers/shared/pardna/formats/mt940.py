"""SWIFT MT940 account statements and MT942 interim reports, as banks really write them.

Read by a tolerant reader of our own and not by the library mt-940: that one (5.1.1) loses the
first statement behind a byte order mark, reads nothing from UTF-16 or bare CR files, leaves the
sign of a reversed credit (RC) positive and runs statements of one file together. Rules: SWIFT's
category 9 field specifications for :20:, :25:, :28C:, :60a:, :61:, :86:, :62a:; the structured
:86: of the German (``?20``, ``EREF+``) and the Dutch and Scandinavian (``/EREF/``) customs.

RC takes money out (a credit reversed), RD brings it back; EC and ED are expected, not booked.

An MT942 has no balances; its currency is that of the floor limit (:34F:) or of its sums (:90D:,
:90C:), and these sums are controlled. A statement in a currency that was withdrawn since (DEM) or
that is none is shown with its figures, but none of its rows counts.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from pardna.formats.items import Item, collect
from pardna.formats.model import Origin, Parsed, Problem, Severity, Statement
from pardna.formats.mt940_details import details
from pardna.formats.mt940_fields import END_OF_FILE, FIELD_MAX, Field, blocks, ends_a_line
from pardna.formats.mt940_values import (
    balance_minor,
    day_of,
    entry_day,
    known,
    midnight,
    minor,
)
from pardna.formats.text import (
    EntryIds,
    FileIds,
    clean,
    found_in,
    given,
    references,
    sorted_references,
)
from pardna.money.model import MoneyError
from pardna.runtime.errors import InvalidInput, TooLarge, UnreadableFile
from pardna.transactions.model import Counterparty, Kind, Side, Strength, Transaction

BYTES_MAX = 64 * 1024 * 1024

_BALANCE = re.compile(r"([CD])\s*(\d{6})\s*([A-Z]{3})\s*([\d.,]+(?: [\d.,]+)*)")
_FLOOR = re.compile(r"\s*([A-Z]{3})[CD]?\s*[\d.,]")
_SUM = re.compile(r"\s*(\d{1,5})\s*([A-Z]{3})\s*([\d.,]+)")
_ENTRY = re.compile(
    r"(?P<value>\d{6})(?P<entry>\d{4}| {4})?(?P<mark>RC|RD|EC|ED|C|D)(?P<funds>[A-Z])?\s*"
    r"(?P<amount>\d[\d.,]*|,\d+)(?P<type>[A-Z][A-Z0-9 ]{3})?(?P<rest>[^\n]*)(?P<more>.*)",
    re.DOTALL,
)
# An enumeration's members are looked up slowly, and here once for each row.
_BANK, _FEE, _TRANSFER = Side.BANK, Kind.FEE, Kind.TRANSFER
_STRONG, _WEAK = Strength.STRONG, Strength.WEAK
#: Entries that may wait to learn their currency.
_WAITING_MAX = 100_000
_FEE_TYPES = frozenset({"NCHG", "FCHG", "NCOM", "FCOM", "SCHG"})


def read(data: bytes, origin: Origin) -> Parsed:
    """Everything that a file says. Raises UnreadableFile when it has no statement at all."""
    if len(data) > BYTES_MAX:
        raise TooLarge("mt940.too_large", f"such a file has at most {BYTES_MAX} bytes")
    reader = _File(origin)
    items = list(reader.items(io.BytesIO(data)))
    return collect("MT942" if reader.interim else "MT940", items)


def stream(file: BinaryIO, origin: Origin) -> Iterator[Item]:
    """The same, item by item: not even a statement is held, once it said whose and in what it is."""
    yield from _File(origin).items(file)


class _File:
    """Reads one file."""

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.interim = False

    def items(self, file: BinaryIO) -> Iterator[Item]:
        """Everything it says, each statement after its entries."""
        found, number = False, 1
        ids = FileIds()
        reader = _Reader(self.origin, "statement 1", ids)
        for fields, ended in blocks(file):
            reader.take(fields)
            if not ended:
                yield from reader.part()
                continue
            if ended == END_OF_FILE:
                reader.check_end(fields[-1][0], ends_a_line(file))
            yield from reader.end()
            self.interim = self.interim or reader.interim
            found = found or not reader.empty
            number += 1
            reader = _Reader(self.origin, f"statement {number}", ids)
        if not found:
            raise UnreadableFile("mt940.no_statement", "there is no statement in this file")


@dataclass(slots=True)
class _Entry:
    """A :61: line and the :86: that follows it."""

    value: str
    line: int
    details: str = ""


class _Reader:
    """One statement."""

    def __init__(self, origin: Origin, position: str, file_ids: FileIds) -> None:
        self.origin = origin
        self.position = position
        self.problems: list[Problem] = []
        self.first: dict[str, str] = {}
        self.last: dict[str, str] = {}
        self.sums: dict[str, str] = {}
        self.entries: list[_Entry] = []
        self.file_ids = file_ids
        self.ids = EntryIds()
        self.count = 0
        #: Count and sum of the entries that bring in, and of those that take out.
        self.into, self.out = [0, 0], [0, 0]
        self.account = self.currency = ""
        self.empty = False
        self._after_entry = False

    def take(self, fields: list[Field]) -> None:
        """The next fields of the statement."""
        after_entry = self._after_entry
        for tag, value, line in fields:
            if tag == "61":
                self.entries.append(_Entry(value, line))
            elif tag == "86" and after_entry:
                entry = self.entries[-1]
                if len(entry.details) < FIELD_MAX:
                    entry.details = f"{entry.details}\n{value}" if entry.details else value
            after_entry = tag == "61" or (tag == "86" and after_entry)
            self.first.setdefault(tag[:2], value)
            self.last[tag[:2]] = value
            if tag in ("90C", "90D"):
                self.sums[tag] = value
            if "\n-" in value and "\n-" in value.rstrip("-} \n"):
                reason = "a line begins with a hyphen, which ends a message"
                where = f"{self.position} line {line}"
                self._problem("mt940.line", where, reason, tag, Severity.WARNING)
        self._after_entry = after_entry

    def check_end(self, tag: str, line_ended: bool) -> None:
        """Tell of a file that was cut: an amount may be cut with it, and still be a number."""
        if not tag:  # the end of a message
            return
        if "60" in self.first and "62" not in self.first:
            reason = "the file ends before its closing balance"
        elif tag == "61" and not line_ended:
            reason = "the file ends within its last entry"
        else:
            return
        self._problem("mt940.truncated", self.position, reason, "62")

    def part(self) -> Iterator[Item]:
        """The entries so far of a statement that goes on, if it is known whose they are."""
        if not self.currency and "25" in self.first:
            self._know(_BALANCE.match(self.first.get("60", "").strip()))
        if self.currency:
            yield from self._transactions()
            problems, self.problems = self.problems, []
            yield from problems
        elif len(self.entries) + len(self.problems) > _WAITING_MAX:
            raise UnreadableFile("mt940.no_currency", f"{self.position} never names its currency")

    def _know(self, balance: re.Match[str] | None) -> None:
        self.currency = self._currency(balance)
        self.account = clean(self.last.get("25", "").split("\n", maxsplit=1)[0], 100)
        if "60" in self.first:  # an interim report may say again what the one before it said
            said = tuple(self.first.get(tag, "") for tag in ("20", "28", "60"))
            self.ids = self.file_ids.of(self.origin.source(self.account), said)

    def end(self) -> Iterator[Item]:
        """What is left of the entries, and the statement; or what makes it unreadable."""
        if not {"20", "25", "60", "61", "62"} & self.first.keys():
            yield Problem("statement.fragment", self.position, "no field of a statement is here")
            return
        opening = _BALANCE.match(self.first.get("60", "").strip())
        closing = _BALANCE.match(self.last.get("62", "").strip())
        if not self.currency:
            self._know(opening or closing)
        if not self.currency and self.entries:
            yield Problem("statement.balance", self.position, "no balance or currency can be read")
            return
        self._check_fields(self.currency)
        opening_minor, closing_minor = self._balance("60", opening), self._balance("62", closing)
        if self.first.get("25") != self.last.get("25"):
            self._problem("statement.two_accounts", self.position, "it names two accounts", "25")
        yield from self._transactions()
        self._check_sums()
        yield from self.problems
        sequence = clean(self.first.get("28", ""), 50)
        reference = clean(self.first.get("20", ""), 60)
        self.empty = not self.currency
        yield Statement(
            source=self.origin.source(self.account),
            account=self.account,
            statement_id=f"{reference or self.position}/{sequence}",
            currency=self.currency or "XXX",
            opening_minor=opening_minor,
            closing_minor=closing_minor,
            entries_minor=self.into[1] + self.out[1],
            entries_count=self.count,
            position=self.position,
            sequence_number=sequence,
            from_date=day_of(opening.group(2)) if opening else None,
            to_date=day_of(closing.group(2)) if closing else None,
        )

    def _balance(self, tag: str, match: re.Match[str] | None) -> int | None:
        """A balance; one that is there and cannot be read is remembered as a problem."""
        try:
            if match is not None or tag not in self.first:
                return balance_minor(match, self.currency)
        except MoneyError:
            pass
        self._problem("statement.balance", self.position, "a balance cannot be read", tag)
        return None

    @property
    def interim(self) -> bool:
        """Whether this is an MT942: floor limit, time or sums, and no booked balances."""
        return bool({"34", "13", "90"} & self.first.keys()) and not {"60", "62"} & self.first.keys()

    def _currency(self, balance: re.Match[str] | None) -> str:
        """Of a booked balance, else an available one, else of an interim report's limit or sums."""
        available = (_BALANCE.match(self.first.get(tag, "").strip()) for tag in ("64", "65"))
        named = balance or next((m for m in available if m), None)
        if named is not None:
            return named.group(3)
        floor = _FLOOR.match(self.first.get("34", ""))
        summed = next((m for v in self.sums.values() if (m := _SUM.match(v))), None)
        if floor is not None:
            return floor.group(1)
        return summed.group(2) if summed is not None else ""

    def _check_fields(self, currency: str) -> None:
        """Tell of a currency that is none, of what is missing, and of sums that differ."""
        if currency and not known(currency):
            reason = f"{currency} is no currency today: its rows are shown, none counts"
            self._problem("statement.currency", self.position, reason)
        needed = ("20", "25") if self.interim else ("20", "25", "60", "62")
        missing = [f":{tag}:" for tag in needed if tag not in self.first]
        if missing:
            reason = f"it lacks {', '.join(missing)}"
            self._problem("statement.fields", self.position, reason, severity=Severity.WARNING)

    def _check_sums(self) -> None:
        """Compare an interim report's own counts and sums with its entries."""
        for tag, value in self.sums.items():
            said = _SUM.match(value)
            count, total = self.out if tag == "90D" else self.into
            try:
                agrees = (
                    said is not None
                    and int(said.group(1)) == count
                    and minor(said.group(3), self.currency) == abs(total)
                )
            except MoneyError:
                agrees = False
            if not agrees:
                reason = "its count or sum is not what the entries give"
                self._problem("statement.sums", self.position, reason, tag)

    def _problem(
        self,
        code: str,
        position: str,
        reason: str,
        field_name: str = "",
        severity: Severity = Severity.ERROR,
    ) -> None:
        self.problems.append(Problem(code, position, reason, field_name, severity))

    def _transactions(self) -> Iterator[Transaction]:
        """Of the entries that wait; what cannot be read is remembered as a problem."""
        entries, self.entries = self.entries, []
        counts, source = known(self.currency), self.origin.source(self.account)
        for entry in entries:
            self.count += 1
            position = f"{self.position} entry {self.count} line {entry.line}"
            match = _ENTRY.match(entry.value.strip())
            if match is None:
                self._problem("entry.unreadable", position, "this is not a :61: field", "61")
                continue
            value, day, mark, _, written, kind, rest, more = match.groups()
            try:
                amount = minor(written, self.currency)
            except MoneyError:
                self._problem("entry.amount", position, "the amount cannot be read", "61")
                continue
            amount = amount if mark in ("C", "RD", "EC") else -amount
            side = self.out if amount < 0 else self.into
            side[0] += 1
            side[1] += amount
            if mark in ("EC", "ED"):
                reason = "it is expected and not booked yet: it is shown and does not count"
                self._problem("entry.pending", position, reason, "61", Severity.WARNING)
                continue
            if not counts:
                continue
            try:
                booked = value, day or ""
                texts = rest, more, entry.details
                fee = kind in _FEE_TYPES
                yield self._transaction(booked, amount, fee, texts, source, position)
            except InvalidInput as error:
                self._problem(error.code, position, error.detail, "61")

    def _transaction(
        self,
        days: tuple[str, str],
        amount: int,
        fee: bool,
        texts: tuple[str, str, str],
        source: str,
        position: str,
    ) -> Transaction:
        value_day = day_of(days[0])
        if value_day is None:
            raise InvalidInput("entry.date", "the value date is not a date")
        customer, _, bank = texts[0].partition("//")
        customer, bank = given(customer), given(bank)
        said = details(texts[2])
        more = clean(texts[1])
        found = references(
            [
                ("end_to_end", said.end_to_end, _STRONG),
                ("bank_reference", bank, _WEAK),
                ("bank_reference", customer, _WEAK),
                *[("bank_reference", r, _WEAK) for r in said.other_references],
            ]
        )
        searched = " ".join([t for t in (customer, more, said.description, said.end_to_end) if t])
        found |= found_in(searched, wrapped=said.wrapped)
        key_texts = (said.description, said.name, said.end_to_end, more)
        return Transaction(
            tenant_id=self.origin.tenant_id,
            source=source,
            external_id=self.ids.of(bank or customer, value_day.isoformat(), amount, key_texts),
            side=_BANK,
            kind=_FEE if fee else _TRANSFER,
            amount_minor=amount,
            currency=self.currency,
            occurred_at=midnight(entry_day(days[1], value_day)),
            raw_sha256=self.origin.raw_sha256,
            raw_position=position,
            value_date=value_day,
            account=self.account,
            counterparty=Counterparty(said.name, said.account),
            description=said.description or more,
            references=sorted_references(found),
        )
