"""State "Write payment file": an approved payment becomes a file in the bucket."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from pardna.payments.wiring import drain, write_payment_file
from pardna.runtime.observability import correlation_id, count, logger, observed


class Approved(BaseModel):
    """What the machine sends."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tenant_id: str
    payment_id: str
    approval_id: str
    correlation_id: str = ""


@observed
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    order = Approved.model_validate(event)
    batch = write_payment_file().write(
        order.tenant_id, order.payment_id, order.approval_id, correlation_id(event, context)
    )
    drain(order.tenant_id)
    logger.info("Payment file written", tenant_id=order.tenant_id, batch_id=batch.batch_id)
    count("PaymentFileWritten")
    return {"outcome": "written", "batch_id": batch.batch_id, "source_id": batch.source_id}
