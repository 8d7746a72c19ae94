"""ISO 20022 account reports: camt.053 statements, and camt.052 and camt.054 of the same shape.

Versions 02 to 13 are read by one tolerant reader: names without namespaces, codes as ``Cd`` or
``Prtry``, parties with and without ``Pty``, status as text or code; a missing CdtDbtInd means
credit. Source of the rules: the ISO 20022 message definitions (Bank-to-Customer Cash Management);
tolerances are what real banks leave out.

Which way money went is what CdtDbtInd says, for reversals too: RvslInd only tells that the entry
takes back an earlier one. An entry with several TxDtls whose amounts add up to it becomes one
transaction each (the members of a batch); otherwise the entry is one transaction.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from typing import Any

from pardna.formats.model import Origin, Parsed, Problem, Statement
from pardna.formats.text import EntryIds, clean, found_in, given, references, sorted_references
from pardna.formats.xml import child, children, local, release, stream, text
from pardna.money.model import MoneyError, minor_from_text
from pardna.runtime.errors import InvalidInput, UnreadableFile
from pardna.transactions.model import Counterparty, Kind, Side, Strength, Transaction

_ROOTS = {
    "BkToCstmrStmt": "camt.053",
    "BkToCstmrAcctRpt": "camt.052",
    "BkToCstmrDbtCdtNtfctn": "camt.054",
    "BkToCstmrStmtV01": "camt.053",
    "BkToCstmrAcctRptV01": "camt.052",
    "BkToCstmrDbtCdtNtfctnV01": "camt.054",
}
_REPORTS = frozenset({"Stmt", "Rpt", "Ntfctn"})
_NAMES = _REPORTS | {"Ntry"} | _ROOTS.keys()
_VERSION = re.compile(r"camt\.05[234]\.\d{3}\.\d{2}")
#: Booked opening, else the previous closing, else what was available; likewise for the closing.
_OPENING = ("OPBD", "PRCD", "OPAV")
_CLOSING = ("CLBD", "CLAV")
_FEE_FAMILIES = frozenset({"CHRG", "FEES", "COMM"})


def read(data: bytes, origin: Origin) -> Parsed:
    """Everything that a camt.052, .053 or .054 file says.

    Raises UnreadableFile (``camt.no_report`` when it is XML but nothing of the kind).
    """
    name, problems, statements = "", list[Problem](), list[Statement]()
    account: _Report | None = None
    root: Any = None
    for event, element in stream(data, _NAMES):
        kind = local(element)
        root = element if root is None else root
        if event == "start":
            name = name or (_format_name(element) if kind in _ROOTS else "")
            if kind in _REPORTS:
                account = _Report(origin, f"statement {len(statements) + 1}")
        elif kind == "Ntry" and account is not None:
            account.entry(element)
            release(element)
        elif kind in _REPORTS and account is not None:
            found = account.finish(element)
            if isinstance(found, Problem):
                problems.append(found)
            else:
                statements.append(found)
            release(element)
            account = None
    if not name:
        raise UnreadableFile("camt.no_report", "there is no account report in this XML")
    if not statements and not problems:
        raise UnreadableFile("camt.empty", "there is no statement in this account report")
    return Parsed(name, tuple(statements), problems=tuple(problems))


def _format_name(element: Any) -> str:
    """``camt.053.001.08`` from the namespace, else the bare message name."""
    for namespace in element.nsmap.values():
        match = _VERSION.search(namespace or "")
        if match:
            return match.group()
    return _ROOTS[local(element)]


@dataclass
class _Entry:
    """What an entry says, before it is known whose account it is on."""

    position: str
    amount: str
    currency: str
    credit: bool
    booked: datetime | None
    value_day: date | None
    element: _Texts
    details: list[_Texts]


@dataclass
class _Texts:
    """References, texts and the other party of an entry or of one of its details."""

    amount: str = ""
    currency: str = ""
    credit: bool | None = None
    end_to_end: str = ""
    bank_reference: str = ""
    other_references: tuple[str, ...] = ()
    creditor_reference: str = ""
    description: str = ""
    name: str = ""
    account: str = ""
    fee: bool = False


@dataclass
class _Report:
    """One statement while it is read."""

    origin: Origin
    position: str
    entries: list[_Entry] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def entry(self, element: Any) -> None:
        """Take down one Ntry."""
        position = f"{self.position} entry {len(self.entries) + 1}"
        amount = child(element, "Amt")
        credit = text(element, "CdtDbtInd") != "DBIT"
        self.entries.append(
            _Entry(
                position=position,
                amount=text(element, "Amt"),
                currency="" if amount is None else amount.get("Ccy", ""),
                credit=credit,
                booked=_moment(text(element, "BookgDt/DtTm", "BookgDt/Dt")),
                value_day=_day(text(element, "ValDt/Dt", "ValDt/DtTm")),
                element=_entry_texts(element),
                details=[
                    _detail_texts(d, credit)
                    for group in children(element, "NtryDtls")
                    for d in children(group, "TxDtls")
                ],
            )
        )

    def finish(self, element: Any) -> Statement | Problem:
        """The statement, once its end is reached."""
        account = text(element, "Acct/Id/IBAN", "Acct/Id/Othr/Id", "Acct/Id/PrtryAcct/Id")
        account = account or text(element, "Acct/Id/BBAN", "Acct/Id/UPIC")
        balances = _balances(element)
        currency = _currency(text(element, "Acct/Ccy"), self.entries, balances)
        try:
            opening = _balance(balances, _OPENING, currency)
            # A page that is not the last ends in an interim balance.
            paged = text(element, "StmtPgntn/LastPgInd") == "false"
            codes = (*_CLOSING, "ITBD") if paged else _CLOSING
            closing = _balance(balances, codes, currency)
            if currency:
                minor_from_text("0", currency)
        except MoneyError:
            return Problem("statement.balance", self.position, "a balance cannot be read")
        if any(b.currency not in ("", currency) for b in balances.values()):
            reason = "a balance is in another currency than the entries"
            self.problems.append(Problem("statement.balance_currency", self.position, reason))
        if not currency and self.entries:
            return Problem("statement.currency", self.position, "no currency is named")
        fallback = _moment(
            text(element, "FrToDt/ToDtTm", "FrToDt/ToDt")
            or next((b.day for c in _CLOSING + _OPENING if (b := balances.get(c)) and b.day), "")
            or text(element, "CreDtTm", "FrToDt/FrDtTm")
        )
        source, ids, total = self.origin.source(account), EntryIds(), 0
        transactions: list[Transaction] = []
        for entry in self.entries:
            try:
                signed = _signed(entry.amount, entry.credit, currency)
                if entry.currency and entry.currency != currency:
                    raise MoneyError("another currency")
            except MoneyError:
                self._problem("entry.amount", entry, "the amount cannot be read", "Amt")
                continue
            total += signed
            transactions += self._transactions(entry, signed, currency, account, ids, fallback)
        return Statement(
            source=source,
            account=clean(account),
            statement_id=clean(text(element, "Id"), 100) or self.position,
            currency=currency or "XXX",
            opening_minor=opening,
            closing_minor=closing,
            entries_minor=total,
            entries_count=len(self.entries),
            position=self.position,
            sequence_number=clean(text(element, "LglSeqNb", "ElctrncSeqNb", "StmtPgntn/PgNb"), 50),
            from_date=_day(text(element, "FrToDt/FrDtTm", "FrToDt/FrDt")),
            to_date=_day(text(element, "FrToDt/ToDtTm", "FrToDt/ToDt")),
            transactions=tuple(transactions),
            problems=tuple(self.problems),
        )

    def _problem(self, code: str, entry: _Entry, reason: str, field_name: str = "") -> None:
        self.problems.append(Problem(code, entry.position, reason, field_name))

    def _transactions(
        self,
        entry: _Entry,
        signed: int,
        currency: str,
        account: str,
        ids: EntryIds,
        fallback: datetime | None,
    ) -> Iterator[Transaction]:
        """One transaction, or one for each member of a batch whose amounts add up."""
        moment = entry.booked or _midnight(entry.value_day) or fallback
        if moment is None:
            self._problem("entry.date", entry, "neither booking nor value date is given", "BookgDt")
            return
        day = (entry.value_day or moment.date()).isoformat()
        key_texts = (entry.element.description, *(d.end_to_end for d in entry.details))
        members = _members(entry, signed, currency)
        whole = entry.details[0] if len(entry.details) == 1 else _Texts()
        reference = entry.element.bank_reference or whole.bank_reference
        entry_id = ids.of(reference, day, signed, (*key_texts, whole.description, whole.name))
        parts = members or [(signed, whole)]
        for number, (amount, said) in enumerate(parts, 1):
            texts = _joined(entry.element, said)
            try:
                yield Transaction(
                    tenant_id=self.origin.tenant_id,
                    source=self.origin.source(account),
                    external_id=f"{entry_id}/{number}" if members else entry_id,
                    side=Side.BANK,
                    kind=Kind.FEE if entry.element.fee else Kind.TRANSFER,
                    amount_minor=amount,
                    currency=currency,
                    occurred_at=moment,
                    raw_sha256=self.origin.raw_sha256,
                    raw_position=f"{entry.position} part {number}" if members else entry.position,
                    value_date=entry.value_day or moment.date(),
                    account=clean(account),
                    counterparty=Counterparty(texts.name, texts.account),
                    description=texts.description,
                    references=sorted_references(_references(texts)),
                )
            except InvalidInput as error:
                self._problem(error.code, entry, error.detail)


def _members(entry: _Entry, signed: int, currency: str) -> list[tuple[int, _Texts]]:
    """The members of a batch with their amounts, or nothing if they do not add up to the entry."""
    if len(entry.details) < 2:
        return []
    found = []
    for said in entry.details:
        if not said.amount or (said.currency and said.currency != currency):
            return []
        try:
            credit = entry.credit if said.credit is None else said.credit
            found.append((_signed(said.amount, credit, currency), said))
        except MoneyError:
            return []
    return found if sum(amount for amount, _ in found) == signed else []


def _signed(amount: str, credit: bool, currency: str) -> int:
    minor = minor_from_text(amount, currency)
    return minor if credit else -minor


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


def _currency(named: str, entries: list[_Entry], balances: dict[str, _Balance]) -> str:
    """The account's currency: as named, else the entries', else the balances'."""
    of_entries = {e.currency for e in entries if e.currency}
    if named or len(of_entries) == 1:
        return named or of_entries.pop()
    return next((b.currency for b in balances.values() if b.currency), "")


