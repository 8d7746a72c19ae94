"""Payments for tests, built by intent."""

from __future__ import annotations

from datetime import UTC, datetime

from pardna.money.model import Money
from pardna.payments.model import (
    Batch,
    Booking,
    CardCharge,
    Instruction,
    Payee,
    PayingBank,
    SftpAddress,
    batch_id_of,
    control_sum,
    file_key,
)
from pardna.payments.service import business_day
from pardna.transactions.model import Kind

TENANT = "harbour"
NOW = datetime(2026, 1, 9, 15, 0, tzinfo=UTC)


def a_bank(**address: object) -> PayingBank:
    """The tenant's paying account at a bank; `address` fills in where its server is."""
    at = {
        "host": "127.0.0.1",
        "port": 22,
        "user": "pardna",
        "host_key": "",
        "secret_id": "bank-secret",
        "in_dir": "/in",
        "done_dir": "/done",
    }
    return PayingBank(
        source_id="ncb-main",
        account="404385912",
        currency="JMD",
        holder="Pardna Client Funds",
        bic="JNCBJMKX",
        sftp=SftpAddress(**(at | address)),  # type: ignore[arg-type]
    )


def an_instruction(
    number: int = 1, amount_minor: int = 2_500_000, **changes: object
) -> Instruction:
    """An order to pay one draw."""
    fields: dict[str, object] = {
        "payment_id": f"pay-{number}",
        "origin": f"draw:{number}",
        "source_id": "ncb-main",
        "end_to_end_id": f"DRW-7K3Q-R{number:02d}",
        "amount": Money(amount_minor, "JMD"),
        "payee": Payee("Zoë Campbell", "12345678", "JNCBJMKX", "002", "00123"),
        "remittance": "Draw of round 1",
        "booking": Booking("pardna:cir-00000001", f"drw-{number}", Kind.DRAW),
        "requested_by": "ann",
    }
    return Instruction(**(fields | changes))  # type: ignore[arg-type]


def a_batch(*instructions: Instruction) -> Batch:
    """The file that these payments go into."""
    batch_id = batch_id_of(TENANT, [i.payment_id for i in instructions])
    return Batch(
        batch_id=batch_id,
        source_id="ncb-main",
        control_sum=control_sum(instructions),
        payments_count=len(instructions),
        requested_on=business_day(NOW),
        written_at=NOW,
        file_key=file_key(TENANT, batch_id),
        file_sha256="0" * 64,
        file_bytes=1,
    )


def a_charge(contribution_id: str = "con-1", **changes: object) -> CardCharge:
    """A member's card to be charged."""
    fields: dict[str, object] = {
        "tenant_id": TENANT,
        "source_id": "stripe-main",
        "contribution_id": contribution_id,
        "circle_id": "cir-00000001",
        "amount": Money(500_000, "JMD"),
        "customer_id": "cus_1",
        "payment_method_id": "pm_1",
    }
    return CardCharge(**(fields | changes))  # type: ignore[arg-type]
