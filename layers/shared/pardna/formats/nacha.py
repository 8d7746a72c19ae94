"""NACHA (ACH) files: entries of American clearing, their returns and notifications of change.

Source of the rules: the Nacha Operating Rules' record layouts. Records have 94 characters; lines
whose blanks at the end were cut are filled up, and files without line ends are cut into records.

The sign is what the entry does to the account that it names when it reaches us: a credit is money
to us, a debit money from us; a returned credit of ours (code 21) thus comes back in. A batch is a
statement without balances. A return is also a payment status (``RJCT`` with its R code), and a
notification of change is one only (``ACWC`` with its C code): it moves no money.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from typing import BinaryIO

from pardna.formats.items import Item, collect
from pardna.formats.model import Origin, Parsed, PaymentStatus, Problem, Statement
from pardna.formats.nacha_rules import (
    ADV,
    CHANGE,
    IAT,
    RETURN,
    SEC,
    entry_problems,
    header_problems,
    is_credit,
)
from pardna.formats.text import EntryIds, clean, found_in, given, references, sorted_references
from pardna.formats.text_lines import numbered_lines
from pardna.runtime.errors import InvalidInput, UnreadableFile
from pardna.transactions.model import Counterparty, Kind, Side, Strength, Transaction

FORMAT = "NACHA"
CURRENCY = "USD"
_LENGTH = 94
#: The sequence number of an addenda record has four digits.
ADDENDA_MAX = 9_999
_HEADER = re.compile(r"101[ \d]")


def read(data: bytes, origin: Origin) -> Parsed:
    """Everything that a NACHA file says. Raises UnreadableFile when it has no file header."""
    return collect(FORMAT, stream(io.BytesIO(data), origin))


def stream(file: BinaryIO, origin: Origin) -> Iterator[Item]:
    """The same, item by item; totals that differ are problems of their batch or of the file."""
    reader = _Reader(origin)
    for number, record in _records(file):
        yield from reader.record(record, number)
    yield from reader.end()


def _records(file: BinaryIO) -> Iterator[tuple[int, str]]:
    for number, line in numbered_lines(file):
        if not line.strip():
            continue
        if len(line) > _LENGTH + 20 and len(line) % _LENGTH == 0:
            for at in range(0, len(line), _LENGTH):
                yield number, line[at : at + _LENGTH]
        else:
            yield number, line.ljust(_LENGTH)


@dataclass
class _Totals:
    """What controls are compared with."""

    entries: int = 0
    hash: int = 0
    debit: int = 0
    credit: int = 0
    batches: int = 0
    records: int = 0


@dataclass
class _Entry:
    """A 6 with its 7s."""

    record: str
    line: int
    addenda: list[str] = field(default_factory=list)


@dataclass
class _Batch:
    """A 5 with its entries."""

    record: str
    line: int
    number: int
    totals: _Totals = field(default_factory=_Totals)
    entry: _Entry | None = None
    entries: int = 0
    sum_minor: int = 0
    last_trace: str = ""

    @property
    def sec(self) -> str:
        """The standard entry class."""
        return self.record[50:53]

    @property
    def position(self) -> str:
        """Where it stands."""
        return f"batch {self.number} line {self.line}"


class _Reader:
    """Reads record after record."""

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.header = ""
        self.totals = _Totals()
        self.batch: _Batch | None = None
        self.control = False
        self.ids: dict[str, EntryIds] = {}

    def record(self, record: str, line: int) -> Iterator[Item]:
        """What one record says."""
        kind = record[0]
        if any(c < " " or c == "\x7f" for c in record):
            reason = "it holds control characters, which the format does not allow"
            yield Problem("nacha.characters", f"line {line}", reason)
        if not self.header:
            if not _HEADER.match(record):
                raise UnreadableFile("nacha.no_header", "the first record is no file header")
            self.header = record
            yield from header_problems(record, line)
        elif record.strip("9 ") == "" and self.control:
            pass  # filling up to a block of ten
        elif self.control:
            yield Problem("nacha.order", f"line {line}", "a record follows the file control")
            return
        elif kind == "5":
            yield from self._begin(record, line)
        elif kind in ("6", "7", "8") and self.batch is None:
            yield Problem("nacha.order", f"line {line}", "this record stands outside of a batch")
        elif kind == "6":
            yield from self._entry(record, line)
        elif kind == "7":
            yield from self._addenda(record, line)
        elif kind == "8":
            yield from self._end(record, line)
        elif kind == "9":
            yield from self._end_file(record, line)
        else:
            yield Problem("nacha.record", f"line {line}", "there is no such kind of record")
        self.totals.records += 1

    def end(self) -> Iterator[Item]:
        """What is missing when the file ends."""
        if not self.header:
            raise UnreadableFile("nacha.no_header", "there is no NACHA record in this file")
        if self.batch is not None:
            yield from self._finish_entry()
            yield Problem("nacha.batch_control", self.batch.position, "the batch has no control")
            yield self._statement(self.batch)
        if not self.control:
            yield Problem("nacha.file_control", "end of file", "the file has no control record")

    def _begin(self, record: str, line: int) -> Iterator[Item]:
        if self.batch is not None:
            yield from self._finish_entry()
            yield Problem("nacha.batch_control", self.batch.position, "the batch has no control")
            yield self._statement(self.batch)
        self.totals.batches += 1
        self.batch = _Batch(record, line, self.totals.batches)
        if self.batch.sec not in SEC:
            reason = "the standard entry class is unknown"
            yield Problem("nacha.class", self.batch.position, reason, "SEC")
        if record[1:4] not in ("200", "220", "225", "280"):
            reason = "the service class is unknown"
            yield Problem("nacha.service_class", self.batch.position, reason, "service class")
        if self.batch.sec not in IAT and not (record[40:50].strip() and record[4:20].strip("0 ")):
            reason = "no company is named"
            yield Problem("nacha.company", self.batch.position, reason, "company")
        if not record[53:63].strip("0 "):
            reason = "it does not say what the entries are for"
            yield Problem("nacha.description", self.batch.position, reason, "entry description")

    def _entry(self, record: str, line: int) -> Iterator[Item]:
        batch = self._current()
        yield from self._finish_entry()
        batch.entry = _Entry(record, line)

    def _addenda(self, record: str, line: int) -> Iterator[Item]:
        batch = self._current()
        batch.totals.entries += 1
        if batch.entry is None:
            yield Problem("nacha.order", f"line {line}", "an addenda record without its entry")
        else:
            batch.entry.addenda.append(record)
            if len(batch.entry.addenda) > ADDENDA_MAX:
                raise UnreadableFile("nacha.addenda_count", f"line {line}: addenda without end")

    def _finish_entry(self) -> Iterator[Item]:
        batch = self._current()
        entry, batch.entry = batch.entry, None
        if entry is None:
            return
        batch.entries += 1
        batch.totals.entries += 1
        position = f"batch {batch.number} entry {batch.entries} line {entry.line}"
        yield from entry_problems(
            entry.record, entry.addenda, batch.sec, batch.last_trace, position
        )
        batch.last_trace = entry.record[79:94]
        record = entry.record
        amount_text = record[27:39] if batch.sec == ADV else record[29:39]
        routing = record[3:11].strip()
        if routing.isascii() and routing.isdigit():
            batch.totals.hash += int(routing)
        if not re.fullmatch(r"[0-9]{10,12}", amount_text):
            yield Problem("nacha.amount", position, "the amount is not digits", "amount")
            return
        credit = is_credit(record[1:3], batch.sec)
        if credit is None:
            reason = "the transaction code is unknown"
            yield Problem("nacha.code", position, reason, "transaction code")
            return
        amount = int(amount_text)
        if credit:
            batch.totals.credit += amount
        else:
            batch.totals.debit += amount
        signed = amount if credit else -amount
        batch.sum_minor += signed
        yield from _statuses(entry)
        if amount:  # prenotes and changes move nothing
            try:
                yield self._transaction(batch, entry, signed, position)
            except InvalidInput as error:
                yield Problem(error.code, position, error.detail)

    def _transaction(self, batch: _Batch, entry: _Entry, signed: int, position: str) -> Transaction:
        record, sec = entry.record, batch.sec
        day = _day(batch.record[69:75]) or _day(self.header[23:29])
        if day is None:
            raise InvalidInput("nacha.date", "neither the batch nor the file has a date")
        account, trace = clean(batch.record[40:50], 20), record[79:94].strip()
        iat = sec in IAT
        individual = "" if iat else given(record[39:54])
        name = "" if iat else clean(record[54:76])
        receiver = clean(record[39:74] if iat else record[12:29])
        texts = [clean(a[3:83]) for a in entry.addenda if a[1:3] == "05"]
        originals = [a[6:21].strip() for a in entry.addenda if a[1:3] in (RETURN, CHANGE)]
        described = clean(" ".join((batch.record[53:63].strip(), *texts)))
        ids = self.ids.setdefault(account, EntryIds())
        return Transaction(
            tenant_id=self.origin.tenant_id,
            source=self.origin.source(account),
            external_id=ids.of(trace, day.isoformat(), signed, (individual, name, described)),
            side=Side.BANK,
            kind=Kind.TRANSFER,
            amount_minor=signed,
            currency=CURRENCY,
            occurred_at=datetime.combine(day, time(), UTC),
            raw_sha256=self.origin.raw_sha256,
            raw_position=position,
            value_date=day,
            account=account,
            counterparty=Counterparty(name, receiver),
            description=described,
            references=sorted_references(
                references(
                    [
                        ("trace", trace, Strength.WEAK),
                        ("end_to_end", individual, Strength.WEAK),
                        *(("trace", o, Strength.STRONG) for o in originals),
                    ]
                )
                | found_in(f"{individual} {described}", wrapped="".join(texts))
            ),
        )

    def _end(self, record: str, line: int) -> Iterator[Item]:
        batch = self._current()
        yield from self._finish_entry()
        width = 20 if batch.sec == ADV else 12
        debit, credit = record[20 : 20 + width], record[20 + width : 20 + 2 * width]
        said = (record[4:10], record[10:20], debit, credit)
        yield from _compare("batch", f"line {line}", said, batch.totals)
        if record[1:4] != batch.record[1:4]:
            reason = "header and control give different service classes"
            yield Problem("nacha.batch_service", f"line {line}", reason)
        if record[87:94] != batch.record[87:94]:
            reason = "header and control give different batch numbers"
            yield Problem("nacha.batch_number", f"line {line}", reason)
        if batch.sec not in (ADV, *IAT) and record[44:54].strip() != batch.record[40:50].strip():
            reason = "header and control name different companies"
            yield Problem("nacha.batch_company", f"line {line}", reason)
        if record[79:87] != batch.record[79:87]:
            reason = "header and control name different originating banks"
            yield Problem("nacha.batch_odfi", f"line {line}", reason)
        self.totals.entries += batch.totals.entries
        self.totals.hash += batch.totals.hash
        self.totals.debit += batch.totals.debit
        self.totals.credit += batch.totals.credit
        self.batch = None
        yield self._statement(batch)

    def _end_file(self, record: str, line: int) -> Iterator[Item]:
        if self.batch is not None:
            yield from self._finish_entry()
            yield Problem("nacha.batch_control", self.batch.position, "the batch has no control")
            yield self._statement(self.batch)
            self.batch = None
        self.control = True
        debit, credit = record[31:43], record[43:55]
        if record[55:71].strip():  # a file of ADV batches has totals of twenty digits
            debit, credit = record[31:51], record[51:71]
        yield from _compare(
            "file", f"line {line}", (record[13:21], record[21:31], debit, credit), self.totals
        )
        if _number(record[1:7]) != self.totals.batches:
            reason = f"the control counts other batches than there are ({self.totals.batches})"
            yield Problem("nacha.file_batches", f"line {line}", reason)

    def _current(self) -> _Batch:
        if self.batch is None:  # `record` lets nothing through outside of a batch
            raise UnreadableFile("nacha.order", "a record stands outside of a batch")
        return self.batch

    def _statement(self, batch: _Batch) -> Statement:
        account = clean(batch.record[40:50], 20)
        day = _day(batch.record[69:75])
        return Statement(
            source=self.origin.source(account),
            account=account,
            statement_id=clean(f"{self.header[23:33].strip()}/{batch.record[87:94].strip()}"),
            currency=CURRENCY,
            opening_minor=None,
            closing_minor=None,
            entries_minor=batch.sum_minor,
            entries_count=batch.entries,
            position=batch.position,
            from_date=day,
            to_date=day,
        )


def _statuses(entry: _Entry) -> Iterator[PaymentStatus]:
    individual = given(entry.record[39:54])
    for addenda in entry.addenda:
        if addenda[1:3] not in (RETURN, CHANGE):
            continue
        returned = addenda[1:3] == RETURN
        yield PaymentStatus(
            original_message_id="",
            status="RJCT" if returned else "ACWC",
            end_to_end_id=individual,
            instruction_id=clean(addenda[6:21]),
            reason_code=clean(addenda[3:6]),
            reason=clean(addenda[35:79] if returned else addenda[35:64]),
        )


def _compare(
    level: str, where: str, said: tuple[str, str, str, str], is_so: _Totals
) -> Iterator[Problem]:
    """Problems where a control's counts, hash and totals are not what the entries give."""
    wanted = (is_so.entries, is_so.hash % 10**10, is_so.debit, is_so.credit)
    names = ("count", "hash", "debit", "credit")
    for name, text, value in zip(names, said, wanted, strict=True):
        if _number(text) != value:
            reason = f"the control's {name} is not what the entries give ({value})"
            yield Problem(f"nacha.{level}_{name}", where, reason, name)


def _number(text: str) -> int | None:
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() else None


def _day(text: str) -> date | None:
    try:
        return date(2000 + int(text[:2]), int(text[2:4]), int(text[4:6]))
    except ValueError:
        return None
