"""Use cases of payments: write a file, send it once, hear the bank's answer, charge a card once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, timezone
from typing import Any

from pardna.formats.model import PaymentStatus
from pardna.payments import pain001
from pardna.payments.model import (
    Batch,
    CardCharge,
    Instruction,
    PayingBank,
    Status,
    batch_id_of,
    control_sum,
    file_key,
)
from pardna.payments.ports import (
    Answered,
    CardRail,
    Charged,
    Dropbox,
    Dropboxes,
    PayingBanks,
    PaymentBook,
    PaymentFiles,
    SecondPerson,
)
from pardna.runtime.attempts import Attempts, Begun
from pardna.runtime.clock import Clock
from pardna.runtime.errors import Conflict, RefusedByRule, Unavailable
from pardna.runtime.observability import count, logger

#: Longer than the timeout of the functions that hold it, so that its holder is dead when it ends.
LEASE_SECONDS = 180
#: Jamaica keeps UTC-5 all year; a bank's business day is a day there.
JAMAICA = timezone(timedelta(hours=-5))


def business_day(at: datetime) -> date:
    """The day in Jamaica."""
    return at.astimezone(JAMAICA).date()


def payment_subject(payment_id: str) -> str:
    """What an approval of a payment is about."""
    return f"payment:{payment_id}"


@dataclass(frozen=True, slots=True)
class WritePaymentFile:
    """From an approved payment to a file in the bucket. Write boundaries: 1 rows, 2 the object."""

    book: PaymentBook
    banks: PayingBanks
    second_person: SecondPerson
    files: PaymentFiles
    clock: Clock

    def write(
        self, tenant_id: str, payment_id: str, approval_id: str, correlation_id: str
    ) -> Batch:
        """Write the file of one payment; again, or after dying in between, it is the same file.

        Raises NotPermitted ``payment.not_approved`` without a second person's approval of exactly
        this payment and amount, Conflict when the payment was cancelled.
        """
        payment = self.book.payment(tenant_id, payment_id)
        order = payment.instruction
        approval = self.second_person.approved(
            tenant_id, approval_id, payment_subject(payment_id), order.amount
        )
        bank = self.banks.paying_bank(tenant_id, order.source_id)
        proposed, content = pain001.with_file(self._proposal(tenant_id, order), bank, [order])
        batch = self.book.write(tenant_id, payment_id, approval, proposed, correlation_id)
        if batch != proposed:
            content = self._again(batch, bank, order)
        self.files.put(batch.file_key, content)
        return batch

    def _proposal(self, tenant_id: str, order: Instruction) -> Batch:
        now = self.clock().replace(microsecond=0)
        batch_id = batch_id_of(tenant_id, [order.payment_id])
        return Batch(
            batch_id=batch_id,
            source_id=order.source_id,
            control_sum=control_sum([order]),
            payments_count=1,
            requested_on=business_day(now),
            written_at=now,
            file_key=file_key(tenant_id, batch_id),
            file_sha256="",
            file_bytes=0,
        )

    def _again(self, batch: Batch, bank: PayingBank, order: Instruction) -> bytes:
        """The bytes of a file that was written before."""
        content = pain001.write(batch, bank, [order])
        if hashlib.sha256(content).hexdigest() != batch.file_sha256:
            raise Conflict("payment.file_differs", "the bank's profile has changed since")
        return content


@dataclass(frozen=True, slots=True)
class UploadPaymentFile:
    """From the bucket to the bank's folder, once.

    What may be repeated is decided by looking, never by hoping: complete under its name in the
    bank's folders, it was sent; as a part only, it was not. A sender that died without leaving
    either leaves a doubt that a person resolves (`unclear`).
    """

    banks: PayingBanks
    files: PaymentFiles
    dropboxes: Dropboxes
    attempts: Attempts

    def upload(
        self, tenant_id: str, batch_id: str, source_id: str, *, send_again: bool = False
    ) -> str:
        """``uploaded`` or ``unclear``. `send_again` is a person's word that the bank has no file.

        Raises Unavailable when another sender is at it or the line breaks: try again later.
        """
        subject = f"upload:{batch_id}"
        attempt = self.attempts.begin(tenant_id, subject, LEASE_SECONDS)
        if attempt.begun is Begun.DONE:
            return str(attempt.outcome["outcome"])
        if attempt.begun is Begun.BUSY:
            raise Unavailable("payment.upload_in_progress", "another sender is at it")
        may_send = send_again or attempt.begun is Begun.FIRST
        progress = _Progress(may_have_arrived=not may_send)
        try:
            outcome = self._send(tenant_id, batch_id, source_id, may_send, progress)
        except Exception:
            if progress.may_have_arrived:
                self.attempts.leave_in_doubt(tenant_id, subject, attempt.token)
            else:
                self.attempts.release(tenant_id, subject, attempt.token)
            raise
        if outcome == "uploaded":
            self.attempts.finish(tenant_id, subject, attempt.token, {"outcome": outcome})
        else:
            self.attempts.leave_in_doubt(tenant_id, subject, attempt.token)
            count("PaymentUploadUnclear")
        return outcome

    def _send(
        self, tenant_id: str, batch_id: str, source_id: str, may_send: bool, progress: _Progress
    ) -> str:
        content = self.files.read(file_key(tenant_id, batch_id))
        bank = self.banks.paying_bank(tenant_id, source_id)
        name = f"{batch_id}.xml"
        with self.dropboxes.open(tenant_id, bank) as box:
            found = box.find(name)
            if found is not None:
                logger.info("Payment file was there", batch_id=batch_id)
                return "uploaded" if found == len(content) else "unclear"
            if not may_send and not box.has_part(name):
                return "unclear"
            box.put_part(name, content)
            progress.may_have_arrived = True
            box.complete(name)
            return self._arrived(box, name, len(content))

    def _arrived(self, box: Dropbox, name: str, size_bytes: int) -> str:
        """Look once more: only what can be seen there is called uploaded."""
        return "uploaded" if box.find(name) == size_bytes else "unclear"


@dataclass(slots=True)
class _Progress:
    """Whether the bank may have the file by now."""

    may_have_arrived: bool


@dataclass(frozen=True, slots=True)
class PaymentStatuses:
    """What banks say about payments."""

    book: PaymentBook

    def apply(
        self, tenant_id: str, statuses: Sequence[PaymentStatus], correlation_id: str = "none"
    ) -> Answered:
        """Apply a bank's answer (pain.002); the same answer again changes nothing.

        Unknown messages and contradictions become problem rows; they raise nothing.
        """
        answered = self.book.answer(tenant_id, statuses, correlation_id)
        if answered.problems_count:
            count("PaymentStatusProblem", answered.problems_count)
        return answered


@dataclass(frozen=True, slots=True)
class PostPayment:
    """Our own record of where a file is."""

    book: PaymentBook

    def post(self, tenant_id: str, batch_id: str, status: Status) -> int:
        """Move a file's payments on: ``uploaded``, ``unclear`` or ``confirmed``. Repeatable."""
        return self.book.advance(tenant_id, batch_id, status)


