"""Use cases of approvals: ask, decide, and tell the machine that waits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from pardna.approvals.model import (
    Approval,
    Status,
    approval_id,
    check_comment,
    check_decision,
)
from pardna.approvals.ports import ApprovalBook, Tasks, Tenants
from pardna.money.model import Money
from pardna.runtime.clock import Clock
from pardna.runtime.errors import AlreadyDecided, Conflict, NotFound
from pardna.runtime.observability import count, logger

PAGE = 100


@dataclass(frozen=True, slots=True)
class Approvals:
    """Write boundaries: 1 the request or decision, 2 the machine is told, 3 that it was told.

    A process that dies after 1 leaves the approval listed as unanswered; the same decision again,
    the machine asking again, or `sweep` tells the machine. After 2 it is told again, which a
    consumed token turns into nothing.
    """

    book: ApprovalBook
    tasks: Tasks
    clock: Clock

    def request(
        self,
        tenant_id: str,
        kind: str,
        subject: str,
        amount: Money,
        requested_by: str,
        token: str,
        *,
        valid_seconds: int,
        context: Mapping[str, str] | None = None,
    ) -> Approval:
        """Ask for a decision; asking again with a new token hears the decision that was made.

        Raises Conflict ``approval.differs`` when the subject was asked about differently.
        """
        now = self.clock()
        approval = Approval(
            tenant_id=tenant_id,
            approval_id=approval_id(tenant_id, kind, subject),
            kind=kind,
            subject=subject,
            amount=amount,
            requested_by=requested_by,
            requested_at=now,
            decide_before=now + timedelta(seconds=valid_seconds),
            token=token,
            context=dict(context or {}),
        )
        if self.book.add(approval):
            count("ApprovalRequested")
            return approval
        standing = self.book.renew(tenant_id, approval.approval_id, token)
        if not standing.same_request(approval):
            raise Conflict("approval.differs", "this was asked before, differently")
        return self._answer(standing)

    def decide(
        self, tenant_id: str, principal: str, approval_id: str, status: Status, comment: str = ""
    ) -> Approval:
        """Decide for good; the same decision by the same person again is the same answer.

        Raises NotFound, NotPermitted ``approval.own_request``, AlreadyDecided, RefusedByRule
        ``approval.expired``. Whether `principal` may decide at all is asked before.
        """
        check_comment(comment)
        standing = self.get(tenant_id, approval_id)
        now = self.clock()
        if check_decision(standing, principal, status, now):
            decided = self.book.decide(tenant_id, approval_id, status, principal, comment, now)
            if decided is None:
                # Somebody was faster: the same rules against what stands now.
                standing = self.get(tenant_id, approval_id)
                if check_decision(standing, principal, status, now):
                    raise AlreadyDecided("approval.decided", "this is being decided")
            else:
                count("ApprovalDecided")
                standing = decided
        return self._answer(standing)

    def get(self, tenant_id: str, approval_id: str) -> Approval:
        """Raises NotFound ``approval.not_found``."""
        found = self.book.get(tenant_id, approval_id)
        if found is None:
            raise NotFound("approval.not_found", "there is no such approval")
        return found

    def pending(self, tenant_id: str, after: str = "") -> tuple[list[Approval], str]:
        """A page of what can still be decided, oldest first, and the next page's `after`."""
        page, following = self.book.open(tenant_id, after, PAGE)
        now = self.clock()
        return [a for a in page if a.status is Status.PENDING and now < a.decide_before], following

    def sweep(self, tenants: Tenants) -> int:
        """Tell every machine that waits for a decision that was made; returns how many."""
        told = 0
        for tenant_id in tenants.tenant_ids():
            after = ""
            while True:
                page, after = self.book.open(tenant_id, after, PAGE)
                for approval in page:
                    if approval.status is not Status.PENDING:
                        self._answer(approval)
                        told += 1
                if not after:
                    break
        return told

    def _answer(self, approval: Approval) -> Approval:
        """Tell the machine what was decided, if it was and it has not been told."""
        if approval.status is Status.PENDING or approval.is_answered:
            return approval
        waited = self.tasks.succeed(
            approval.token,
            {
                "outcome": approval.status.value,
                "approval_id": approval.approval_id,
                "decided_by": approval.decided_by,
            },
        )
        if not waited:
            logger.info("Nobody waits for this decision", approval_id=approval.approval_id)
        self.book.mark_answered(approval.tenant_id, approval.approval_id, approval.token)
        return approval