def _balance(balances: dict[str, _Balance], codes: tuple[str, ...], currency: str) -> int | None:
    """The first balance there is of `codes`, read in the statement's currency."""
    for code in codes:
        if code in balances:
            return _signed(balances[code].amount, balances[code].credit, currency)
    return None


def _entry_texts(element: Any) -> _Texts:
    code = text(element, "BkTxCd/Domn/Fmly/SubFmlyCd")
    return _Texts(
        bank_reference=given(text(element, "AcctSvcrRef")) or given(text(element, "NtryRef")),
        description=clean(text(element, "AddtlNtryInf")),
        fee=code in _FEE_FAMILIES,
    )


def _detail_texts(element: Any, entry_credit: bool) -> _Texts:
    amount = next(
        (
            found
            for path in ("Amt", "AmtDtls/TxAmt/Amt", "AmtDtls/InstdAmt/Amt")
            if (found := child(element, path)) is not None
        ),
        None,
    )
    indicator = text(element, "CdtDbtInd")
    credit = entry_credit if not indicator else indicator != "DBIT"
    remittance = [(u.text or "").strip() for u in children(child(element, "RmtInf"), "Ustrd")]
    structured = children(child(element, "RmtInf"), "Strd")
    creditor = next((r for s in structured if (r := text(s, "CdtrRefInf/Ref"))), "")
    other = "Dbtr" if credit else "Cdtr"
    refs = child(element, "Refs")
    return _Texts(
        amount="" if amount is None else (amount.text or "").strip(),
        currency="" if amount is None else amount.get("Ccy", ""),
        credit=None if not indicator else credit,
        end_to_end=text(refs, "EndToEndId"),
        bank_reference=given(text(refs, "AcctSvcrRef")),
        other_references=tuple(
            text(refs, n) for n in ("InstrId", "TxId", "ClrSysRef", "MndtId", "UETR")
        ),
        creditor_reference=creditor,
        description=clean(" ".join(remittance) or text(element, "AddtlTxInf")),
        name=clean(
            text(element, f"RltdPties/{other}/Nm", f"RltdPties/{other}/Pty/Nm"),
        ),
        account=clean(
            text(element, f"RltdPties/{other}Acct/Id/IBAN", f"RltdPties/{other}Acct/Id/Othr/Id")
        ),
    )


