"""The entries of ISO 20022 account reports: what an Ntry and its TxDtls say.

An entry is walked once and looked up many times, so it becomes plain nested nodes first; elements of
lxml cost ten times as much to look through.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from functools import lru_cache
from typing import Any

from pardna.formats.text import clean, found_in, given
from pardna.money.model import minor_from_text
from pardna.transactions.model import Reference, Strength

#: (text, currency attribute, children by local name)
Node = tuple[str, str, dict[str, list[Any]]]
Children = dict[str, list[Any]]
Path = tuple[str, ...]
_NONE: Children = {}
# An enumeration's members are looked up slowly, and here once for each row.
_STRONG, _WEAK = Strength.STRONG, Strength.WEAK
_EMPTY: Node = ("", "", _NONE)
#: Names without their namespace; a file has a few dozen, and who invents more gets no cache.
_LOCAL: dict[str, str] = {}
_LOCAL_MAX = 2_000
_FEE_FAMILIES = frozenset({"CHRG", "FEES", "COMM"})
#: Announced, not booked: no money has moved yet, and the booking comes as an entry of its own.
_NOT_BOOKED = frozenset({"PDNG", "FUTR"})
_AMOUNTS: tuple[Path, ...] = (
    ("Amt",),
    ("AmtDtls", "TxAmt", "Amt"),
    ("AmtDtls", "InstdAmt", "Amt"),
)
_OTHERS = ("InstrId", "TxId", "ClrSysRef", "MndtId", "UETR")


def node(element: Any) -> Node:
    """An element and all below it, names without namespaces.

    One walk in the order of the document, without recursion: `waiting` says of how many children each
    ancestor still waits.
    """
    kids: Children = {}
    top: Node = (_stripped(element.text), element.get("Ccy") or "", kids)
    ancestors: list[tuple[Children, int]] = []
    waiting = len(element)
    walk = element.iter()
    next(walk)
    for child in walk:
        while not waiting:
            kids, waiting = ancestors.pop()
        waiting -= 1
        tag, value, count = child.tag, child.text, len(child)
        name = _LOCAL.get(tag) or _local(tag)
        own: Children = {} if count else _NONE
        currency = child.get("Ccy") or "" if name.endswith("Amt") else ""
        entry = (value.strip() if value else "", currency, own)
        if name in kids:
            kids[name].append(entry)
        else:
            kids[name] = [entry]
        if count:
            ancestors.append((kids, waiting))
            kids, waiting = own, count
    return top


def _stripped(value: str | None) -> str:
    return value.strip() if value else ""


def _local(tag: Any) -> str:
    if not isinstance(tag, str):  # a comment or an instruction
        return ""
    name = tag[tag.rfind("}") + 1 :]
    if len(_LOCAL) < _LOCAL_MAX:
        _LOCAL[tag] = name
    return name


def leaf(kids: Children, name: str) -> str:
    """The text of the first child of a name."""
    found = kids.get(name)
    return found[0][0] if found else ""


def below(kids: Children, name: str) -> Children:
    """The children of the first child of a name."""
    found = kids.get(name)
    return found[0][2] if found else _NONE


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
    kids = whole[2]
    amount = kids["Amt"][0] if "Amt" in kids else _EMPTY
    credit = leaf(kids, "CdtDbtInd") != "DBIT"
    booked, value = below(kids, "BookgDt"), below(kids, "ValDt")
    status = kids["Sts"][0] if "Sts" in kids else _EMPTY
    code = text(whole, ("BkTxCd", "Domn", "Fmly", "SubFmlyCd")) if "BkTxCd" in kids else ""
    return Entry(
        position=position,
        amount=amount[0],
        currency=amount[1],
        credit=credit,
        booked=moment(leaf(booked, "DtTm") or leaf(booked, "Dt")),
        value_day=day(leaf(value, "Dt") or leaf(value, "DtTm")),
        said=Texts(
            bank_reference=given(leaf(kids, "AcctSvcrRef")) or given(leaf(kids, "NtryRef")),
            description=clean(leaf(kids, "AddtlNtryInf")) if "AddtlNtryInf" in kids else "",
            fee=code in _FEE_FAMILIES,
        ),
        details=[
            _detail(d, credit)
            for group in kids.get("NtryDtls", ())
            for d in group[2].get("TxDtls", ())
        ],
        pending=(leaf(status[2], "Cd") or status[0]) in _NOT_BOOKED,
    )


def _detail(detail: Node, entry_credit: bool) -> Texts:
    kids = detail[2]
    amount = None
    if "Amt" in kids or "AmtDtls" in kids:
        amount = next((f for path in _AMOUNTS if (f := find(detail, path)) is not None), None)
    indicator = leaf(kids, "CdtDbtInd")
    credit = entry_credit if not indicator else indicator != "DBIT"
    remitted = below(kids, "RmtInf")
    lines = [u[0] for u in remitted.get("Ustrd", ())]
    creditor = ""
    if "Strd" in remitted:
        creditor = next((r for s in remitted["Strd"] if (r := text(s, ("CdtrRefInf", "Ref")))), "")
    other = "Dbtr" if credit else "Cdtr"
    parties = below(kids, "RltdPties")
    party = below(parties, other)
    refs = below(kids, "Refs")
    account = below(below(parties, f"{other}Acct"), "Id")
    return Texts(
        amount="" if amount is None else amount[0],
        currency="" if amount is None else amount[1],
        credit=None if not indicator else credit,
        end_to_end=leaf(refs, "EndToEndId"),
        bank_reference=given(leaf(refs, "AcctSvcrRef")),
        other_references=tuple(refs[n][0][0] for n in _OTHERS if n in refs),
        creditor_reference=creditor,
        description=clean(" ".join(lines) or leaf(kids, "AddtlTxInf")),
        name=clean(leaf(party, "Nm") or leaf(below(party, "Pty"), "Nm")),
        account=clean(leaf(account, "IBAN") or leaf(below(account, "Othr"), "Id")),
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
    searched = texts.description
    if others or texts.creditor_reference:
        searched = " ".join((searched, texts.creditor_reference, *others))
    found = found_in(f"{searched} {texts.end_to_end}", wrapped=searched.replace(" ", ""))
    for kind, value, strength in (
        ("end_to_end", texts.end_to_end, _STRONG),
        ("bank_reference", texts.bank_reference, _WEAK),
        ("payment_reference", texts.creditor_reference, _WEAK),
        *(("bank_reference", r, _WEAK) for r in others),
    ):
        if value and (reference := given(value)):
            found.add(Reference(kind, reference, strength))
    return found


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


@lru_cache(maxsize=4096)
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


@lru_cache(maxsize=4096)
def day(value: str) -> date | None:
    """A day from the beginning of ISO 8601 text."""
    try:
        return date.fromisoformat(value[:10]) if value else None
    except ValueError:
        return None
