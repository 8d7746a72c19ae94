"""camt.053.001.08 (statement) and camt.054.001.08 (notification), as ISO 20022 lays them out.

Element order is that of the schema. Balances carry the amount without sign and the mark CRDT or DBIT
beside it. Names and free text are UTF-8.
"""

from __future__ import annotations

from local.bank.amounts import decimal
from local.bank.codes import CODES
from local.bank.model import Account, Bank, Entry, Statement
from local.bank.xml import Writer

STATEMENT_NAMESPACE = "urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"
NOTIFICATION_NAMESPACE = "urn:iso:std:iso:20022:tech:xsd:camt.054.001.08"
# End of the business day in Jamaica, which has no daylight saving.
_END_OF_DAY = "T23:59:00-05:00"


def statement_file(
    bank: Bank,
    account: Account,
    statement: Statement,
    entries: list[Entry],
    *,
    page: int = 1,
    last_page: bool = True,
    closing_minor: int | None = None,
) -> bytes:
    """A statement, or one page of it. A page that is not the last ends in an interim balance.

    `closing_minor` overrides the closing balance (to write a statement that does not add up).
    """
    closing = statement.closing_minor if closing_minor is None else closing_minor
    message = f"{bank.bic}{account.number}{statement.date.replace('-', '')}"
    xml = Writer(STATEMENT_NAMESPACE)
    with xml("Document"), xml("BkToCstmrStmt"):
        with xml("GrpHdr"):
            xml.leaf("MsgId", message if page == 1 else f"{message}P{page}")
            xml.leaf("CreDtTm", statement.date + _END_OF_DAY)
            with xml("MsgPgntn"):
                xml.leaf("PgNb", page)
                xml.leaf("LastPgInd", str(last_page).lower())
        with xml("Stmt"):
            xml.leaf("Id", message)
            with xml("StmtPgntn"):
                xml.leaf("PgNb", page)
                xml.leaf("LastPgInd", str(last_page).lower())
            xml.leaf("ElctrncSeqNb", statement.sequence)
            xml.leaf("LglSeqNb", statement.sequence)
            xml.leaf("CreDtTm", statement.date + _END_OF_DAY)
            with xml("FrToDt"):
                xml.leaf("FrDtTm", statement.first_date + "T00:00:00-05:00")
                xml.leaf("ToDtTm", statement.date + _END_OF_DAY)
            _account(xml, bank, account)
            opening = statement.opening_minor
            _balance(xml, "OPBD", opening, statement.first_date, account.currency)
            if last_page:
                _balance(xml, "CLBD", closing, statement.date, account.currency)
                _balance(xml, "CLAV", closing, statement.date, account.currency)
            else:
                so_far = opening + sum(one.amount_minor for one in entries)
                _balance(xml, "ITBD", so_far, statement.date, account.currency)
            _summary(xml, entries)
            for entry in entries:
                _entry(xml, bank, account, entry)
    return xml.bytes()


def notification_file(bank: Bank, account: Account, day: str, entries: list[Entry]) -> bytes:
    """A notification of a day's entries: the same references as in the statement, no balances."""
    message = f"{bank.bic}{account.number}{day.replace('-', '')}N"
    xml = Writer(NOTIFICATION_NAMESPACE)
    with xml("Document"), xml("BkToCstmrDbtCdtNtfctn"):
        with xml("GrpHdr"):
            xml.leaf("MsgId", message)
            xml.leaf("CreDtTm", day + _END_OF_DAY)
        with xml("Ntfctn"):
            xml.leaf("Id", message)
            xml.leaf("CreDtTm", day + _END_OF_DAY)
            _account(xml, bank, account)
            _summary(xml, entries)
            for entry in entries:
                _entry(xml, bank, account, entry)
    return xml.bytes()


def _account(xml: Writer, bank: Bank, account: Account) -> None:
    with xml("Acct"):
        xml.path("Id/Othr/Id", account.number)
        xml.leaf("Ccy", account.currency)
        xml.path("Ownr/Nm", account.owner)
        xml.path("Svcr/FinInstnId/BICFI", bank.bic)


def _balance(xml: Writer, code: str, amount: int, day: str, currency: str) -> None:
    with xml("Bal"):
        xml.path("Tp/CdOrPrtry/Cd", code)
        xml.leaf("Amt", decimal(amount), currency)
        xml.leaf("CdtDbtInd", "DBIT" if amount < 0 else "CRDT")
        xml.path("Dt/Dt", day)


