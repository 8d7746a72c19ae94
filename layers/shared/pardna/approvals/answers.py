"""Approvals as the API shows them."""

from __future__ import annotations

from typing import Any

from pardna.approvals.model import Approval
from pardna.runtime.clock import iso


def approval_body(approval: Approval) -> dict[str, Any]:
    """Everything but the machine's tokens."""
    return {
        "approval_id": approval.approval_id,
        "kind": approval.kind,
        "subject": approval.subject,
        "amount_minor": approval.amount.amount_minor,
        "currency": approval.amount.currency,
        "amount": str(approval.amount),
        "requested_by": approval.requested_by,
        "requested_at": iso(approval.requested_at),
        "decide_before": iso(approval.decide_before),
        "status": approval.status.value,
        "decided_by": approval.decided_by,
        "decided_at": iso(approval.decided_at) if approval.decided_at else "",
        "comment": approval.comment,
        "context": dict(approval.context),
    }
