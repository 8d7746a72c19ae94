"""ISO 20022 pain.002: what the bank says about a payment file of ours. All versions, any prefix."""

from __future__ import annotations

from typing import Any

from pardna.formats.model import Origin, Parsed, PaymentStatus
from pardna.formats.text import clean
from pardna.formats.xml import child, children, stream, text
from pardna.runtime.errors import UnreadableFile

FORMAT = "pain.002"
_ROOT = "CstmrPmtStsRpt"


def read(data: bytes, _origin: Origin) -> Parsed:
    """The statuses of the group and of each payment that the report names."""
    statuses: list[PaymentStatus] = []
    found = False
    for event, element in stream(data, frozenset({_ROOT})):
        if event == "end" and element.tag.rpartition("}")[2] == _ROOT:
            found = True
            statuses += _report(element)
    if not found:
        raise UnreadableFile("pain.no_report", "there is no payment status report in this XML")
    return Parsed(FORMAT, statuses=tuple(statuses))


def _report(element: Any) -> list[PaymentStatus]:
    group = child(element, "OrgnlGrpInfAndSts")
    message_id = clean(text(group, "OrgnlMsgId"), 200)
    statuses = []
    if status := _code(group, "GrpSts"):
        statuses.append(PaymentStatus(message_id, status, **_reason(group)))
    for payment in children(element, "OrgnlPmtInfAndSts"):
        payment_id = clean(text(payment, "OrgnlPmtInfId"), 200)
        if status := _code(payment, "PmtInfSts"):
            statuses.append(
                PaymentStatus(message_id, status, payment_id=payment_id, **_reason(payment))
            )
        statuses += [_one(t, message_id, payment_id) for t in children(payment, "TxInfAndSts")]
    # Version 02 and some banks put the transactions straight under the report.
    statuses += [_one(t, message_id, "") for t in children(element, "TxInfAndSts")]
    return [s for s in statuses if s.status]


def _one(element: Any, message_id: str, payment_id: str) -> PaymentStatus:
    return PaymentStatus(
        original_message_id=message_id,
        status=_code(element, "TxSts"),
        end_to_end_id=clean(text(element, "OrgnlEndToEndId"), 200),
        instruction_id=clean(text(element, "OrgnlInstrId"), 200),
        payment_id=payment_id,
        **_reason(element),
    )


def _code(element: Any, *paths: str) -> str:
    """A code: four letters by the standard, and never a text without end."""
    return clean(text(element, *paths), 50)


def _reason(element: Any) -> dict[str, str]:
    information = child(element, "StsRsnInf")
    return {
        "reason_code": _code(information, "Rsn/Cd", "Rsn/Prtry"),
        "reason": clean(text(information, "AddtlInf")),
    }
