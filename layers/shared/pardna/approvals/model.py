"""An approval: who asked, about what, and what a second person said. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from pardna.money.model import Money
from pardna.runtime.errors import AlreadyDecided, InvalidInput, NotPermitted, RefusedByRule

COMMENT_MAX = 500


class Status(StrEnum):
    """Decided once, and never again."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Approval:
    """`subject` names what is decided (``payment:…``); `context` holds ids for people who decide.

    `token` is the state machine that waits; `answered_token` the last one that was told.
    """

    tenant_id: str
    approval_id: str
    kind: str
    subject: str
    amount: Money
    requested_by: str
    requested_at: datetime
    decide_before: datetime
    token: str
    status: Status = Status.PENDING
    decided_by: str = ""
    decided_at: datetime | None = None
    comment: str = ""
    answered_token: str = ""
    context: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_answered(self) -> bool:
        """Whether the machine that waits now has been told."""
        return self.status is not Status.PENDING and self.answered_token == self.token

    def same_request(self, other: Approval) -> bool:
        """Whether both ask the same of the same people."""
        return (self.kind, self.subject, self.amount, self.requested_by) == (
            other.kind,
            other.subject,
            other.amount,
            other.requested_by,
        )


def approval_id(tenant_id: str, kind: str, subject: str) -> str:
    """One approval per kind and subject: asking again finds the same one."""
    digest = hashlib.sha256("\x1f".join((tenant_id, kind, subject)).encode()).hexdigest()
    return f"apr-{digest[:20]}"


def check_decision(approval: Approval, principal: str, status: Status, now: datetime) -> bool:
    """Whether the decision is new (True) or was made before by the same person (False).

    Raises NotPermitted ``approval.own_request``, AlreadyDecided ``approval.decided`` for another
    person or another answer, RefusedByRule ``approval.expired``.
    """
    if principal == approval.requested_by:
        raise NotPermitted("approval.own_request", "nobody decides what they asked for")
    if approval.status is not Status.PENDING:
        if (approval.status, approval.decided_by) == (status, principal):
            return False
        raise AlreadyDecided(
            "approval.decided", f"this was {approval.status} before", status=str(approval.status)
        )
    if now >= approval.decide_before:
        raise RefusedByRule("approval.expired", "the time for this decision is over")
    return True


def check_comment(comment: str) -> str:
    """The comment, if it can be kept; raises InvalidInput."""
    if len(comment) > COMMENT_MAX or "\x00" in comment:
        raise InvalidInput("approval.comment", f"a comment has up to {COMMENT_MAX} characters")
    return comment
