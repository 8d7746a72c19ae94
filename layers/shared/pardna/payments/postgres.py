"""Payments in PostgreSQL: the schema ``payments`` of migration 0004."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from psycopg.types.json import Jsonb

from pardna.database.session import Connection, Database
from pardna.formats.model import PaymentStatus
from pardna.money.model import Money
from pardna.outbox.postgres import append
from pardna.payments.model import (
    DUPLICATE,
    Batch,
    Booking,
    Instruction,
    Payee,
    Payment,
    Status,
    booked,
    final_status,
    wait_subject,
)
from pardna.payments.ports import Answered, Approval
from pardna.runtime.clock import Clock, iso, utc_now
from pardna.runtime.errors import Conflict, NotFound
from pardna.runtime.events import WAIT_SIGNALLED, Envelope
from pardna.transactions.model import Kind
from pardna.transactions.postgres import record_in

PRINCIPAL = "system:payments"

_COLUMNS = (
    "payment_id, origin, source_id, end_to_end_id, amount_minor, currency, personal, remittance,"
    " book_source, book_external_id, book_kind, requested_by, status, coalesce(batch_id, ''),"
    " coalesce(approval_id, ''), coalesce(approved_by, ''), reason_code"
)
#: From which status a step may be taken; anything further on stays where it is.
_BEFORE = {
    Status.UPLOADED: (Status.WRITTEN, Status.UNCLEAR),
    Status.UNCLEAR: (Status.WRITTEN, Status.UPLOADED),
    Status.ACCEPTED: (Status.WRITTEN, Status.UPLOADED, Status.UNCLEAR),
    Status.REJECTED: (Status.WRITTEN, Status.UPLOADED, Status.UNCLEAR),
    Status.CONFIRMED: (Status.ACCEPTED,),
}
_DECIDED = {Status.ACCEPTED, Status.REJECTED, Status.CONFIRMED}


def instruct_in(
    connection: Connection, tenant_id: str, instruction: Instruction, *, clock: Clock = utc_now
) -> bool:
    """Order a payment in an open, tenant-entered transaction; False when it was ordered before.

    Nothing moves yet: a second person has to approve it. Raises Conflict ``payment.differs`` when
    its origin was ordered with another amount or end-to-end id.
    """
    payee = instruction.payee
    personal = {
        "name": payee.name,
        "account": payee.account,
        "bic": payee.bic,
        "bank_code": payee.bank_code,
        "transit": payee.transit,
    }
    now = clock()
    made = connection.execute(
        "INSERT INTO payments.payments (tenant_id, payment_id, origin, source_id, end_to_end_id,"
        " amount_minor, currency, instruction, personal, remittance, book_source,"
        " book_external_id, book_kind, requested_by, status, instructed_at, changed_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 'instructed', %s, %s)"
        " ON CONFLICT DO NOTHING",
        (
            tenant_id,
            instruction.payment_id,
            instruction.origin,
            instruction.source_id,
            instruction.end_to_end_id,
            instruction.amount.amount_minor,
            instruction.amount.currency,
            instruction.rail.value,
            Jsonb(personal),
            instruction.remittance,
            instruction.booking.source,
            instruction.booking.external_id,
            instruction.booking.kind.value,
            instruction.requested_by,
            now,
            now,
        ),
    ).rowcount
    if made:
        return True
    known = payment_in(connection, instruction.payment_id).instruction
    if (known.origin, known.amount, known.end_to_end_id) != (
        instruction.origin,
        instruction.amount,
        instruction.end_to_end_id,
    ):
        raise Conflict("payment.differs", "this was ordered before, differently")
    return False


def cancel_in(connection: Connection, payment_id: str, *, clock: Clock = utc_now) -> None:
    """Withdraw a payment that has not left; one that has left stays as it is."""
    connection.execute(
        "UPDATE payments.payments SET status = 'cancelled', changed_at = %s"
        " WHERE payment_id = %s AND status = 'instructed'",
        (clock(), payment_id),
    )


class PostgresPaymentBook:
    """`PaymentBook` on the schema ``payments``."""

    def __init__(self, database: Database, clock: Clock = utc_now) -> None:
        self._database = database
        self._clock = clock

    def payment(self, tenant_id: str, payment_id: str) -> Payment:
        """See `PaymentBook`."""
        with self._database.transaction(tenant_id, PRINCIPAL) as connection:
            return payment_in(connection, payment_id)

    def write(
        self, tenant_id: str, payment_id: str, approval: Approval, batch: Batch, correlation_id: str
    ) -> Batch:
        """See `PaymentBook`. The payment's row lock orders two writers."""
        with self._database.transaction(tenant_id, PRINCIPAL) as connection:
            payment = payment_in(connection, payment_id, lock=True)
            if payment.batch_id:
                return _batch(connection, payment.batch_id)
            if payment.status is not Status.INSTRUCTED:
                raise Conflict("payment.not_payable", f"the payment is {payment.status}")
            _insert_batch(connection, tenant_id, batch)
            connection.execute(
                "UPDATE payments.payments SET status = 'written', batch_id = %s, approval_id = %s,"
                " approved_by = %s, changed_at = %s WHERE payment_id = %s",
                (
                    batch.batch_id,
                    approval.approval_id,
                    approval.approved_by,
                    self._clock(),
                    payment_id,
                ),
            )
            ours = booked(tenant_id, payment.instruction, batch.written_at)
            record_in(connection, tenant_id, [ours], correlation_id, clock=self._clock)
            detail = {"batch_id": batch.batch_id, "approval_id": approval.approval_id}
            _audit(connection, tenant_id, "payment.written", payment_id, detail)
            return batch

    def advance(self, tenant_id: str, batch_id: str, status: Status) -> int:
        """See `PaymentBook`."""
        with self._database.transaction(tenant_id, PRINCIPAL) as connection:
            _batch(connection, batch_id)
            return connection.execute(
                "UPDATE payments.payments SET status = %s, changed_at = %s"
                " WHERE batch_id = %s AND status = ANY(%s)",
                (status.value, self._clock(), batch_id, [s.value for s in _BEFORE[status]]),
            ).rowcount

    def answer(
        self, tenant_id: str, said: Sequence[PaymentStatus], correlation_id: str
    ) -> Answered:
        """See `PaymentBook`."""
        changed: list[str] = []
        problems = 0
        with self._database.transaction(tenant_id, PRINCIPAL) as connection:
            touched: dict[str, None] = {}
            heard: set[str] = set()
            # What is said of one payment goes before what is said of its file.
            for one in sorted(said, key=lambda s: (not s.end_to_end_id, not s.payment_id)):
                found = _addressed(connection, one)
                if not found:
                    problems += self._problem(connection, tenant_id, one, "payment.unknown")
                for payment in found:
                    touched[payment.batch_id] = None
                    if one.end_to_end_id or payment.payment_id not in heard:
                        problems += self._apply(connection, tenant_id, payment, one, changed)
                if one.end_to_end_id:
                    heard |= {p.payment_id for p in found}
            signalled = self._signal(connection, tenant_id, list(touched), correlation_id)
        return Answered(tuple(changed), tuple(signalled), problems)

    def _apply(
        self,
        connection: Connection,
        tenant_id: str,
        payment: Payment,
        said: PaymentStatus,
        changed: list[str],
    ) -> int:
        """Take one payment's step; returns how many problems that made (0 or 1)."""
        status = final_status(said)
        if said.reason_code == DUPLICATE:
            # The bank has had this file before: no refusal of the payment, but worth a look.
            return self._problem(connection, tenant_id, said, "payment.duplicate_file")
        if status is None or status is payment.status:
            return 0
        if payment.status not in _BEFORE[status]:
            if status is Status.ACCEPTED and payment.status is Status.CONFIRMED:
                return 0
            # A bank that takes back its word is for people; our books do not follow silently.
            return self._problem(connection, tenant_id, said, "payment.contradicted")
        connection.execute(
            "UPDATE payments.payments SET status = %s, reason_code = %s, changed_at = %s"
            " WHERE payment_id = %s",
            (status.value, said.reason_code[:35], self._clock(), payment.payment_id),
        )
        changed.append(payment.payment_id)
        return 0

    def _signal(
        self, connection: Connection, tenant_id: str, batch_ids: list[str], correlation_id: str
    ) -> list[str]:
        """Wake whoever waits for a file whose payments are all decided."""
        decided = []
        for batch_id in batch_ids:
            rows = connection.execute(
                "SELECT status FROM payments.payments WHERE batch_id = %s", (batch_id,)
            ).fetchall()
            statuses = {Status(row[0]) for row in rows}
            if not statuses <= _DECIDED:
                continue
            outcome = "rejected" if Status.REJECTED in statuses else "accepted"
            subject = wait_subject(batch_id)
            envelope = Envelope(
                event_type=WAIT_SIGNALLED,
                tenant_id=tenant_id,
                subject=f"{subject}:{outcome}",
                key=batch_id,
                occurred_at=iso(self._clock()),
                correlation_id=correlation_id,
                data={"subject": subject, "outcome": {"outcome": outcome}},
            )
            append(connection, [envelope])
            decided.append(batch_id)
        return decided

    def _problem(
        self, connection: Connection, tenant_id: str, said: PaymentStatus, code: str
    ) -> int:
        return connection.execute(
            "INSERT INTO payments.problems (tenant_id, message_id, end_to_end_id, bank_status, code)"
            " VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
            (
                tenant_id,
                said.original_message_id[:200],
                said.end_to_end_id[:200],
                said.status[:35],
                code,
            ),
        ).rowcount


