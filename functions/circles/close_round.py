"""States "Close round" and "Hold round": the end of a round, paid or not."""

from __future__ import annotations

from typing import Any, Literal

from pardna.circles.requests import RoundStep
from pardna.circles.wiring import rounds
from pardna.runtime.observability import logger, observed


class Ending(RoundStep):
    """How the round ended."""

    ending: Literal["paid", "declined", "rejected", "unclear"]


@observed
def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    step = Ending.model_validate(event)
    outcome = rounds().close_round(step.tenant_id, step.circle_id, step.round_number, step.ending)
    logger.info("Round ended", **step.log_keys, outcome=outcome)
    return {"outcome": outcome}
