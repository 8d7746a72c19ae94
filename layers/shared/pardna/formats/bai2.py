"""BAI2 (Cash Management Balance Reporting, version 2): balances and movements of accounts.

Source of the rules: the specification's record layouts 01, 02, 03, 16, 88, 49, 98, 99 and its ranges
of type codes (100-399 and 930-959 credit, 400-699 and 960-999 debit). Tolerated, because banks do
it: several records on one line, records broken over lines without an 88, text that no slash ends,
empty control totals, times with colons, a last line without its end.

An account record (03 to 49) is a statement: its opening and closing are the ledger balances 010 and
015 where given. Amounts have no point; they are minor units of the account's currency.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from typing import BinaryIO

from pardna.formats.bai2_fields import day as day_of
from pardna.formats.bai2_fields import detail, direction, integer, summaries
from pardna.formats.items import Item, collect
from pardna.formats.model import Origin, Parsed, Problem, Severity, Statement
from pardna.formats.text import EntryIds, clean, found_in, given, references, sorted_references
from pardna.formats.text_lines import numbered_lines
from pardna.money.model import MoneyError, exponent
from pardna.runtime.errors import InvalidInput, UnreadableFile
from pardna.transactions.model import Counterparty, Kind, Side, Strength, Transaction

FORMAT = "BAI2"
_CODES = "01|02|03|16|49|88|98|99"
_STARTS = re.compile(rf"\s*(?:{_CODES})\s*,")
#: A slash ends a record; another may follow on the same line.
_NEXT = re.compile(rf"/\s+(?=(?:{_CODES}),)")
#: A group's status: 2 deletes what was sent before, 4 is a test.
_NOT_MEANT = frozenset({"2", "4"})
#: Characters of a record with all that continues it.
RECORD_MAX = 256 * 1024
_OPENING, _CLOSING = "010", "015"
_FEE_TYPES = frozenset({"560", "561", "562", "563", "698"})


def read(data: bytes, origin: Origin) -> Parsed:
    """Everything that a BAI2 file says. Raises UnreadableFile when it does not start as one."""
    return collect(FORMAT, stream(io.BytesIO(data), origin))


def stream(file: BinaryIO, origin: Origin) -> Iterator[Item]:
    """The same, item by item; control totals that differ are problems of their level."""
    reader = _Reader(origin)
    for record in _records(file):
        yield from reader.record(record)
    yield from reader.end()


@dataclass
class _Record:
    """A record with its continuations, as it stands in the file."""

    code: str
    line: int
    parts: list[str]
    physical: int = 1
    size: int = 0
    #: What lines without a code of their own add to the last part.
    added: list[str] = field(default_factory=list)

    def more(self, line: str, part: str | None) -> None:
        """Go on by a continuation's `part`, or by a line that breaks the last one."""
        self.size += len(line) + 1
        if self.size > RECORD_MAX:
            raise UnreadableFile("bai2.record", f"the record at line {self.line} has no end")
        if part is None:
            self.added.append(line)
            return
        self.whole()
        self.parts.append(part)
        self.physical += 1

    def whole(self) -> _Record:
        """With what was added put to its part."""
        if self.added:
            *before, last = [self.parts[-1], *self.added]
            self.parts[-1] = "".join([*(piece.rstrip("/") for piece in before), last])
            self.added = []
        return self


def _records(file: BinaryIO) -> Iterator[_Record]:
    current: _Record | None = None
    for number, line in numbered_lines(file):
        if not line.strip():
            continue
        for piece in _NEXT.split(line.strip()):
            if not _STARTS.match(piece):
                if current is None:
                    raise UnreadableFile("bai2.no_header", "the first record is no file header")
                current.more(piece, None)
            elif piece.startswith("88"):
                if current is None:
                    raise UnreadableFile("bai2.no_header", "the first record is no file header")
                current.more(piece, piece.partition(",")[2])
            else:
                if current is not None:
                    yield current.whole()
                code, _, rest = piece.partition(",")
                current = _Record(code.strip(), number, [rest])
    if current is not None:
        yield current.whole()


@dataclass
class _Totals:
    """What a trailer sums up: amounts, parts and records."""

    amount: int = 0
    parts: int = 0
    records: int = 0


@dataclass
class _Account:
    """One 03 with what follows it."""

    number: str
    currency: str
    position: str
    opening: int | None = None
    closing: int | None = None
    entries_minor: int = 0
    entries: int = 0
    totals: _Totals = field(default_factory=_Totals)