def _addressed(connection: Connection, said: PaymentStatus) -> list[Payment]:
    """The payments that a bank speaks of, locked in id order."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM payments.payments"  # noqa: S608  (the columns are a constant)
        " WHERE batch_id = %s AND (%s = '' OR end_to_end_id = %s)"
        " ORDER BY payment_id FOR UPDATE",
        (said.original_message_id, said.end_to_end_id, said.end_to_end_id),
    ).fetchall()
    return [_from_row(row) for row in rows]


def payment_in(connection: Connection, payment_id: str, *, lock: bool = False) -> Payment:
    """A payment in an open transaction; raises NotFound ``payment.not_found``."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM payments.payments WHERE payment_id = %s"  # noqa: S608  (as above)
        + (" FOR UPDATE" if lock else ""),
        (payment_id,),
    ).fetchone()
    if row is None:
        raise NotFound("payment.not_found", "there is no such payment")
    return _from_row(row)


def _from_row(row: tuple[Any, ...]) -> Payment:
    personal = row[6]
    return Payment(
        instruction=Instruction(
            payment_id=row[0],
            origin=row[1],
            source_id=row[2],
            end_to_end_id=row[3],
            amount=Money(row[4], row[5]),
            payee=Payee(**personal),
            remittance=row[7],
            booking=Booking(row[8], row[9], Kind(row[10])),
            requested_by=row[11],
        ),
        status=Status(row[12]),
        batch_id=row[13],
        approval_id=row[14],
        approved_by=row[15],
        reason_code=row[16],
    )


