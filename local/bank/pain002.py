"""pain.002.001.03: the bank's answer to a payment file, per group, batch and transaction."""

from __future__ import annotations

from dataclasses import dataclass, field

from local.bank.amounts import decimal
from local.bank.model import Bank, Payment
from local.bank.xml import Writer

NAMESPACE = "urn:iso:std:iso:20022:tech:xsd:pain.002.001.03"
# What the reason codes mean (ISO 20022 external code set, StatusReason).
REASONS = {
    "AC02": "Debtor account number invalid or missing",
    "AC03": "Creditor account number invalid or missing",
    "AC04": "Account number specified has been closed on the bank of account's books",
    "AC06": "Account specified is blocked",
    "AM01": "Specified amount is equal to zero",
    "AM02": "Specified amount is greater than the allowed maximum",
    "AM03": "Specified currency is not that of the account",
    "AM04": "Amount of funds available is insufficient",
    "AM05": "Duplication",
    "AM10": "Sum of instructed amounts does not equal the control sum",
    "AM18": "Number of transactions is invalid or missing",
    "DT01": "Invalid date",
    "FF01": "File format incomplete or invalid",
    "MS03": "Reason has not been specified by agent",
}


@dataclass
class Report:
    """What became of one payment file."""

    original_message: str
    original_version: str = "pain.001"
    original_count: int | None = None
    original_sum_minor: int | None = None
    date: str = "1970-01-01"
    attempt: int = 1
    status: str = "RJCT"
    reason: str = ""
    detail: str = ""
    payments: list[Payment] = field(default_factory=list)

    def file_name(self) -> str:
        """Where the report lies in `out/`: named after the message that it answers."""
        safe = "".join(char if char.isalnum() or char in "-_." else "_" for char in self._id())
        return f"pain002_{safe}{'' if self.attempt == 1 else f'_{self.attempt}'}.xml"

    def _id(self) -> str:
        return self.original_message or "unknown"


def report_file(bank: Bank, report: Report) -> bytes:
    """The report as XML."""
    xml = Writer(NAMESPACE)
    message = f"{report.original_message or 'unknown'}"[:30]
    with xml("Document"), xml("CstmrPmtStsRpt"):
        with xml("GrpHdr"):
            xml.leaf("MsgId", f"{message}-S{report.attempt:02d}")
            xml.leaf("CreDtTm", f"{report.date}T12:00:00-05:00")
            xml.path("DbtrAgt/FinInstnId/BIC", bank.bic)
        with xml("OrgnlGrpInfAndSts"):
            xml.leaf("OrgnlMsgId", report.original_message or "unknown")
            xml.leaf("OrgnlMsgNmId", report.original_version)
            if report.original_count is not None:
                xml.leaf("OrgnlNbOfTxs", report.original_count)
            if report.original_sum_minor is not None:
                xml.leaf("OrgnlCtrlSum", decimal(report.original_sum_minor))
            xml.leaf("GrpSts", report.status)
            _reason(xml, bank, report.reason, report.detail)
        for batch in dict.fromkeys(one.payment_information for one in report.payments):
            _batch(xml, bank, [one for one in report.payments if one.payment_information == batch])
    return xml.bytes()


def group_status(statuses: list[str]) -> str:
    """One status for many: theirs if they agree, else PART."""
    return statuses[0] if len(set(statuses)) == 1 else "PART"


def _batch(xml: Writer, bank: Bank, payments: list[Payment]) -> None:
    with xml("OrgnlPmtInfAndSts"):
        xml.leaf("OrgnlPmtInfId", payments[0].payment_information)
        xml.leaf("OrgnlNbOfTxs", len(payments))
        xml.leaf("OrgnlCtrlSum", decimal(sum(one.amount_minor for one in payments)))
        xml.leaf("PmtInfSts", group_status([one.status for one in payments]))
        for payment in payments:
            with xml("TxInfAndSts"):
                xml.leaf("OrgnlInstrId", payment.instruction)
                xml.leaf("OrgnlEndToEndId", payment.end_to_end)
                xml.leaf("TxSts", payment.status)
                _reason(xml, bank, payment.reason, "")
                xml.leaf("AcctSvcrRef", payment.entry)
                with xml("OrgnlTxRef"):
                    with xml("Amt"):
                        xml.leaf("InstdAmt", decimal(payment.amount_minor), payment.currency)
                    xml.leaf("ReqdExctnDt", payment.requested_date)


def _reason(xml: Writer, bank: Bank, reason: str, detail: str) -> None:
    if not reason:
        return
    with xml("StsRsnInf"):
        xml.path("Orgtr/Id/OrgId/BICOrBEI", bank.bic)
        xml.path("Rsn/Cd", reason)
        xml.leaf("AddtlInf", (detail or REASONS.get(reason, reason))[:105])
