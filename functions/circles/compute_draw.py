"""State "Compute draw": what a funded round pays to whom, and the order to pay it."""

from __future__ import annotations

from typing import Any

from pardna.circles.requests import RoundStep
from pardna.circles.wiring import drain, rounds
from pardna.payments.service import payment_subject
from pardna.runtime.observability import correlation_id, logger, observed


class Requested(RoundStep):
    """A step that somebody asked for."""

    requested_by: str


@observed
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    step = Requested.model_validate(event)
    draw = rounds().compute_draw(
        step.tenant_id,
        step.circle_id,
        step.round_number,
        step.requested_by,
        correlation_id(event, context),
    )
    drain(step.tenant_id)
    logger.info("Draw computed", **step.log_keys, payment_id=draw.payment_id)
    return {
        "outcome": "computed",
        "draw_id": draw.draw_id,
        "payment_id": draw.payment_id,
        "subject": payment_subject(draw.payment_id),
        "amount_minor": draw.net.amount_minor,
        "currency": draw.net.currency,
    }
