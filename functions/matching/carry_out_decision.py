"""State "Carry out decision": do what a second person agreed to, or say that nobody did."""

from __future__ import annotations

from typing import Any

from pardna.matching.wiring import carry_out
from pardna.runtime.observability import logger, observed


@observed
def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    done = carry_out().carry_out(
        event["tenant_id"], event["decision_id"], event.get("approval_id", "")
    )
    logger.info("Decision carried out", tenant_id=event["tenant_id"],
                decision_id=event["decision_id"], outcome=done["outcome"])  # fmt: skip
    return done
