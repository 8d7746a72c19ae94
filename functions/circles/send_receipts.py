"""State "Send receipts": announce a receipt to everybody who paid, and to who drew."""

from __future__ import annotations

from typing import Any

from pardna.circles.requests import RoundStep
from pardna.circles.wiring import drain, rounds
from pardna.runtime.observability import correlation_id, logger, observed


@observed
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    step = RoundStep.model_validate(event)
    announced = rounds().send_receipts(
        step.tenant_id, step.circle_id, step.round_number, correlation_id(event, context)
    )
    drain(step.tenant_id)
    logger.info("Receipts announced", **step.log_keys, receipts_count=announced)
    return {"outcome": "announced"}
