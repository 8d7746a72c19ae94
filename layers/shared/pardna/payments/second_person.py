"""Whether a second person approved a payment, looked up where decisions are kept."""

from __future__ import annotations

from pardna.approvals.model import Status
from pardna.approvals.ports import ApprovalBook
from pardna.money.model import Money
from pardna.payments.ports import Approval
from pardna.runtime.errors import NotPermitted


class ApprovedBySecondPerson:
    """`SecondPerson` on the book of approvals."""

    def __init__(self, approvals: ApprovalBook) -> None:
        self._approvals = approvals

    def approved(self, tenant_id: str, approval_id: str, subject: str, amount: Money) -> Approval:
        """See `SecondPerson`. The machine only brings an id; what it stands for is read here."""
        found = self._approvals.get(tenant_id, approval_id)
        if (
            found is None
            or found.status is not Status.APPROVED
            or (found.subject, found.amount) != (subject, amount)
            or found.decided_by in ("", found.requested_by)
        ):
            raise NotPermitted("payment.not_approved", "nobody has approved this payment")
        return Approval(approval_id, found.decided_by)
