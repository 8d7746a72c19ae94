"""A payment goes out on a second person's word about exactly this payment, or not at all."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pardna.approvals.model import Approval, Status
from pardna.money.model import Money
from pardna.payments.second_person import ApprovedBySecondPerson
from pardna.payments.service import payment_subject
from pardna.runtime.errors import NotPermitted
from tests.fakes.approvals import MemoryApprovals

TENANT, SUBJECT, AMOUNT = "kgn-one", payment_subject("DRW-1"), Money(2_500_000, "JMD")
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
YES = Approval(
    tenant_id=TENANT,
    approval_id="apr-1",
    kind="payout",
    subject=SUBJECT,
    amount=AMOUNT,
    requested_by="banker",
    requested_at=NOON,
    decide_before=NOON + timedelta(days=7),
    token="t",
    status=Status.APPROVED,
    decided_by="approver",
    decided_at=NOON,
)


def ask(approval: Approval | None, tenant_id: str = TENANT) -> str:
    """Who approved, when `approval` is what the book holds."""
    book = MemoryApprovals()
    if approval is not None:
        book.add(approval)
    found = ApprovedBySecondPerson(book).approved(tenant_id, "apr-1", SUBJECT, AMOUNT)
    return found.approved_by


def test_a_second_persons_yes_is_enough() -> None:
    assert ask(YES) == "approver"


@pytest.mark.parametrize(
    "held",
    [
        None,
        replace(YES, status=Status.PENDING, decided_by="", decided_at=None),
        replace(YES, status=Status.REJECTED),
        replace(YES, subject=payment_subject("DRW-2")),
        replace(YES, amount=Money(2_500_001, "JMD")),
        replace(YES, amount=Money(2_500_000, "USD")),
        replace(YES, decided_by="banker"),
        replace(YES, decided_by=""),
    ],
    ids=["none", "pending", "rejected", "other payment", "other amount", "other currency",
         "by its requester", "by nobody"],
)  # fmt: skip
def test_anything_else_is_not(held: Approval | None) -> None:
    with pytest.raises(NotPermitted, match=r"payment\.not_approved"):
        ask(held)


def test_another_tenants_yes_is_none() -> None:
    with pytest.raises(NotPermitted):
        ask(YES, tenant_id="kgn-two")