class _Reader:
    """Reads record after record."""

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.file: _Totals | None = None
        self.group: _Totals | None = None
        self.account: _Account | None = None
        self.group_day: date | None = None
        self.group_currency = ""
        self.counts = True
        self.accounts = 0
        self.groups = 0
        self.closed = False
        self.ids: dict[str, EntryIds] = {}

    def record(self, record: _Record) -> Iterator[Item]:
        """What one record says."""
        if record.code == "01":
            self.file, self.closed = _Totals(), False
        if self.file is None:
            raise UnreadableFile("bai2.no_header", "the first record is no file header")
        if record.code == "02":
            yield from self._begin_group(record)
        elif record.code == "03":
            yield from self._begin_account(record)
        elif record.code == "16":
            yield from self._transaction(record)
        elif record.code == "49":
            yield from self._end_account(record)
        elif record.code == "98":
            yield from self._end_group(record)
        elif record.code == "99":
            yield from self._end_file(record)
        self._count(record)

    def end(self) -> Iterator[Item]:
        """What is missing when the file ends."""
        if self.file is None:
            raise UnreadableFile("bai2.no_header", "there is no BAI2 record in this file")
        if self.account is not None:
            yield from self._finish(self.account)
        if not self.closed:
            yield Problem("bai2.truncated", "end of file", "the file has no trailer")
        elif not self.accounts:
            yield Problem("bai2.empty", "file", "no account is in it", severity=Severity.WARNING)

    def _count(self, record: _Record) -> None:
        for totals in (self.file, self.group):
            if totals is not None and record.code not in ("98", "99"):
                totals.records += record.physical

    def _begin_group(self, record: _Record) -> Iterator[Item]:
        fields = [*_fields(record), *[""] * 8]
        self.group = _Totals()
        self.groups += 1
        self.group_day = day_of(fields[3])
        self.group_currency = clean(fields[5], 20).upper()
        if self.group_day is None:
            yield Problem("bai2.date", _at(record), "the group has no as-of date", "02")
        self.counts = fields[2].strip() not in _NOT_MEANT
        if not self.counts:
            reason = "the group takes back or tests: it is shown and does not count"
            yield Problem("bai2.group_status", _at(record), reason, "02", Severity.WARNING)

    def _begin_account(self, record: _Record) -> Iterator[Item]:
        if self.account is not None:
            where = self.account.position
            yield Problem("bai2.account_trailer", where, "the account has no trailer", "49")
            yield from self._finish(self.account)
        fields = [*_fields(record), "", ""]
        self.accounts += 1
        # The specification: the group's currency, and without one the American dollar.
        currency = clean(fields[1], 20).upper() or self.group_currency or "USD"
        account = _Account(
            clean(fields[0], 100), currency, f"account {self.accounts} line {record.line}"
        )
        self.account = account
        account.totals.records = record.physical
        try:
            exponent(currency)
            for code, amount in summaries(fields[2:]):
                account.totals.amount += amount or 0
                if code == _OPENING:
                    account.opening = amount
                elif code == _CLOSING:
                    account.closing = amount
        except MoneyError:
            yield Problem("bai2.currency", _at(record), "the currency is not one", "03")
        except ValueError:
            yield Problem("bai2.amount", _at(record), "a balance cannot be read", "03")

    def _transaction(self, record: _Record) -> Iterator[Item]:
        account = self.account
        if account is None:
            yield Problem("bai2.order", _at(record), "a movement outside of an account", "16")
            return
        account.entries += 1
        account.totals.records += record.physical
        position = f"account {self.accounts} entry {account.entries} line {record.line}"
        try:
            code, amount, value_day, bank, customer, text = detail(record.parts)
        except ValueError:
            yield Problem("bai2.amount", position, "the amount or funds type cannot be read", "16")
            return
        account.totals.amount += amount
        if code == "890":  # a text without money
            return
        sign = direction(code)
        if sign == 0:
            yield Problem("bai2.type", position, f"type {clean(code, 10)} is no movement", "16")
            return
        signed = sign * amount
        account.entries_minor += signed
        if not self.counts:
            return
        try:
            yield self._one(account, code, signed, value_day, (bank, customer, text), position)
        except InvalidInput as error:
            yield Problem(error.code, position, error.detail, "16")

    def _one(
        self,
        account: _Account,
        code: str,
        signed: int,
        value_day: date | None,
        texts: tuple[str, str, str],
        position: str,
    ) -> Transaction:
        bank, customer, text = given(texts[0]), given(texts[1]), texts[2]
        booked = self.group_day or value_day
        if booked is None:
            raise InvalidInput("bai2.date", "there is no date for it")
        ids = self.ids.setdefault(account.number, EntryIds())
        day = (value_day or booked).isoformat()
        marked = dict(re.findall(r"^(EREF|REMI|DBNM|CRNM|PY|BO):\s*(.*)$", text, re.MULTILINE))
        name = marked.get("DBNM" if signed > 0 else "CRNM", "")
        flat = clean(text)
        found = references(
            [
                ("end_to_end", marked.get("EREF"), Strength.STRONG),
                ("bank_reference", bank, Strength.WEAK),
                ("bank_reference", customer, Strength.WEAK),
            ]
        )
        searched = f"{customer} {flat}"
        return Transaction(
            tenant_id=self.origin.tenant_id,
            source=self.origin.source(account.number),
            external_id=ids.of(bank or customer, day, signed, (code, flat)),
            side=Side.BANK,
            kind=Kind.FEE if code in _FEE_TYPES else Kind.TRANSFER,
            amount_minor=signed,
            currency=account.currency,
            occurred_at=datetime.combine(booked, time(), UTC),
            raw_sha256=self.origin.raw_sha256,
            raw_position=position,
            value_date=value_day or booked,
            account=account.number,
            counterparty=Counterparty(clean(name)),
            description=flat,
            references=sorted_references(
                found | found_in(searched, wrapped=text.replace("\n", ""))
            ),
        )

    def _end_account(self, record: _Record) -> Iterator[Item]:
        account = self.account
        if account is None:
            yield Problem("bai2.order", _at(record), "an account ends that never began", "49")
            return
        fields = [*_fields(record), "", ""]
        account.totals.records += 1
        yield from _control(record, fields[0], account.totals.amount, "account", "amounts")
        yield from _count_control(record, fields[1], account.totals.records, "account")
        if self.group is not None:
            self.group.amount += account.totals.amount
            self.group.parts += 1
        yield from self._finish(account)

    def _finish(self, account: _Account) -> Iterator[Item]:
        self.account = None
        day = self.group_day.isoformat() if self.group_day else "undated"
        yield Statement(
            source=self.origin.source(account.number),
            account=account.number,
            statement_id=f"{account.number}/{day}",
            currency=account.currency,
            opening_minor=account.opening,
            closing_minor=account.closing,
            entries_minor=account.entries_minor,
            entries_count=account.entries,
            position=account.position,
            from_date=self.group_day,
            to_date=self.group_day,
        )

    def _end_group(self, record: _Record) -> Iterator[Item]:
        fields = [*_fields(record), "", "", ""]
        if self.group is None or self.file is None:
            yield Problem("bai2.order", _at(record), "a group ends that never began", "98")
            return
        self.group.records += 1
        self.file.records += 1
        yield from _control(record, fields[0], self.group.amount, "group", "account totals")
        yield from _control(record, fields[1], self.group.parts, "group", "accounts")
        yield from _count_control(record, fields[2], self.group.records, "group")
        self.file.amount += self.group.amount
        self.file.parts += 1
        self.group = None

    def _end_file(self, record: _Record) -> Iterator[Item]:
        fields = [*_fields(record), "", "", ""]
        if self.file is None:
            return
        self.file.records += 1
        yield from _control(record, fields[0], self.file.amount, "file", "group totals")
        yield from _control(record, fields[1], self.file.parts, "file", "groups")
        yield from _count_control(record, fields[2], self.file.records, "file")
        self.closed = True


def _control(record: _Record, said: str, is_so: int, level: str, what: str) -> Iterator[Problem]:
    """A problem when a trailer gives another total; nothing when it gives none."""
    if not said.strip():
        return
    try:
        agrees = integer(said) == is_so
    except ValueError:
        agrees = False
    if not agrees:
        yield Problem(
            f"bai2.{level}_total",
            _at(record),
            f"the trailer's total of {what} is not their sum ({is_so})",
            record.code,
        )


def _count_control(record: _Record, said: str, is_so: int, level: str) -> Iterator[Problem]:
    """Counts of records differ between banks (some count lines): told, but no reason to refuse."""
    for problem in _control(record, said, is_so, level, "records"):
        yield Problem(
            f"bai2.{level}_records",
            problem.position,
            problem.reason,
            problem.field,
            Severity.WARNING,
        )


def _at(record: _Record) -> str:
    return f"line {record.line}"


def _fields(record: _Record) -> list[str]:
    """Fields of a record and its continuations; each part may end in a slash."""
    joined = ",".join(part.rstrip().removesuffix("/") for part in record.parts)
    return [f.strip() for f in joined.split(",")]
