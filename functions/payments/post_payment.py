"""States "Record upload", "Record doubt" and "Post payment": where a file's payments are."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from pardna.payments.model import Status
from pardna.payments.wiring import post_payment
from pardna.runtime.observability import logger, observed


class Step(BaseModel):
    """What the machine sends."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tenant_id: str
    batch_id: str
    status: Literal["uploaded", "unclear", "confirmed"]
    correlation_id: str = ""


@observed
def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    step = Step.model_validate(event)
    moved = post_payment().post(step.tenant_id, step.batch_id, Status(step.status))
    logger.info(
        "Payment posted", tenant_id=step.tenant_id, batch_id=step.batch_id, moved_count=moved
    )
    return {"outcome": "posted"}