def _summary(xml: Writer, entries: list[Entry]) -> None:
    credits = [one.amount_minor for one in entries if one.amount_minor > 0]
    debits = [one.amount_minor for one in entries if one.amount_minor < 0]
    net = sum(credits) + sum(debits)
    with xml("TxsSummry"):
        with xml("TtlNtries"):
            xml.leaf("NbOfNtries", len(entries))
            xml.leaf("Sum", decimal(sum(credits) - sum(debits)))
            with xml("TtlNetNtry"):
                xml.leaf("Amt", decimal(net))
                xml.leaf("CdtDbtInd", "DBIT" if net < 0 else "CRDT")
        for tag, amounts in (("TtlCdtNtries", credits), ("TtlDbtNtries", debits)):
            with xml(tag):
                xml.leaf("NbOfNtries", len(amounts))
                xml.leaf("Sum", decimal(sum(amounts)))


def _entry(xml: Writer, bank: Bank, account: Account, entry: Entry) -> None:
    mark = "DBIT" if entry.amount_minor < 0 else "CRDT"
    with xml("Ntry"):
        xml.leaf("NtryRef", entry.id)
        xml.leaf("Amt", decimal(entry.amount_minor), account.currency)
        xml.leaf("CdtDbtInd", mark)
        xml.path("Sts/Cd", "BOOK")
        xml.path("BookgDt/Dt", entry.booking_date)
        xml.path("ValDt/Dt", entry.value_date)
        xml.leaf("AcctSvcrRef", entry.id)
        _bank_transaction_code(xml, bank, entry)
        with xml("NtryDtls"), xml("TxDtls"):
            with xml("Refs"):
                xml.leaf("MsgId", entry.message)
                xml.leaf("AcctSvcrRef", entry.id)
                xml.leaf("PmtInfId", entry.payment_information)
                xml.leaf("InstrId", entry.instruction)
                xml.leaf("EndToEndId", entry.end_to_end or "NOTPROVIDED")
            xml.leaf("Amt", decimal(entry.amount_minor), account.currency)
            xml.leaf("CdtDbtInd", mark)
            if entry.charges_minor:
                _charges(xml, account, entry)
            _parties(xml, account, entry)
            _remittance(xml, entry)


def _bank_transaction_code(xml: Writer, bank: Bank, entry: Entry) -> None:
    code = CODES[entry.kind]
    with xml("BkTxCd"):
        with xml("Domn"):
            xml.leaf("Cd", code.domain)
            with xml("Fmly"):
                xml.leaf("Cd", code.family)
                xml.leaf("SubFmlyCd", code.sub_family)
        with xml("Prtry"):
            xml.leaf("Cd", code.proprietary)
            xml.leaf("Issr", bank.bic)


def _charges(xml: Writer, account: Account, entry: Entry) -> None:
    with xml("AmtDtls"), xml("InstdAmt"):
        xml.leaf("Amt", decimal(entry.amount_minor + entry.charges_minor), account.currency)
    with xml("Chrgs"):
        xml.leaf("TtlChrgsAndTaxAmt", decimal(entry.charges_minor), account.currency)
        with xml("Rcrd"):
            xml.leaf("Amt", decimal(entry.charges_minor), account.currency)
            xml.leaf("CdtDbtInd", "DBIT")
            xml.leaf("ChrgInclInd", "true")


def _parties(xml: Writer, account: Account, entry: Entry) -> None:
    """Debtor and creditor: the account's owner is the one, the counterparty the other."""
    if not entry.name and not entry.counter_account:
        return
    incoming = entry.amount_minor > 0
    debtor = (entry.name, entry.counter_account) if incoming else (account.owner, account.number)
    creditor = (account.owner, account.number) if incoming else (entry.name, entry.counter_account)
    with xml("RltdPties"):
        for tag, (name, number) in (("Dbtr", debtor), ("Cdtr", creditor)):
            xml.path(f"{tag}/Pty/Nm", name)
            xml.path(f"{tag}Acct/Id/Othr/Id", number)
    if entry.counter_bic:
        with xml("RltdAgts"):
            tag = "DbtrAgt" if incoming else "CdtrAgt"
            xml.path(f"{tag}/FinInstnId/BICFI", entry.counter_bic)


def _remittance(xml: Writer, entry: Entry) -> None:
    if not entry.remittance and not entry.creditor_reference:
        return
    with xml("RmtInf"):
        # One element carries at most 140 characters.
        for start in range(0, len(entry.remittance), 140):
            xml.leaf("Ustrd", entry.remittance[start : start + 140])
        if entry.creditor_reference:
            with xml("Strd"), xml("CdtrRefInf"):
                xml.path("Tp/CdOrPrtry/Cd", "SCOR")
                xml.leaf("Ref", entry.creditor_reference)
