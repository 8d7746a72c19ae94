"""Where in an Ntry each text stands: found once for all entries that have the same elements.

The entries of one bank are nearly all of a few shapes. An entry is written out by libxml2, cut at
its tags, and the tags, which are the same for every entry of a shape, say which of the texts is
what. To walk the elements of each entry would take five times as long.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html import unescape
from typing import Any

from lxml import etree

from pardna.runtime.errors import UnreadableFile

#: What stands nowhere has the place of the empty text that comes last.
NOWHERE = -1
_SHAPES: dict[tuple[str, ...], Shape] = {}
_DETAILS: dict[tuple[str, ...], DetailShape] = {}
#: Who invents more than so many kinds of entries gets no cache for them.
_SHAPES_MAX = 2_000
_TAGS_MAX = 400
_LETTERS_MAX = 20_000
_CURRENCY = re.compile(r"\sCcy=\"([^\"]*)\"")
_NAME = re.compile(r"[^\s/]+")
_AMOUNTS = ("Amt", "AmtDtls/TxAmt/Amt", "AmtDtls/InstdAmt/Amt")
_OTHERS = ("InstrId", "TxId", "ClrSysRef", "MndtId", "UETR")


@dataclass(frozen=True, slots=True)
class PartyShape:
    """Where the name and the account of a party stand, the better ones first."""

    names: tuple[int, ...]
    accounts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class DetailShape:
    """Where the texts of a TxDtls stand."""

    amount: int
    currency: str
    indicator: int
    end_to_end: int
    servicer: int
    others: tuple[int, ...]
    creditor_references: tuple[int, ...]
    remitted: tuple[int, ...]
    information: int
    debtor: PartyShape
    creditor: PartyShape


@dataclass(frozen=True, slots=True)
class Shape:
    """Where the texts of an Ntry stand."""

    amount: int
    currency: str
    indicator: int
    booked: tuple[int, ...]
    value: tuple[int, ...]
    status: tuple[int, ...]
    family: int
    servicer: int
    reference: int
    information: int
    details: tuple[DetailShape, ...]


def taken(element: Any) -> tuple[Shape, list[str]]:
    """The shape of an Ntry, and its texts, unescaped and not yet stripped; the last one is empty."""
    tags, texts = _written(element)
    shape = _SHAPES.get(tags)
    if shape is None:
        shape = _shape_of(tags)
        if len(_SHAPES) < _SHAPES_MAX and _is_common(tags):
            _SHAPES[tags] = shape
    return shape, texts


def taken_detail(element: Any) -> tuple[DetailShape, list[str]]:
    """The same of one TxDtls."""
    tags, texts = _written(element)
    shape = _DETAILS.get(tags)
    if shape is None:
        shape = _detail_of(_tree(tags))
        if len(_DETAILS) < _SHAPES_MAX and _is_common(tags):
            _DETAILS[tags] = shape
    return shape, texts


def _is_common(tags: tuple[str, ...]) -> bool:
    """Whether a shape may come again, and is small enough to be remembered."""
    return len(tags) <= _TAGS_MAX and sum(map(len, tags)) <= _LETTERS_MAX


def _written(element: Any) -> tuple[tuple[str, ...], list[str]]:
    """Tags and texts of an element."""
    written = etree.tostring(element, encoding="unicode", with_tail=False)
    # Within texts and attributes both signs are written as entities, so each is a tag's.
    parts = written.replace(">", "<").split("<")
    tags, texts = tuple(parts[1::2]), parts[2::2]
    if "&" in written:
        texts = [unescape(text) if "&" in text else text for text in texts]
    return tags, texts


@dataclass(slots=True)
class _Node:
    """An element: the place of its text, its currency, and what is below it by name."""

    at: int
    currency: str = ""
    below: dict[str, list[_Node]] = field(default_factory=dict)

    def all(self, path: str) -> list[_Node]:
        """All children of the last name of a path, below the first of each other name."""
        *names, last = path.split("/")
        here: _Node | None = self
        for name in names:
            here = here.first(name) if here is not None else None
        return here.below.get(last, []) if here is not None else []

    def first(self, path: str) -> _Node | None:
        """The first along a path."""
        return next(iter(self.all(path)), None)

    def place(self, path: str) -> int:
        """Where the text of the first along a path stands."""
        found = self.first(path)
        return NOWHERE if found is None else found.at

    def places(self, *paths: str) -> tuple[int, ...]:
        """Where the texts at those of the paths stand that are there."""
        return tuple(at for path in paths if (at := self.place(path)) != NOWHERE)


def _tree(tags: tuple[str, ...]) -> _Node:
    """The elements of which these are the tags, names without prefixes."""
    document = _Node(NOWHERE)
    ancestors = [("", document)]
    for at, tag in enumerate(tags):
        name = _NAME.match(tag.removeprefix("/"))
        if name is None or (tag.startswith("/") and name[0] != ancestors.pop()[0]):
            # A namespace whose name holds a bracket, which libxml2 writes as it is.
            raise UnreadableFile("xml.malformed", "an element's tags cannot be told apart")
        if tag.startswith("/"):
            continue
        currency = _CURRENCY.search(tag)
        alone = tag.endswith("/")
        node = _Node(NOWHERE if alone else at, unescape(currency[1]) if currency else "")
        ancestors[-1][1].below.setdefault(name[0].rpartition(":")[2], []).append(node)
        if not alone:
            ancestors.append((name[0], node))
    return next(iter(document.below.values()))[0]


def _shape_of(tags: tuple[str, ...]) -> Shape:
    top = _tree(tags)
    amount = top.first("Amt")
    return Shape(
        amount=NOWHERE if amount is None else amount.at,
        currency="" if amount is None else amount.currency,
        indicator=top.place("CdtDbtInd"),
        booked=top.places("BookgDt/DtTm", "BookgDt/Dt"),
        value=top.places("ValDt/Dt", "ValDt/DtTm"),
        status=top.places("Sts/Cd", "Sts"),
        family=top.place("BkTxCd/Domn/Fmly/SubFmlyCd"),
        servicer=top.place("AcctSvcrRef"),
        reference=top.place("NtryRef"),
        information=top.place("AddtlNtryInf"),
        details=tuple(
            _detail_of(detail)
            for group in top.all("NtryDtls")
            for detail in group.below.get("TxDtls", [])
        ),
    )


def _detail_of(detail: _Node) -> DetailShape:
    amount = next((f for path in _AMOUNTS if (f := detail.first(path)) is not None), None)
    creditors = (s.place("CdtrRefInf/Ref") for s in detail.all("RmtInf/Strd"))
    return DetailShape(
        amount=NOWHERE if amount is None else amount.at,
        currency="" if amount is None else amount.currency,
        indicator=detail.place("CdtDbtInd"),
        end_to_end=detail.place("Refs/EndToEndId"),
        servicer=detail.place("Refs/AcctSvcrRef"),
        others=detail.places(*(f"Refs/{name}" for name in _OTHERS)),
        creditor_references=tuple(at for at in creditors if at != NOWHERE),
        remitted=tuple(u.at for u in detail.all("RmtInf/Ustrd")),
        information=detail.place("AddtlTxInf"),
        debtor=_party_of(detail, "Dbtr"),
        creditor=_party_of(detail, "Cdtr"),
    )


def _party_of(detail: _Node, name: str) -> PartyShape:
    party, account = f"RltdPties/{name}", f"RltdPties/{name}Acct/Id"
    return PartyShape(
        names=detail.places(f"{party}/Nm", f"{party}/Pty/Nm"),
        accounts=detail.places(f"{account}/IBAN", f"{account}/Othr/Id"),
    )
