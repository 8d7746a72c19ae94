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
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from functools import lru_cache
from typing import BinaryIO

from pardna.formats.items import Item, collect
from pardna.formats.model import Origin, Parsed, Problem, Severity, Statement
from pardna.formats.mt940_details import details
from pardna.formats.text import EntryIds, clean, found_in, given, references, sorted_references
from pardna.formats.text_lines import numbered_lines
from pardna.money.model import MoneyError, exponent, minor_from_text
from pardna.runtime.errors import InvalidInput, TooLarge, UnreadableFile
from pardna.transactions.model import Counterparty, Kind, Side, Strength, Transaction

BYTES_MAX = 64 * 1024 * 1024
_FIELD_MAX = 64 * 1024

_TAG = re.compile(r"\s*:(\d{2}[A-Z]?):(.*)", re.DOTALL)
_BALANCE = re.compile(r"([CD])\s*(\d{6})\s*([A-Z]{3})\s*([\d.,]+(?: [\d.,]+)*)")
_FLOOR = re.compile(r"\s*([A-Z]{3})[CD]?\s*[\d.,]")
_SUM = re.compile(r"\s*(\d{1,5})\s*([A-Z]{3})\s*([\d.,]+)")
_ENTRY = re.compile(
    r"(?P<value>\d{6})(?P<entry>\d{4}| {4})?(?P<mark>RC|RD|EC|ED|C|D)(?P<funds>[A-Z])?\s*"
    r"(?P<amount>\d[\d.,]*|,\d+)(?P<type>[A-Z][A-Z0-9 ]{3})?(?P<rest>[^\n]*)(?P<more>.*)",
    re.DOTALL,
)
_FEE_TYPES = frozenset({"NCHG", "FCHG", "NCOM", "FCOM", "SCHG"})


def read(data: bytes, origin: Origin) -> Parsed:
    """Everything that a file says. Raises UnreadableFile when it has no statement at all."""
    if len(data) > BYTES_MAX:
        raise TooLarge("mt940.too_large", f"such a file has at most {BYTES_MAX} bytes")
    reader = _File(origin)
    items = list(reader.items(io.BytesIO(data)))
    return collect("MT942" if reader.interim else "MT940", items)


def stream(file: BinaryIO, origin: Origin) -> Iterator[Item]:
    """The same, statement by statement: memory grows with the largest of them only."""
    yield from _File(origin).items(file)


class _File:
    """Reads one file."""

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.interim = False

    def items(self, file: BinaryIO) -> Iterator[Item]:
        """Everything it says, each statement after its entries."""
        found = False
        for number, fields in enumerate(_statements(file), 1):
            reader = _Reader(self.origin, f"statement {number}", fields)
            said = reader.read()
            self.interim = self.interim or reader.interim
            # Fragments alone, without a balance or an entry anywhere, are no statement.
            found = found or isinstance(said, Problem) or said.currency != "XXX"
            if isinstance(said, Problem):
                yield said
            else:
                yield from said.transactions
                yield from said.problems
                yield replace(said, transactions=(), problems=())
        if not found:
            raise UnreadableFile("mt940.no_statement", "there is no statement in this file")


_Field = tuple[str, str, int]


def _statements(file: BinaryIO) -> Iterator[list[_Field]]:
    """The fields (tag, value, line) of each statement; a new :20: starts one."""
    current: list[_Field] = []
    for number, line in _lines(file):
        match = _TAG.match(line)
        if match:
            tag, value = match.groups()
            if tag == "20" and any(t != "20" for t, _, _ in current):
                yield current
                current = []
            current.append((tag, value, number))
        elif line.startswith(("-", " ", "\t", "{1:")) and (
            line.strip() in ("-", "-}") or line.startswith("{1:")
        ):
            # The end of a message. What follows without a tag belongs to nobody.
            if current:
                current.append(("", "", number))
        elif current:
            tag, value, at = current[-1]
            if tag and len(value) < _FIELD_MAX:
                current[-1] = (tag, f"{value}\n{line}", at)
    if current:
        yield current


def _lines(file: BinaryIO) -> Iterator[tuple[int, str]]:
    """Lines, with what follows a message's envelope on a line of its own."""
    for number, line in numbered_lines(file):
        if "{4:" not in line:
            yield number, line
            continue
        for part in line.split("{4:"):
            yield number, part