def _joined(entry: _Texts, said: _Texts) -> _Texts:
    """Entry and detail as one; the detail knows better."""
    return _Texts(
        end_to_end=said.end_to_end,
        bank_reference=entry.bank_reference or said.bank_reference,
        other_references=(
            *said.other_references,
            said.bank_reference if entry.bank_reference else "",
        ),
        creditor_reference=said.creditor_reference,
        description=said.description or entry.description,
        name=said.name,
        account=said.account,
    )


def _references(texts: _Texts) -> set[Any]:
    searched = " ".join((texts.description, texts.creditor_reference, *texts.other_references))
    found = references(
        [
            ("end_to_end", texts.end_to_end, Strength.STRONG),
            ("bank_reference", texts.bank_reference, Strength.WEAK),
            ("payment_reference", texts.creditor_reference, Strength.WEAK),
            *(("bank_reference", r, Strength.WEAK) for r in texts.other_references),
        ]
    )
    return found | found_in(f"{searched} {texts.end_to_end}", wrapped=searched.replace(" ", ""))


def _moment(value: str) -> datetime | None:
    """An instant in UTC; a date is its first moment, a time without zone is taken as UTC."""
    if not value:
        return None
    try:
        if len(value) >= 19 and "T" in value:
            moment = datetime.fromisoformat(value)
        else:
            moment = datetime.combine(date.fromisoformat(value[:10]), time())
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


def _midnight(day: date | None) -> datetime | None:
    return None if day is None else datetime.combine(day, time(), UTC)


def _day(value: str) -> date | None:
    try:
        return date.fromisoformat(value[:10]) if value else None
    except ValueError:
        return None
