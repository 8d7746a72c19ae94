"""What the bank does with a payment file: checks it, pays each instruction or says why not.

A message id is good for one file. A second file under it is refused as a duplicate and pays nothing,
whatever it contains: that is what makes a payment file safe to send again.
"""

from __future__ import annotations

from datetime import date

from local.bank.books import Books, entry_id
from local.bank.model import Bank, Entry, Payment
from local.bank.pain001 import Batch, Instruction, PaymentFile, Unreadable, read
from local.bank.pain002 import REASONS, Report, group_status

# The clearing house carries at most J$1,000,000.00 per item; above that only real-time settlement.
ACH_LIMIT_MINOR = {"JMD": 100_000_000}


def process(books: Books, bank: Bank, file_name: str, content: bytes) -> Report:
    """Pay a file, once. Books are changed; the report says what happened."""
    try:
        file = read(content)
    except Unreadable as error:
        return Report(original_message=file_name, reason="FF01", detail=str(error))
    key = f"{bank.user}:{file.message}"
    books.messages[key] = books.messages.get(key, 0) + 1
    report = Report(
        original_message=file.message,
        original_version=file.version,
        original_count=file.count,
        original_sum_minor=file.control_sum_minor,
        date=file.created[:10] or "1970-01-01",
        attempt=books.messages[key],
    )
    report.reason = _group_reason(file, report.attempt)
    if report.reason:
        return report
    for batch in file.batches:
        for instruction in batch.instructions:
            report.payments.append(_pay(books, bank, file_name, file.message, batch, instruction))
    books.payments.extend(report.payments)
    report.status = group_status([one.status for one in report.payments])
    if report.status == "RJCT":
        report.reason = report.payments[0].reason
    return report


def _group_reason(file: PaymentFile, attempt: int) -> str:
    if attempt > 1:
        return "AM05"
    if file.count != file.instruction_count() or file.count == 0:
        return "AM18"
    if file.control_sum_minor not in (None, file.total_minor()):
        return "AM10"
    for batch in file.batches:
        if batch.count not in (None, len(batch.instructions)):
            return "AM18"
        total = sum(one.amount_minor for one in batch.instructions)
        if batch.control_sum_minor not in (None, total):
            return "AM10"
        if not _is_date(batch.requested_date):
            return "DT01"
    return ""


def _pay(
    books: Books, bank: Bank, file_name: str, message: str, batch: Batch, order: Instruction
) -> Payment:
    payment = Payment(
        bank=bank.user,
        file=file_name,
        message=message,
        payment_information=batch.payment_information,
        instruction=order.instruction,
        end_to_end=order.end_to_end,
        account=batch.account,
        amount_minor=order.amount_minor,
        currency=order.currency,
        creditor=order.creditor,
        creditor_account=order.creditor_account,
        requested_date=batch.requested_date,
        status="RJCT",
        reason=_reason(books, bank, batch, order),
    )
    if payment.reason:
        return payment
    entry = books.book(
        Entry(
            id=entry_id("DR", bank.user, message, batch.payment_information, order.end_to_end),
            account=batch.account,
            amount_minor=-order.amount_minor,
            booking_date=batch.requested_date,
            value_date=batch.requested_date,
            kind="payment",
            name=order.creditor,
            counter_account=order.creditor_account,
            counter_bic=order.creditor_bic,
            remittance=order.remittance,
            creditor_reference=order.creditor_reference,
            end_to_end=order.end_to_end,
            instruction=order.instruction,
            payment_information=batch.payment_information,
            message=message,
        )
    )
    payment.status, payment.entry = "ACSC", entry.id
    return payment


def _reason(books: Books, bank: Bank, batch: Batch, order: Instruction) -> str:
    """Why an instruction is not paid, or nothing."""
    account = books.accounts.get(batch.account)
    if account is None or account.bank != bank.user:
        return "AC02"
    limit = ACH_LIMIT_MINOR.get(order.currency)
    checks = (
        ("AM03", order.currency != account.currency),
        ("AM01", order.amount_minor == 0),
        ("AM02", limit is not None and order.amount_minor > limit and not order.urgent),
        ("AC03", not (order.creditor_account.isdigit() and len(order.creditor_account) <= 18)),
    )
    for reason, applies in checks:
        if applies:
            return reason
    if order.creditor_account in books.refusals:
        return books.refusals[order.creditor_account]
    if order.amount_minor > books.balance_minor(batch.account):
        return "AM04"
    return ""


def known_reason(code: str) -> bool:
    """Whether the bank can give this reason."""
    return code in REASONS


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
