"""OFX 1 (SGML) and OFX 2 (XML): bank and credit card statements, and an investment account's cash.

Read by a tolerant tokenizer of our own: OFX 1 closes no leaf elements, and banks mix both styles,
invent tags and leave values empty. A document type or an entity declaration is refused; only the
five entities of SGML and numeric ones are resolved. Source: the OFX 1.6 and 2.3 specifications.

`LEDGERBAL` is the closing balance at the time of download; there is no opening one, so that a
statement cannot be proved to add up.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone

from pardna.formats.encoding import decode
from pardna.formats.instants import in_utc
from pardna.formats.items import Item, collect
from pardna.formats.model import Origin, Parsed, Problem, Severity, Statement
from pardna.formats.text import EntryIds, clean, found_in, given, references, sorted_references
from pardna.money.model import MoneyError, exponent, minor_from_text
from pardna.runtime.errors import InvalidInput, TooLarge, UnreadableFile
from pardna.transactions.model import Counterparty, Kind, Side, Strength, Transaction

BYTES_MAX = 64 * 1024 * 1024
_TOKEN = re.compile(
    r"<(?P<close>/?)(?P<name>[A-Za-z][\w.-]*)(?:\s[^<>]*?)?(?P<empty>/?)>"
    r"(?P<text>[^<]*)"
)
_CDATA, _CDATA_END = "<![CDATA[", "]]>"
#: Elements whose ends and places matter; all others are leaves, or wrappers without meaning here.
_STATEMENTS = frozenset({"STMTRS", "CCSTMTRS", "INVSTMTRS"})
_ACCOUNTS = frozenset({"BANKACCTFROM", "CCACCTFROM", "INVACCTFROM"})
_OTHERS = frozenset({"BANKACCTTO", "CCACCTTO"})
_AGGREGATES = (
    _STATEMENTS
    | _ACCOUNTS
    | _OTHERS
    | {"STMTTRN", "LEDGERBAL", "AVAILBAL", "PAYEE", "CURRENCY", "ORIGCURRENCY", "BAL", "STATUS"}
)
_FEE_TYPES = frozenset({"FEE", "SRVCHG"})
_MOMENT = re.compile(
    r"(\d{4})(\d{2})(\d{2})(?:(\d{2})(\d{2})(\d{2})?)?(?:[.,]\d+)?\s*(?:\[([+-]?\d{1,2})(?:\.(\d+))?)?"
)


def read(data: bytes, origin: Origin) -> Parsed:
    """Everything that an OFX file says. Raises UnreadableFile when it is none, or is hostile."""
    if len(data) > BYTES_MAX:
        raise TooLarge("ofx.too_large", f"an OFX file has at most {BYTES_MAX} bytes")
    text = _decode(data)
    start = re.search(r"<OFX\s*>", text, re.IGNORECASE)
    if start is None:
        raise UnreadableFile("ofx.no_ofx", "there is no OFX element in this file")
    head = text[: start.start()]
    if re.search(r"<!\s*(?:DOCTYPE|ENTITY)", text, re.IGNORECASE):
        raise UnreadableFile("ofx.doctype", "document types and entities are refused")
    version = re.search(r"(?<!\w)VERSION\s*[:=]\s*\"?(\d{3})", head.replace("OFXHEADER", ""))
    name = f"OFX {version.group(1)}" if version else "OFX"
    parsed = collect(name, _Reader(origin).items(text[start.end() :]))
    if not re.search(r"</OFX\s*>", text[-200:], re.IGNORECASE):
        cut = Problem("ofx.truncated", "end of file", "the OFX element is not closed")
        return Parsed(
            name, parsed.statements, parsed.transactions, problems=(*parsed.problems, cut)
        )
    return parsed


def _decode(data: bytes) -> str:
    """Text by the header's CHARSET where it says one that is not UTF-8's subset, else by content."""
    head = data[:512].decode("latin-1")
    named = re.search(r"CHARSET:\s*([\w-]+)", head)
    if named and named.group(1).upper() in ("8859-1", "ISO-8859-1", "ISO8859-1", "28591"):
        try:
            return data.decode("utf-8")  # many say Latin-1 and write UTF-8
        except UnicodeDecodeError:
            return data.decode("latin-1")
    return decode(data)


@dataclass
class _Account:
    """A statement while it is read."""

    position: str
    number: str = ""
    currency: str = ""
    closing: str = ""
    closing_day: datetime | None = None
    rows: list[tuple[dict[str, str], int]] = field(default_factory=list)


class _Reader:
    """Reads tokens."""

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.ids: dict[str, EntryIds] = {}
        self.fitids: dict[str, set[str]] = {}

    def items(self, text: str) -> Iterator[Item]:
        """The items of the text that follows ``<OFX>``."""
        stack: list[str] = []
        account: _Account | None = None
        row: dict[str, str] = {}
        count = 0
        for name, value, closing in _tokens(text):
            if name in _AGGREGATES and (closing or not value):
                if not closing:
                    stack.append(name)
                    if name in _STATEMENTS:
                        count += 1
                        account = _Account(f"statement {count}")
                    elif name == "STMTTRN":
                        row = {}
                elif name in stack:
                    while stack.pop() != name:
                        pass
                    if name == "STMTTRN" and account is not None:
                        account.rows.append((row, len(account.rows) + 1))
                    elif name in _STATEMENTS and account is not None:
                        yield from self._statement(account)
                        account = None
                continue
            if not closing:
                yield from _leaf(name, value, stack, account, row)
        if account is not None:  # cut off in the middle of a statement
            yield from self._statement(account)

    def _statement(self, account: _Account) -> Iterator[Item]:
        currency = account.currency.upper()
        if not currency:
            reason = "no currency is named"
            severity = Severity.ERROR if account.rows else Severity.WARNING
            yield Problem("statement.currency", account.position, reason, "CURDEF", severity)
        try:
            exponent(currency)
        except MoneyError:
            if currency:
                reason = "the currency is not one"
                yield Problem("statement.currency", account.position, reason, "CURDEF")
        total = 0
        for row, number in account.rows:
            position = f"{account.position} entry {number}"
            try:
                # Without a currency that we know, sums are shown in hundredths and nothing counts.
                amount = _minor(row.get("TRNAMT", ""), currency)
                total += amount
                yield from self._row(account, row, amount, position)
            except MoneyError:
                yield Problem("entry.amount", position, "the amount cannot be read", "TRNAMT")
            except InvalidInput as error:
                yield Problem(error.code, position, error.detail, "STMTTRN")
        closing: int | None = None
        try:
            closing = _minor(account.closing, currency) if account.closing else None
        except MoneyError:
            yield Problem("statement.balance", account.position, "it cannot be read", "LEDGERBAL")
        day = account.closing_day.date() if account.closing_day else None
        yield Statement(
            source=self.origin.source(account.number),
            account=account.number,
            statement_id=f"{account.number or account.position}/{day or 'undated'}",
            currency=currency or "XXX",
            opening_minor=None,
            closing_minor=closing,
            entries_minor=total,
            entries_count=len(account.rows),
            position=account.position,
            to_date=day,
        )

    def _row(
        self, account: _Account, row: dict[str, str], amount: int, position: str
    ) -> Iterator[Item]:
        booked = _moment(row.get("DTPOSTED", "")) or _moment(row.get("DTUSER", ""))
        booked = booked or account.closing_day
        if booked is None:
            raise InvalidInput("entry.date", "neither a posting date nor another is given")
        currency = row.get("CURSYM", "").upper() or account.currency.upper()
        fitid = given(row.get("FITID"))
        seen = self.fitids.setdefault(account.number, set())
        if fitid and fitid in seen:
            reason = "its FITID came before in this file"
            yield Problem("ofx.fitid_repeated", position, reason, "FITID", Severity.WARNING)
        seen.add(fitid)
        payee = clean(row.get("NAME") or row.get("PAYEE"))
        memo = clean(row.get("MEMO"))
        ids = self.ids.setdefault(account.number, EntryIds())
        day = booked.date()
        yield Transaction(
            tenant_id=self.origin.tenant_id,
            source=self.origin.source(account.number),
            external_id=ids.of(
                fitid or given(row.get("REFNUM")), day.isoformat(), amount, (payee, memo)
            ),
            side=Side.BANK,
            kind=Kind.FEE if row.get("TRNTYPE", "").upper() in _FEE_TYPES else Kind.TRANSFER,
            amount_minor=amount,
            currency=currency,
            occurred_at=booked,
            raw_sha256=self.origin.raw_sha256,
            raw_position=position,
            value_date=_value_day(row.get("DTAVAIL", "")) or day,
            account=account.number,
            counterparty=Counterparty(payee, clean(row.get("ACCTTO"))),
            description=memo or payee,
            references=sorted_references(
                references(
                    [
                        ("bank_reference", fitid, Strength.WEAK),
                        ("bank_reference", row.get("REFNUM"), Strength.WEAK),
                        ("check", row.get("CHECKNUM"), Strength.WEAK),
                    ]
                )
                | found_in(f"{payee} {memo}", wrapped=f"{payee}{memo}")
            ),
        )


def _leaf(
    name: str, value: str, stack: list[str], account: _Account | None, row: dict[str, str]
) -> Iterator[Item]:
    """What one element says, by where it stands."""
    inside = stack[-1] if stack else ""
    if inside == "STATUS":
        if name == "SEVERITY" and value.upper() == "ERROR":
            yield Problem("ofx.status", "response", "the bank answered with an error", "STATUS")
    elif account is None:
        return
    elif "STMTTRN" in stack:
        _row_leaf(name, value, inside, row)
    elif inside in _ACCOUNTS and name == "ACCTID":
        account.number = clean(value, 100)
    elif name == "CURDEF":
        account.currency = clean(value, 20)
    elif inside == "LEDGERBAL":
        if name == "BALAMT":
            account.closing = value
            if not value:
                reason = "the ledger balance is empty"
                yield Problem("statement.balance", account.position, reason, "BALAMT")
        elif name == "DTASOF":
            account.closing_day = _moment(value)


def _row_leaf(name: str, value: str, inside: str, row: dict[str, str]) -> None:
    """One element of a transaction: the other account's and the payee's own ones are kept apart."""
    if inside in _OTHERS:
        row.setdefault("ACCTTO" if name == "ACCTID" else f"TO.{name}", value)
    elif inside == "PAYEE":
        row.setdefault("PAYEE" if name == "NAME" else f"PAYEE.{name}", value)
    elif inside != "ORIGCURRENCY":
        row.setdefault(name, value)


def _tokens(text: str) -> Iterator[tuple[str, str, bool]]:
    """(name in capitals, value, whether it is an end)."""
    at = 0
    while (match := _TOKEN.search(text, at)) is not None:
        at = match.end()
        value = html.unescape(match["text"]).replace("\xa0", " ").strip()
        if not value and text.startswith(_CDATA, at):
            end = text.find(_CDATA_END, at)
            if end < 0:
                raise UnreadableFile("ofx.cdata", "a text begins that has no end")
            value = text[at + len(_CDATA) : end].strip()
            at = end + len(_CDATA_END)
        name, closing = match["name"].upper(), bool(match["close"])
        yield name, "" if closing else value, closing
        if match["empty"] and not closing and name in _AGGREGATES:
            yield name, "", True


def _minor(text: str, currency: str) -> int:
    """Minor units of ``-1,234.56``, ``-1.234,56``, ``10,00``, ``+ 5``: the last mark is the point."""
    plain = re.sub(r"\s", "", text)
    comma, point = plain.rfind(","), plain.rfind(".")
    if comma > point:
        plain = plain.replace(".", "").replace(",", ".", plain.count(",") if point < 0 else 1)
        if plain.count(".") > 1:
            raise MoneyError("more than one decimal mark")
    else:
        plain = plain.replace(",", "")
    try:
        exponent(currency)
    except MoneyError:
        return minor_from_text(plain, "EUR")
    return minor_from_text(plain, currency)


def _moment(text: str) -> datetime | None:
    """``YYYYMMDD[HHMMSS[.XXX]][[offset:zone]]`` in UTC; without an offset it is UTC already."""
    match = _MOMENT.match(text.strip())
    if match is None:
        return None
    year, month, day, hour, minute, second, offset, part = match.groups()
    try:
        moment = datetime(
            int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0), tzinfo=UTC
        )  # fmt: skip
        if offset is None:
            return moment
        hundredths = int(f"{part or ''}00"[:2])
        minutes = int(offset) * 60 + (-1 if "-" in offset else 1) * hundredths * 60 // 100
        if not hour:
            # A date alone keeps its day; an offset would move it to the day before or after.
            return moment
        return in_utc(moment.replace(tzinfo=timezone(timedelta(minutes=minutes))))
    except ValueError:
        return None


def _value_day(text: str) -> date | None:
    moment = _moment(text)
    return None if moment is None else moment.date()
