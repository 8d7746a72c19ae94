"""State "Open round": make the hands of a round due, and ask for the money."""

from __future__ import annotations

from typing import Any

from pardna.circles.requests import RoundStep
from pardna.circles.wiring import drain, open_round
from pardna.runtime.observability import correlation_id, logger, observed


@observed
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    step = RoundStep.model_validate(event)
    outcome = open_round().open(
        step.tenant_id, step.circle_id, step.round_number, correlation_id(event, context)
    )
    drain(step.tenant_id)
    logger.info("Round opened", **step.log_keys, outcome=outcome)
    return {"outcome": outcome}
