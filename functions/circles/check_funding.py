"""State "Check funding": take over what matching has found, and say how far the round is."""

from __future__ import annotations

from typing import Any

from pardna.circles.requests import RoundStep
from pardna.circles.wiring import rounds
from pardna.runtime.observability import logger, observed


@observed
def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    step = RoundStep.model_validate(event)
    funding = rounds().check_funding(step.tenant_id, step.circle_id, step.round_number)
    logger.info("Funding checked", **step.log_keys, paid_count=funding.paid_count)
    return {
        "outcome": funding.outcome,
        "paid_count": funding.paid_count,
        "owed_count": funding.owed_count,
        "paid_minor": funding.paid_minor,
    }
