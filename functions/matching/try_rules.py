"""State "Try rules": decide the same legs under today's rules and under others; write no match."""

from __future__ import annotations

from typing import Any

from pardna.matching.wiring import try_rules
from pardna.runtime.observability import logger, observed


@observed
def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    done = try_rules().work(event["tenant_id"], event["trial_id"])
    logger.info("Rules tried", tenant_id=event["tenant_id"], legs_count=done["legs_count"])
    return {"outcome": done["outcome"]}
