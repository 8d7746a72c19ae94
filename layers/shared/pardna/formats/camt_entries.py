"""The entries of ISO 20022 account reports: what an Ntry and its TxDtls say.

An entry is walked once and looked up many times, so it becomes plain nested nodes first; elements of
lxml cost ten times as much to look through.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any

from pardna.formats.text import clean, found_in, given, references
from pardna.money.model import minor_from_text
from pardna.transactions.model import Reference, Strength

#: (text, currency attribute, children by local name)
Node = tuple[str, str, dict[str, list[Any]]]
Path = tuple[str, ...]
_EMPTY: Node = ("", "", {})
_FEE_FAMILIES = frozenset({"CHRG", "FEES", "COMM"})
#: Announced, not booked: no money has moved yet, and the booking comes as an entry of its own.
_NOT_BOOKED = frozenset({"PDNG", "FUTR"})
_AMOUNTS: tuple[Path, ...] = (
    ("Amt",),
    ("AmtDtls", "TxAmt", "Amt"),
    ("AmtDtls", "InstdAmt", "Amt"),
)
_BOOKED: tuple[Path, ...] = (("BookgDt", "DtTm"), ("BookgDt", "Dt"))
_VALUE: tuple[Path, ...] = (("ValDt", "Dt"), ("ValDt", "DtTm"))


def node(element: Any) -> Node:
    """An element and all below it, names without namespaces."""
    kids: dict[str, list[Any]] = {}
    for child in element:
        tag = child.tag
        if isinstance(tag, str):
            kids.setdefault(tag[tag.rfind("}") + 1 :], []).append(node(child))
    return (element.text or "").strip(), element.get("Ccy") or "", kids


def find(start: Node, path: Path) -> Node | None:
    """The first descendant along a path, or None."""
    found = start
    for name in path:
        below = found[2].get(name)
        if below is None:
            return None
        found = below[0]
    return found


def text(start: Node, *paths: Path) -> str:
    """The text at the first of the paths that has any."""
    for path in paths:
        found = find(start, path)
        if found is not None and found[0]:
            return found[0]
    return ""


@dataclass(slots=True)
class Texts:
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


@dataclass(slots=True)
class Entry:
    """What an entry says, before it is known whose account it is on."""

    position: str
    amount: str
    currency: str
    credit: bool
    booked: datetime | None
    value_day: date | None
    said: Texts
    details: list[Texts]
    pending: bool = False


def entry(element: Any, position: str) -> Entry:
    """Take down one Ntry."""
    whole = node(element)
    amount = find(whole, ("Amt",)) or _EMPTY
    credit = text(whole, ("CdtDbtInd",)) != "DBIT"
    code = text(whole, ("BkTxCd", "Domn", "Fmly", "SubFmlyCd"))
    return Entry(
        position=position,
        amount=amount[0],
        currency=amount[1],
        credit=credit,
        booked=moment(text(whole, *_BOOKED)),
        value_day=day(text(whole, *_VALUE)),
        said=Texts(
            bank_reference=given(text(whole, ("AcctSvcrRef",))) or given(text(whole, ("NtryRef",))),
            description=clean(text(whole, ("AddtlNtryInf",))),
            fee=code in _FEE_FAMILIES,
        ),
        details=[
            _detail(d, credit)
            for group in whole[2].get("NtryDtls", ())
            for d in group[2].get("TxDtls", ())
        ],
        pending=text(whole, ("Sts", "Cd"), ("Sts",)) in _NOT_BOOKED,
    )


def _detail(detail: Node, entry_credit: bool) -> Texts:
    amount = next((f for path in _AMOUNTS if (f := find(detail, path)) is not None), None)
    indicator = text(detail, ("CdtDbtInd",))
    credit = entry_credit if not indicator else indicator != "DBIT"
    remitted = find(detail, ("RmtInf",)) or _EMPTY
    lines = [u[0] for u in remitted[2].get("Ustrd", ())]
    creditor = next(
        (r for s in remitted[2].get("Strd", ()) if (r := text(s, ("CdtrRefInf", "Ref")))), ""
    )
    other = "Dbtr" if credit else "Cdtr"
    parties = find(detail, ("RltdPties",)) or _EMPTY
    refs = find(detail, ("Refs",)) or _EMPTY
    account = f"{other}Acct"
    return Texts(
        amount="" if amount is None else amount[0],
        currency="" if amount is None else amount[1],
        credit=None if not indicator else credit,
        end_to_end=text(refs, ("EndToEndId",)),
        bank_reference=given(text(refs, ("AcctSvcrRef",))),
        other_references=tuple(
            text(refs, (n,)) for n in ("InstrId", "TxId", "ClrSysRef", "MndtId", "UETR")
        ),
        creditor_reference=creditor,
        description=clean(" ".join(lines) or text(detail, ("AddtlTxInf",))),
        name=clean(text(parties, (other, "Nm"), (other, "Pty", "Nm"))),
        account=clean(text(parties, (account, "Id", "IBAN"), (account, "Id", "Othr", "Id"))),
    )


def joined(said: Texts, detail: Texts) -> Texts:
    """Entry and detail as one; the detail knows better."""
    return Texts(
        end_to_end=detail.end_to_end,
        bank_reference=said.bank_reference or detail.bank_reference,
        other_references=(
            *detail.other_references,
            detail.bank_reference if said.bank_reference else "",
        ),
        creditor_reference=detail.creditor_reference,
        description=detail.description or said.description,
        name=detail.name,
        account=detail.account,
    )


def references_of(texts: Texts) -> set[Reference]:
    """All references, as fields and as found in the texts."""
    others = [r for r in texts.other_references if r]
    searched = " ".join((texts.description, texts.creditor_reference, *others))
    found = references(
        [
            ("end_to_end", texts.end_to_end, Strength.STRONG),
            ("bank_reference", texts.bank_reference, Strength.WEAK),
            ("payment_reference", texts.creditor_reference, Strength.WEAK),
            *(("bank_reference", r, Strength.WEAK) for r in others),
        ]
    )
    return found | found_in(f"{searched} {texts.end_to_end}", wrapped=searched.replace(" ", ""))


def members(of: Entry, amount_minor: int, currency: str) -> list[tuple[int, Texts]]:
    """The members of a batch with their amounts, or nothing if they do not add up to the entry.

    Raises nothing: an amount that cannot be read makes it no batch.
    """
    if len(of.details) < 2:
        return []
    found = []
    for said in of.details:
        if not said.amount or (said.currency and said.currency != currency):
            return []
        try:
            credit = of.credit if said.credit is None else said.credit
            found.append((signed(said.amount, credit, currency), said))
        except ValueError:
            return []
    return found if sum(amount for amount, _ in found) == amount_minor else []


def signed(amount: str, credit: bool, currency: str) -> int:
    """Minor units of an amount, negative for a debit; raises MoneyError."""
    minor = minor_from_text(amount, currency)
    return minor if credit else -minor


def moment(value: str) -> datetime | None:
    """An instant in UTC; a date is its first moment, a time without zone is taken as UTC."""
    if not value:
        return None
    try:
        if len(value) >= 19 and "T" in value:
            found = datetime.fromisoformat(value)
        else:
            found = datetime.combine(date.fromisoformat(value[:10]), time())
    except ValueError:
        return None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)


def midnight(of: date | None) -> datetime | None:
    """The first moment of a day."""
    return None if of is None else datetime.combine(of, time(), UTC)


def day(value: str) -> date | None:
    """A day from the beginning of ISO 8601 text."""
    try:
        return date.fromisoformat(value[:10]) if value else None
    except ValueError:
        return None
