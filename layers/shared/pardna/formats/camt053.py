"""ISO 20022 account reports: camt.053 statements, and camt.052 and camt.054 of the same shape.

Versions 02 to 13 are read by one tolerant reader: names without namespaces, codes as ``Cd`` or
``Prtry``, parties with and without ``Pty``, status as text or code; a missing CdtDbtInd means
credit. Source of the rules: the ISO 20022 message definitions (Bank-to-Customer Cash Management);
tolerances are what real banks leave out.

Which way money went is what CdtDbtInd says, for reversals too: RvslInd only tells that the entry
takes back an earlier one. An entry with several TxDtls whose amounts add up to it becomes one
transaction each (the members of a batch); otherwise the entry is one transaction. Entries that are
pending (PDNG), in the future (FUTR) or for information (INFO) are in the file's figures and become
none: the account has no such booking.

A file of any size fits: entries are handed out as they come. Only the first `BUFFERED` of a
statement are held back, for files that name the currency late.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, BinaryIO

from pardna.formats import xml
from pardna.formats.camt_entries import (
    Entry,
    Texts,
    day,
    details_before,
    entry,
    joined,
    members,
    midnight,
    moment,
    references_of,
    signed,
)
from pardna.formats.items import Item, collect
from pardna.formats.model import Origin, Parsed, Problem, Severity, Statement
from pardna.formats.text import EntryIds, FileIds, clean, sorted_references
from pardna.formats.xml import child, children, local, release, text
from pardna.money.model import MoneyError, minor_from_text
from pardna.runtime.errors import InvalidInput, TooLarge, UnreadableFile
from pardna.transactions.model import Counterparty, Kind, Side, Transaction

BUFFERED = 1000
# An enumeration's members are looked up slowly, and here once for each row.
_BANK, _FEE, _TRANSFER = Side.BANK, Kind.FEE, Kind.TRANSFER
_ROOTS = {
    "BkToCstmrStmt": "camt.053",
    "BkToCstmrAcctRpt": "camt.052",
    "BkToCstmrDbtCdtNtfctn": "camt.054",
    "BkToCstmrStmtV01": "camt.053",
    "BkToCstmrAcctRptV01": "camt.052",
    "BkToCstmrDbtCdtNtfctnV01": "camt.054",
}
_REPORTS = frozenset({"Stmt", "Rpt", "Ntfctn"})
_NAMES = _REPORTS | {"Ntry", "TxDtls"} | _ROOTS.keys()
#: Details of an entry that are held as elements, and all that it may have.
DETAILS_HELD, DETAILS_MAX = 50, 250_000
#: What a statement has besides its entries: account, balances, a summary.
HEADERS_MAX = 10_000
#: Entries that may wait to learn their currency.
WAITING_MAX = 50_000
_VERSION = re.compile(r"camt\.05[234]\.\d{3}\.\d{2}")
#: What distinguishes a statement from another of the same account, besides its balances.
_PAGES = ("LglSeqNb", "ElctrncSeqNb", "StmtPgntn/PgNb", "FrToDt/FrDtTm", "FrToDt/ToDtTm")
#: Booked opening, else the previous closing, else what was available; likewise for the closing.
_OPENING = ("OPBD", "PRCD", "OPAV")
_CLOSING = ("CLBD", "CLAV")


def read(data: bytes, origin: Origin) -> Parsed:
    """Everything that a camt.052, .053 or .054 file says.

    Raises UnreadableFile (``camt.no_report`` when it is XML but nothing of the kind).
    """
    if len(data) > xml.BYTES_MAX:
        raise TooLarge("xml.too_large", f"an XML file has at most {xml.BYTES_MAX} bytes")
    reader = _Reader(origin)
    items = list(reader.items(io.BytesIO(data)))
    return collect(reader.name, items)


def stream(file: BinaryIO, origin: Origin) -> Iterator[Item]:
    """The same, item by item, for files of any size."""
    yield from _Reader(origin).items(file)


class _Reader:
    """Reads one file."""

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.name = ""
        self.meter = xml.Meter()

    def items(self, file: BinaryIO) -> Iterator[Item]:
        """Everything it says, each statement after its entries."""
        report: _Report | None = None
        reports, ids = 0, FileIds()
        for event, element in xml.stream(file, _NAMES, self.meter):
            kind = local(element)
            if event == "start":
                if kind in _ROOTS:
                    self.name = self.name or _format_name(element)
                elif kind in _REPORTS:
                    reports += 1
                    booked = self.name.startswith("camt.053")
                    report = _Report(self.origin, f"statement {reports}", ids if booked else None)
            elif kind == "TxDtls" and report is not None:
                if report.detail(element):
                    self.meter.released()
            elif kind == "Ntry" and report is not None:
                yield from report.entry(element)
                release(element)
                self.meter.released()
            elif kind in _REPORTS and report is not None:
                yield from report.end(element)
                release(element)
                self.meter.released()
                report = None
        if not self.name:
            raise UnreadableFile("camt.no_report", "there is no account report in this XML")
        if not reports:
            raise UnreadableFile("camt.empty", "there is no statement in this account report")


def message_of(head: str) -> str:
    """``camt.053`` from the beginning of a document whose namespace names no version."""
    roots = "|".join(_ROOTS)
    found = re.search(rf"<(?:[\w.-]+:)?({roots})[\s/>]", head)
    return _ROOTS[found.group(1)] if found else "camt"


def _format_name(element: Any) -> str:
    """``camt.053.001.08`` from the namespace, else the bare message name."""
    for namespace in element.nsmap.values():
        match = _VERSION.search(namespace or "")
        if match:
            return match.group()
    return _ROOTS[local(element)]


@dataclass
class _Report:
    """One statement while it is read."""

    origin: Origin
    position: str
    #: Of a report that is no statement (it may say again what the one before it said) there is none.
    file_ids: FileIds | None
    waiting: list[Entry] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    ids: EntryIds = field(default_factory=EntryIds)
    count: int = 0
    total: int = 0
    account: str = ""
    currency: str = ""
    fallback: datetime | None = None
    known: bool = False
    details: list[Texts] = field(default_factory=list)
    details_count: int = 0

    def detail(self, element: Any) -> bool:
        """Take down the details of an entry that has many, and say whether that was done."""
        self.details_count += 1
        if self.details_count > DETAILS_MAX:
            where = f"{self.position} entry {self.count + 1}"
            raise UnreadableFile("camt.details", f"{where} has more than {DETAILS_MAX} details")
        taken = details_before(element) if self.details_count % DETAILS_HELD == 0 else []
        self.details += taken
        return bool(taken)

    def entry(self, element: Any) -> Iterator[Item]:
        """Take down one Ntry, and hand it out once it is known whose it is."""
        self.count += 1
        position = f"{self.position} entry {self.count} line {element.sourceline}"
        self.waiting.append(entry(element, position, self.details))
        self.details, self.details_count = [], 0
        if self.count % BUFFERED == 0:
            self._limit(element.getparent())
        if not self.known and len(self.waiting) >= BUFFERED:
            self._know(element.getparent())
        if self.known and self.currency:
            yield from self._flush()

    def _limit(self, element: Any) -> None:
        """Refuse what would not fit into memory."""
        if len(element) > HEADERS_MAX:
            raise UnreadableFile("camt.headers", f"{self.position} is mostly not entries")
        if len(self.waiting) > WAITING_MAX:
            raise UnreadableFile("camt.no_currency", f"{self.position} never names its currency")

    def _know(self, element: Any) -> None:
        """Account, currency and the date for entries without one, from what stands there so far."""
        account = text(element, "Acct/Id/IBAN", "Acct/Id/Othr/Id", "Acct/Id/PrtryAcct/Id")
        self.account = account or text(element, "Acct/Id/BBAN", "Acct/Id/UPIC")
        balances = _balances(element)
        self.currency = clean(_currency(text(element, "Acct/Ccy"), self.waiting, balances), 20)
        self.fallback = moment(
            text(element, "FrToDt/ToDtTm", "FrToDt/ToDt")
            or next((b.day for c in _CLOSING + _OPENING if (b := balances.get(c)) and b.day), "")
            or text(element, "CreDtTm", "FrToDt/FrDtTm")
        )
        if self.file_ids is not None and not self.known:
            said = (text(element, "Id"), *(text(element, path) for path in _PAGES))
            source = self.origin.source(self.account)
            self.ids = self.file_ids.of(source, (*said, *balances.items()))
        self.known = True

    def end(self, element: Any) -> Iterator[Item]:
        """What is left of the entries, and the statement."""
        self._limit(element)
        if not (self.known and self.currency):
            self._know(element)
        balances = _balances(element)
        opening = closing = None
        try:
            opening = _balance(balances, _OPENING, self.currency)
            closing = _balance(balances, _CLOSING, self.currency)
            if self.currency:
                minor_from_text("0", self.currency)
        except MoneyError:
            yield Problem("statement.balance", self.position, "a balance cannot be read")
            if not self.count:
                return
        if any(b.currency not in ("", self.currency) for b in balances.values()):
            reason = "a balance is in another currency than the entries"
            self.problems.append(Problem("statement.balance_currency", self.position, reason))
        if not self.currency and self.count:
            yield Problem("statement.currency", self.position, "no currency is named")
            return
        yield from self._flush()
        yield from self.problems
        yield Statement(
            source=self.origin.source(self.account),
            account=clean(self.account),
            statement_id=clean(text(element, "Id"), 100) or self.position,
            currency=self.currency or "XXX",
            opening_minor=opening,
            closing_minor=closing,
            entries_minor=self.total,
            entries_count=self.count,
            position=self.position,
            sequence_number=clean(text(element, "LglSeqNb", "ElctrncSeqNb", "StmtPgntn/PgNb"), 50),
            from_date=day(text(element, "FrToDt/FrDtTm", "FrToDt/FrDt")),
            to_date=day(text(element, "FrToDt/ToDtTm", "FrToDt/ToDt")),
        )

    def _flush(self) -> Iterator[Item]:
        waiting, self.waiting = self.waiting, []
        for one in waiting:
            try:
                amount = signed(one.amount, one.credit, self.currency)
                if one.currency and one.currency != self.currency:
                    raise MoneyError("another currency")
            except MoneyError:
                reason = "the amount cannot be read"
                yield Problem("entry.amount", one.position, reason, "Amt")
                continue
            self.total += amount
            if one.pending:
                reason = "it is announced or for information, and not booked: it does not count"
                yield Problem("entry.pending", one.position, reason, "Sts", Severity.WARNING)
            else:
                yield from self._transactions(one, amount)

    def _transactions(self, of: Entry, amount: int) -> Iterator[Item]:
        """One transaction, or one for each member of a batch whose amounts add up."""
        booked = of.booked or midnight(of.value_day) or self.fallback
        if booked is None:
            reason = "neither booking nor value date is given"
            yield Problem("entry.date", of.position, reason, "BookgDt")
            return
        value_day = of.value_day or booked.date()
        parts = members(of, amount, self.currency)
        whole = of.details[0] if len(of.details) == 1 else Texts()
        reference = of.said.bank_reference or whole.bank_reference
        key_texts = (
            of.said.description,
            *(d.end_to_end for d in of.details),
            whole.description,
            whole.name,
        )
        dated = (of.value_day or booked.date()).isoformat()
        entry_id = self.ids.of(reference, dated, amount, key_texts)
        for number, (part, said) in enumerate(parts or [(amount, whole)], 1):
            texts = joined(of.said, said)
            try:
                yield Transaction(
                    tenant_id=self.origin.tenant_id,
                    source=self.origin.source(self.account),
                    external_id=f"{entry_id}/{number}" if parts else entry_id,
                    side=_BANK,
                    kind=_FEE if of.said.fee else _TRANSFER,
                    amount_minor=part,
                    currency=self.currency,
                    occurred_at=booked,
                    raw_sha256=self.origin.raw_sha256,
                    raw_position=f"{of.position} part {number}" if parts else of.position,
                    value_date=value_day,
                    account=clean(self.account),
                    counterparty=Counterparty(texts.name, texts.account),
                    description=texts.description,
                    references=sorted_references(references_of(texts)),
                )
            except InvalidInput as error:
                yield Problem(error.code, of.position, error.detail)


@dataclass(frozen=True)
class _Balance:
    """One balance as written."""

    amount: str
    currency: str
    credit: bool
    day: str


def _balances(element: Any) -> dict[str, _Balance]:
    """Each kind of balance; a missing CdtDbtInd means credit.

    Several of a kind (one a page): the first opening and the last closing.
    """
    found: dict[str, _Balance] = {}
    for balance in children(element, "Bal"):
        code = text(balance, "Tp/CdOrPrtry/Cd", "Tp/CdOrPrtry/Prtry", "Tp/Cd", "Tp/Prtry")
        amount = child(balance, "Amt")
        if amount is None or not code or (code in found and code not in (*_CLOSING, "ITBD")):
            continue
        found[code] = _Balance(
            (amount.text or "").strip(),
            amount.get("Ccy", ""),
            text(balance, "CdtDbtInd") != "DBIT",
            text(balance, "Dt/Dt", "Dt/DtTm"),
        )
    return found


def _currency(named: str, entries: list[Entry], balances: dict[str, _Balance]) -> str:
    """The account's currency: as named, else the entries', else the balances'."""
    of_entries = {e.currency for e in entries if e.currency}
    if named or len(of_entries) == 1:
        return named or of_entries.pop()
    return next((b.currency for b in balances.values() if b.currency), "")


def _balance(balances: dict[str, _Balance], codes: tuple[str, ...], currency: str) -> int | None:
    """The first balance there is of `codes`, read in the statement's currency."""
    for code in codes:
        if code in balances:
            return signed(balances[code].amount, balances[code].credit, currency)
    return None
