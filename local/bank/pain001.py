"""Reading a payment file: pain.001.001.03 and pain.001.001.09, one or more batches of transfers.

Only what a bank needs to pay is read. The two versions differ in the execution date (text or `Dt`)
and in the name of the BIC element.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from xml.etree import ElementTree

from local.bank.amounts import minor

_NAMESPACES = {
    f"urn:iso:std:iso:20022:tech:xsd:pain.001.001.{version}": f"pain.001.001.{version}"
    for version in ("03", "09")
}


class Unreadable(ValueError):
    """The file is not a payment file that this bank can read. The text says why."""


@dataclass(frozen=True)
class Instruction:
    """One transfer. `urgent` asks for real-time gross settlement instead of the clearing house."""

    instruction: str
    end_to_end: str
    amount_minor: int
    currency: str
    creditor: str
    creditor_account: str
    creditor_bic: str
    remittance: str
    creditor_reference: str
    urgent: bool


@dataclass(frozen=True)
class Batch:
    """Transfers out of one account on one day. Totals are None where the file gives none."""

    payment_information: str
    requested_date: str
    account: str
    count: int | None
    control_sum_minor: int | None
    instructions: tuple[Instruction, ...]


@dataclass(frozen=True)
class PaymentFile:
    """A whole message."""

    version: str
    message: str
    created: str
    count: int
    control_sum_minor: int | None
    batches: tuple[Batch, ...]

    def total_minor(self) -> int:
        """The sum over all instructions, whatever their currency, as control sums count."""
        return sum(one.amount_minor for batch in self.batches for one in batch.instructions)

    def instruction_count(self) -> int:
        """How many instructions the file holds."""
        return sum(len(batch.instructions) for batch in self.batches)


def read(content: bytes) -> PaymentFile:
    """Parse a payment file. Raises `Unreadable`."""
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise Unreadable("document type declarations are not accepted")
    try:
        root = ElementTree.fromstring(content)
    except ElementTree.ParseError as error:
        raise Unreadable(f"not well-formed: {error}") from None
    found = re.fullmatch(r"\{(.+)\}Document", root.tag)
    if found is None or found.group(1) not in _NAMESPACES:
        raise Unreadable(f"unexpected document {root.tag}")
    reader = _Node(root, found.group(1)).child("CstmrCdtTrfInitn")
    header = reader.child("GrpHdr")
    try:
        return PaymentFile(
            version=_NAMESPACES[found.group(1)],
            message=header.text("MsgId"),
            created=header.text("CreDtTm"),
            count=int(header.text("NbOfTxs")),
            control_sum_minor=_optional_amount(header.text("CtrlSum", "")),
            batches=tuple(_batch(one) for one in reader.children("PmtInf")),
        )
    except ValueError as error:
        raise Unreadable(str(error)) from None


def _batch(node: _Node) -> Batch:
    count = node.text("NbOfTxs", "")
    requested = node.text("ReqdExctnDt/Dt", "") or node.text("ReqdExctnDt")
    urgent = _is_urgent(node)
    return Batch(
        payment_information=node.text("PmtInfId"),
        requested_date=requested[:10],
        account=node.text("DbtrAcct/Id/Othr/Id", "") or node.text("DbtrAcct/Id/IBAN"),
        count=int(count) if count else None,
        control_sum_minor=_optional_amount(node.text("CtrlSum", "")),
        instructions=tuple(_instruction(one, urgent) for one in node.children("CdtTrfTxInf")),
    )


def _instruction(node: _Node, urgent: bool) -> Instruction:
    amount = node.child("Amt").child("InstdAmt")
    agent = "CdtrAgt/FinInstnId/"
    return Instruction(
        instruction=node.text("PmtId/InstrId", ""),
        end_to_end=node.text("PmtId/EndToEndId"),
        amount_minor=minor(amount.own_text()),
        currency=amount.attribute("Ccy"),
        creditor=node.text("Cdtr/Nm", ""),
        creditor_account=node.text("CdtrAcct/Id/Othr/Id", "") or node.text("CdtrAcct/Id/IBAN", ""),
        creditor_bic=node.text(agent + "BICFI", "") or node.text(agent + "BIC", ""),
        remittance=" ".join(one.own_text() for one in node.children("RmtInf/Ustrd")),
        creditor_reference=node.text("RmtInf/Strd/CdtrRefInf/Ref", ""),
        urgent=urgent or _is_urgent(node),
    )


def _is_urgent(node: _Node) -> bool:
    kinds = ("SvcLvl/Cd", "SvcLvl/Prtry", "LclInstrm/Cd", "LclInstrm/Prtry")
    return any(node.text(f"PmtTpInf/{kind}", "") in ("URGP", "RTGS") for kind in kinds)


def _optional_amount(text: str) -> int | None:
    return minor(text) if text else None


class _Node:
    """An element and the namespace that its children live in."""

    def __init__(self, element: ElementTree.Element, namespace: str) -> None:
        self._element = element
        self._namespace = namespace

    def children(self, path: str) -> list[_Node]:
        names = "/".join(f"{{{self._namespace}}}{name}" for name in path.split("/"))
        return [_Node(one, self._namespace) for one in self._element.findall(names)]

    def child(self, path: str) -> _Node:
        found = self.children(path)
        if not found:
            raise Unreadable(f"{path} is missing")
        return found[0]

    def text(self, path: str, default: str | None = None) -> str:
        found = self.children(path)
        if not found and default is not None:
            return default
        return self.child(path).own_text()

    def own_text(self) -> str:
        return (self._element.text or "").strip()

    def attribute(self, name: str) -> str:
        return self._element.get(name, "")
