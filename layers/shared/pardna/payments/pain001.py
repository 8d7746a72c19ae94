"""pain.001.001.09, CustomerCreditTransferInitiation: payment instructions as bytes.

The same batch gives the same bytes, so a file that was lost is written again and is the same file.
Source of names and order: ISO 20022 message definition pain.001.001.09. Banks' own usage guides
are not public; what differs per bank stays in the source's profile.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import groupby
from xml.sax.saxutils import escape, quoteattr

from pardna.payments.model import Batch, Instruction, Payee, PayingBank, Rail, control_sum
from pardna.runtime.clock import iso
from pardna.runtime.errors import InvalidInput

NAMESPACE = "urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"
NAME_MAX = 70
REMITTANCE_MAX = 140
#: ISO 20022 ExternalServiceLevel1Code: urgent payments settle in real time, others are cleared.
_SERVICE_LEVEL = {Rail.ACH: "NURG", Rail.RTGS: "URGP", Rail.WIRE: ""}
_LATIN = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/-?:().,'+ ")


def write(batch: Batch, bank: PayingBank, instructions: Sequence[Instruction]) -> bytes:
    """The file; its count and control sum are computed here, from what is in it.

    Raises InvalidInput when a payment is not in the account's currency.
    """
    if any(i.amount.currency != bank.currency for i in instructions):
        raise InvalidInput("payment.currency", "a payment is not in the paying account's currency")
    ordered = sorted(instructions, key=lambda i: (i.rail, i.end_to_end_id))
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', f'<Document xmlns="{NAMESPACE}">']
    lines += _inside(
        "CstmrCdtTrfInitn", [*_header(batch, bank, ordered), *_groups(batch, bank, ordered)]
    )
    lines.append("</Document>")
    return ("\n".join(lines) + "\n").encode()


def with_file(
    batch: Batch, bank: PayingBank, instructions: Sequence[Instruction]
) -> tuple[Batch, bytes]:
    """The batch with its file's digest and size, and the file."""
    content = write(batch, bank, instructions)
    digest = hashlib.sha256(content).hexdigest()
    return replace(batch, file_sha256=digest, file_bytes=len(content)), content


def plain(text: str, characters_max: int) -> str:
    """Text in SWIFT's character set: accents drop, anything else becomes a space.

    >>> plain("Zoë  Müller & Sons", 70)
    'Zoe Muller Sons'
    """
    decomposed = unicodedata.normalize("NFKD", text)
    kept = "".join(c if c in _LATIN else " " for c in decomposed if not unicodedata.combining(c))
    return " ".join(kept.split())[:characters_max].rstrip()


def _header(batch: Batch, bank: PayingBank, ordered: Sequence[Instruction]) -> list[str]:
    return _inside(
        "GrpHdr",
        [
            _leaf("MsgId", batch.batch_id),
            _leaf("CreDtTm", _moment(batch.written_at)),
            _leaf("NbOfTxs", str(len(ordered))),
            _leaf("CtrlSum", control_sum(ordered).decimal_text()),
            *_inside("InitgPty", [_leaf("Nm", plain(bank.holder, NAME_MAX))]),
        ],
    )


def _groups(batch: Batch, bank: PayingBank, ordered: Sequence[Instruction]) -> Iterable[str]:
    """One PmtInf per rail, because the service level stands there."""
    for number, (rail, members) in enumerate(groupby(ordered, key=lambda i: i.rail), start=1):
        group = list(members)
        level = _SERVICE_LEVEL[rail]
        agent = _leaf("BICFI", bank.bic) if bank.bic else "<Othr><Id>NOTPROVIDED</Id></Othr>"
        yield from _inside(
            "PmtInf",
            [
                _leaf("PmtInfId", f"{batch.batch_id}-{number}"),
                _leaf("PmtMtd", "TRF"),
                _leaf("BtchBookg", "false"),
                _leaf("NbOfTxs", str(len(group))),
                _leaf("CtrlSum", control_sum(group).decimal_text()),
                *([f"<PmtTpInf><SvcLvl><Cd>{level}</Cd></SvcLvl></PmtTpInf>"] if level else []),
                f"<ReqdExctnDt><Dt>{batch.requested_on.isoformat()}</Dt></ReqdExctnDt>",
                *_inside("Dbtr", [_leaf("Nm", plain(bank.holder, NAME_MAX))]),
                f"<DbtrAcct><Id><Othr>{_leaf('Id', bank.account)}</Othr></Id>"
                f"{_leaf('Ccy', bank.currency)}</DbtrAcct>",
                f"<DbtrAgt><FinInstnId>{agent}</FinInstnId></DbtrAgt>",
                _leaf("ChrgBr", "SLEV"),
                *(line for one in group for line in _transfer(one)),
            ],
        )


def _transfer(one: Instruction) -> list[str]:
    amount = (
        f"<InstdAmt Ccy={quoteattr(one.amount.currency)}>{one.amount.decimal_text()}</InstdAmt>"
    )
    remittance = plain(one.remittance, REMITTANCE_MAX)
    return _inside(
        "CdtTrfTxInf",
        [
            f"<PmtId>{_leaf('InstrId', one.end_to_end_id)}"
            f"{_leaf('EndToEndId', one.end_to_end_id)}</PmtId>",
            f"<Amt>{amount}</Amt>",
            *_agent(one.payee),
            *_inside("Cdtr", [_leaf("Nm", plain(one.payee.name, NAME_MAX))]),
            f"<CdtrAcct><Id><Othr>{_leaf('Id', one.payee.account)}</Othr></Id></CdtrAcct>",
            *([f"<RmtInf>{_leaf('Ustrd', remittance)}</RmtInf>"] if remittance else []),
        ],
    )


def _agent(payee: Payee) -> list[str]:
    """The payee's bank by BIC, and by bank code and transit where they are known."""
    parts = [_leaf("BICFI", payee.bic)] if payee.bic else []
    if payee.bank_code:
        member = _leaf("MmbId", payee.bank_code + payee.transit)
        parts.append(f"<ClrSysMmbId>{member}</ClrSysMmbId>")
    return [f"<CdtrAgt><FinInstnId>{''.join(parts)}</FinInstnId></CdtrAgt>"] if parts else []


def _moment(at: datetime) -> str:
    return iso(at)[:19] + "Z"


def _leaf(name: str, text: str) -> str:
    return f"<{name}>{escape(text)}</{name}>"


def _inside(name: str, lines: Iterable[str]) -> list[str]:
    return [f"<{name}>", *(f"  {line}" for line in lines), f"</{name}>"]
