"""State "Request approval": ask for a second person's decision; the task token waits for it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from pardna.approvals.wiring import approvals
from pardna.money.model import Money
from pardna.runtime.observability import logger, observed


class Ask(BaseModel):
    """What the machine sends. `context` holds ids only."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    task_token: str
    tenant_id: str
    kind: str
    subject: str
    amount_minor: int
    currency: str
    requested_by: str
    valid_seconds: int
    context: dict[str, str] = {}


@observed
def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    ask = Ask.model_validate(event)
    approval = approvals().request(
        ask.tenant_id,
        ask.kind,
        ask.subject,
        Money(ask.amount_minor, ask.currency),
        ask.requested_by,
        ask.task_token,
        valid_seconds=ask.valid_seconds,
        context=ask.context,
    )
    logger.info("Approval requested", tenant_id=ask.tenant_id, approval_id=approval.approval_id)
    return {"approval_id": approval.approval_id}
