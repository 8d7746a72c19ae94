"""The entries of ISO 20022 account reports: what an Ntry and its TxDtls say.

Where in an entry each text stands is found once for all entries of one shape; see
`pardna.formats.camt_shapes`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from functools import lru_cache
from typing import Any

from pardna.formats.camt_shapes import DetailShape, taken, taken_detail
from pardna.formats.instants import from_iso
from pardna.formats.text import clean, found_in, given
from pardna.formats.xml import children, text
from pardna.money.model import minor_from_text
from pardna.transactions.model import Reference, Strength

# An enumeration's members are looked up slowly, and here once for each row.
_STRONG, _WEAK = Strength.STRONG, Strength.WEAK
#: Characters of a time.
_LONGEST = 60
_FEE_FAMILIES = frozenset({"CHRG", "FEES", "COMM"})
#: Announced, or told for information only: the account has no such booking (ISO 20022's entry
#: status), and where one follows it comes as an entry of its own.
_NOT_BOOKED = frozenset({"PDNG", "FUTR", "INFO"})


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


def details_before(element: Any) -> list[Texts]:
    """Take down the TxDtls that stand before one in its entry, and forget their elements.

    Nothing is taken as long as it is not known which way the entry goes.
    """
    of = next(element.iterancestors("{*}Ntry"), None)
    indicator = text(of, "CdtDbtInd")
    found = list[Texts]()
    for group in children(of, "NtryDtls") if indicator else ():
        for one in children(group, "TxDtls"):
            if one is element:  # what follows may be here already, and not whole
                return found
            found.append(_detail(*taken_detail(one), indicator != "DBIT"))
            group.remove(one)
    return found


def entry(element: Any, position: str, taken_before: list[Texts]) -> Entry:
    """Take down one Ntry, of which some details may have been taken before."""
    shape, texts = taken(element)
    credit = texts[shape.indicator].strip() != "DBIT"
    booked, value = shape.booked, shape.value
    description = texts[shape.information]
    code = texts[shape.family].strip()
    return Entry(
        position=position,
        amount=texts[shape.amount].strip(),
        currency=shape.currency,
        credit=credit,
        booked=moment(_first(texts, booked)),
        value_day=day(_first(texts, value)),
        said=Texts(
            bank_reference=given(texts[shape.servicer]) or given(texts[shape.reference]),
            description=clean(description) if description else "",
            fee=code in _FEE_FAMILIES,
        ),
        details=[*taken_before, *[_detail(d, texts, credit) for d in shape.details]],
        pending=_first(texts, shape.status) in _NOT_BOOKED,
    )


def _first(texts: list[str], places: tuple[int, ...]) -> str:
    """The first of some texts that is not blank."""
    for at in places:
        if found := texts[at].strip():
            return found
    return ""


def _detail(shape: DetailShape, texts: list[str], entry_credit: bool) -> Texts:
    indicator = texts[shape.indicator].strip()
    credit = entry_credit if not indicator else indicator != "DBIT"
    if len(shape.remitted) == 1:
        lines = texts[shape.remitted[0]].strip()
    else:
        lines = " ".join([texts[at].strip() for at in shape.remitted])
    other = shape.debtor if credit else shape.creditor
    return Texts(
        amount=texts[shape.amount].strip(),
        currency=shape.currency,
        credit=None if not indicator else credit,
        end_to_end=texts[shape.end_to_end].strip(),
        bank_reference=given(texts[shape.servicer]),
        other_references=tuple([texts[at].strip() for at in shape.others]),
        creditor_reference=_first(texts, shape.creditor_references),
        description=clean(lines or texts[shape.information].strip()),
        name=clean(_first(texts, other.names)),
        account=clean(_first(texts, other.accounts)),
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


def moment(value: str) -> datetime | None:
    """An instant in UTC; a date is its first moment, a time without zone is taken as UTC."""
    return _moment(value) if len(value) <= _LONGEST else None


@lru_cache(maxsize=4096)
def _moment(value: str) -> datetime | None:
    if not value:
        return None
    try:
        if len(value) >= 19 and "T" in value:
            return from_iso(value)
        return midnight(date.fromisoformat(value[:10]))
    except ValueError:
        return None


def midnight(of: date | None) -> datetime | None:
    """The first moment of a day."""
    return None if of is None else datetime.combine(of, time(), UTC)


def day(value: str) -> date | None:
    """A day from the beginning of ISO 8601 text."""
    return _day(value[:10])


@lru_cache(maxsize=4096)
def _day(value: str) -> date | None:
    try:
        return date.fromisoformat(value) if value else None
    except ValueError:
        return None