def _insert_batch(connection: Connection, tenant_id: str, batch: Batch) -> None:
    connection.execute(
        "INSERT INTO payments.batches (tenant_id, batch_id, source_id, currency,"
        " control_sum_minor, payments_count, requested_on, file_key, file_sha256, file_bytes,"
        " written_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            tenant_id,
            batch.batch_id,
            batch.source_id,
            batch.control_sum.currency,
            batch.control_sum.amount_minor,
            batch.payments_count,
            batch.requested_on,
            batch.file_key,
            batch.file_sha256,
            batch.file_bytes,
            batch.written_at,
        ),
    )


def _batch(connection: Connection, batch_id: str) -> Batch:
    row = connection.execute(
        "SELECT batch_id, source_id, control_sum_minor, currency, payments_count, requested_on,"
        " written_at, file_key, file_sha256, file_bytes FROM payments.batches WHERE batch_id = %s",
        (batch_id,),
    ).fetchone()
    if row is None:
        raise NotFound("payment.no_file", "there is no such payment file")
    return Batch(row[0], row[1], Money(row[2], row[3]), *row[4:])


def _audit(
    connection: Connection, tenant_id: str, action: str, subject: str, detail: dict[str, str]
) -> None:
    connection.execute(
        "INSERT INTO app.audit_log (tenant_id, action, subject, detail) VALUES (%s, %s, %s, %s)",
        (tenant_id, action, subject, Jsonb(detail)),
    )