@dataclass
class _Entry:
    """A :61: line and the :86: that follows it."""

    value: str
    line: int
    details: str = ""


class _Reader:
    """One statement."""

    def __init__(self, origin: Origin, position: str, fields: list[_Field]) -> None:
        self.origin = origin
        self.position = position
        self.problems: list[Problem] = []
        self.first: dict[str, str] = {}
        self.last: dict[str, str] = {}
        self.sums: dict[str, str] = {}
        self.entries: list[_Entry] = []
        after_entry = False
        for tag, value, line in fields:
            if tag == "61":
                self.entries.append(_Entry(value, line))
            elif tag == "86" and after_entry:
                entry = self.entries[-1]
                entry.details = f"{entry.details}\n{value}" if entry.details else value
            after_entry = tag == "61" or (tag == "86" and after_entry)
            self.first.setdefault(tag[:2], value)
            self.last[tag[:2]] = value
            if tag in ("90C", "90D"):
                self.sums[tag] = value
            if "\n-" in value and "\n-" in value.rstrip("-} \n"):
                reason = "a line begins with a hyphen, which ends a message"
                where = f"{position} line {line}"
                self._problem("mt940.line", where, reason, tag, Severity.WARNING)

    def read(self) -> Statement | Problem:
        """The statement, or what makes it unreadable."""
        if not {"20", "25", "60", "61", "62"} & self.first.keys():
            return Problem("statement.fragment", self.position, "no field of a statement is here")
        opening = _BALANCE.match(self.first.get("60", "").strip())
        closing = _BALANCE.match(self.last.get("62", "").strip())
        currency = self._currency(opening or closing)
        if not currency and self.entries:
            return Problem("statement.balance", self.position, "no balance or currency can be read")
        try:
            opening_minor = _balance(opening, currency)
            closing_minor = _balance(closing, currency)
        except MoneyError:
            return Problem("statement.balance", self.position, "a balance cannot be read")
        self._check_fields(currency)
        for tag, match in (("60", opening), ("62", closing)):
            if tag in self.first and match is None:
                self._problem("statement.balance", self.position, "a balance cannot be read", tag)
        if self.first.get("25") != self.last.get("25"):
            self._problem("statement.two_accounts", self.position, "it names two accounts", "25")
        account = clean(self.last.get("25", "").split("\n", maxsplit=1)[0], 100)
        sequence = clean(self.first.get("28", ""), 50)
        reference = clean(self.first.get("20", ""), 60)
        transactions, total = self._transactions(account, currency)
        return Statement(
            source=self.origin.source(account),
            account=account,
            statement_id=f"{reference or self.position}/{sequence}",
            currency=currency or "XXX",
            opening_minor=opening_minor,
            closing_minor=closing_minor,
            entries_minor=total,
            entries_count=len(self.entries),
            position=self.position,
            sequence_number=sequence,
            from_date=_date(opening.group(2)) if opening else None,
            to_date=_date(closing.group(2)) if closing else None,
            transactions=tuple(transactions),
            problems=tuple(self.problems),
        )

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
        if currency and not _known(currency):
            reason = f"{currency} is no currency today: its rows are shown, none counts"
            self._problem("statement.currency", self.position, reason)
        needed = ("20", "25") if self.interim else ("20", "25", "60", "62")
        missing = [f":{tag}:" for tag in needed if tag not in self.first]
        if missing:
            reason = f"it lacks {', '.join(missing)}"
            self._problem("statement.fields", self.position, reason, severity=Severity.WARNING)

    def _check_sums(self, amounts: list[int], currency: str) -> None:
        """Compare an interim report's own counts and sums with its entries."""
        for tag, value in self.sums.items():
            said = _SUM.match(value)
            side = [a for a in amounts if (a < 0) == (tag == "90D")]
            try:
                agrees = (
                    said is not None
                    and int(said.group(1)) == len(side)
                    and _minor(said.group(3), currency) == abs(sum(side))
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

    def _transactions(self, account: str, currency: str) -> tuple[list[Transaction], int]:
        """The transactions, and the sum of all entries whose amount can be read."""
        found, amounts, ids = list[Transaction](), list[int](), EntryIds()
        known = _known(currency)
        for number, entry in enumerate(self.entries, 1):
            position = f"{self.position} entry {number} line {entry.line}"
            match = _ENTRY.match(entry.value.strip())
            if match is None:
                self._problem("entry.unreadable", position, "this is not a :61: field", "61")
                continue
            try:
                amount = _minor(match["amount"], currency)
            except MoneyError:
                self._problem("entry.amount", position, "the amount cannot be read", "61")
                continue
            amount = amount if match["mark"] in ("C", "RD", "EC") else -amount
            amounts.append(amount)
            if match["mark"] in ("EC", "ED"):
                reason = "it is expected and not booked yet: it is shown and does not count"
                self._problem("entry.pending", position, reason, "61", Severity.WARNING)
                continue
            if not known:
                continue
            try:
                found.append(
                    self._transaction(match, amount, entry, ids, account, currency, position)
                )
            except InvalidInput as error:
                self._problem(error.code, position, error.detail, "61")
        self._check_sums(amounts, currency)
        return found, sum(amounts)

    def _transaction(
        self,
        match: re.Match[str],
        amount: int,
        entry: _Entry,
        ids: EntryIds,
        account: str,
        currency: str,
        position: str,
    ) -> Transaction:
        value_day = _date(match["value"])
        if value_day is None:
            raise InvalidInput("entry.date", "the value date is not a date")
        booked = _entry_day(match["entry"] or "", value_day)
        customer, _, bank = match["rest"].partition("//")
        customer, bank = given(customer), given(bank)
        said = details(entry.details)
        more = clean(match["more"])
        texts = (said.description, said.name, said.end_to_end, more)
        references_found = references(
            [
                ("end_to_end", said.end_to_end, Strength.STRONG),
                ("bank_reference", bank, Strength.WEAK),
                ("bank_reference", customer, Strength.WEAK),
                *(("bank_reference", r, Strength.WEAK) for r in said.other_references),
            ]
        )
        searched = " ".join(filter(None, (customer, more, said.description, said.end_to_end)))
        return Transaction(
            tenant_id=self.origin.tenant_id,
            source=self.origin.source(account),
            external_id=ids.of(bank or customer, value_day.isoformat(), amount, texts),
            side=Side.BANK,
            kind=Kind.FEE if match["type"] in _FEE_TYPES else Kind.TRANSFER,
            amount_minor=amount,
            currency=currency,
            occurred_at=datetime.combine(booked, time(), UTC),
            raw_sha256=self.origin.raw_sha256,
            raw_position=position,
            value_date=value_day,
            account=account,
            counterparty=Counterparty(said.name, said.account),
            description=said.description or more,
            references=sorted_references(
                references_found | found_in(searched, wrapped=said.wrapped)
            ),
        )


def _balance(match: re.Match[str] | None, currency: str) -> int | None:
    if match is None:
        return None
    minor = _minor(match.group(4), currency)
    return minor if match.group(1) == "C" else -minor


def _minor(text: str, currency: str) -> int:
    """Minor units of ``1234,5``; a point is the decimal one only where there is no comma."""
    if " " in text:
        text = text.replace(" ", "")
    if "," in text:
        if "." in text:
            text = text.replace(".", "")
        text = text.replace(",", ".")
    return minor_from_text(
        text if text[0] != "." else f"0{text}", currency if _known(currency) else "EUR"
    )


@lru_cache(maxsize=256)
def _known(currency: str) -> bool:
    """Whether ISO 4217 lists the currency today; others are shown in hundredths."""
    try:
        exponent(currency)
    except MoneyError:
        return False
    return True


@lru_cache(maxsize=4096)
def _date(text: str) -> date | None:
    """YYMMDD; two-digit years from 80 on are of the last century."""
    try:
        year = int(text[:2])
        return date(1900 + year if year >= 80 else 2000 + year, int(text[2:4]), int(text[4:6]))
    except ValueError:
        return None


@lru_cache(maxsize=4096)
def _entry_day(text: str, value_day: date) -> date:
    """MMDD in the year that brings it closest to the value date; absent, the value date."""
    if not text.strip():
        return value_day
    near = []
    for year in (value_day.year - 1, value_day.year, value_day.year + 1):
        try:
            near.append(date(year, int(text[:2]), int(text[2:])))
        except ValueError:
            continue
    return min(near, key=lambda d: abs(d - value_day), default=value_day)