@dataclass(frozen=True, slots=True)
class ChargeCard:
    """Charges a member's card once per contribution, whatever dies in between."""

    rail: CardRail
    attempts: Attempts

    def charge(self, request: CardCharge) -> Charged:
        """The charge, made now or before. A declined card is an outcome, and final for this order.

        Raises Unavailable when the outcome is unknown (the next attempt looks before it charges)
        or another attempt is under way, RefusedByRule when the provider refused the request.
        """
        subject = f"charge:{request.contribution_id}"
        attempt = self.attempts.begin(request.tenant_id, subject, LEASE_SECONDS)
        if attempt.begun is Begun.DONE:
            return _charged(attempt.outcome)
        if attempt.begun is Begun.BUSY:
            raise Unavailable("card.in_progress", "this card is being charged")
        try:
            charged = self.rail.find(request) if attempt.begun is Begun.IN_DOUBT else None
            charged = charged or self.rail.charge(request, request.contribution_id)
        except RefusedByRule:
            self.attempts.release(request.tenant_id, subject, attempt.token)
            raise
        except Exception:
            self.attempts.leave_in_doubt(request.tenant_id, subject, attempt.token)
            raise
        self.attempts.finish(
            request.tenant_id,
            subject,
            attempt.token,
            {
                "outcome": charged.outcome,
                "payment_intent_id": charged.payment_intent_id,
                "charge_id": charged.charge_id,
                "code": charged.code,
            },
        )
        return charged


def _charged(outcome: Mapping[str, Any]) -> Charged:
    return replace(Charged("unknown"), **{k: str(v) for k, v in outcome.items()})
