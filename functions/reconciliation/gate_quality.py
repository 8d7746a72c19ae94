"""State "Gate quality": may this run be relied on, and if not, why not."""

from __future__ import annotations

from typing import Any

from pardna.matching.wiring import reconciliation
from pardna.runtime.observability import logger, observed


@observed
def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    judged = reconciliation().gate(event["tenant_id"], event["run_id"], event["clearing"])
    logger.info("Run judged", tenant_id=event["tenant_id"], run_id=event["run_id"],
                outcome=judged["outcome"])  # fmt: skip
    return judged
