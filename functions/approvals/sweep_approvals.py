"""Schedule: tell machines of decisions that a process died before telling."""

from __future__ import annotations

from typing import Any

from pardna.approvals.wiring import approvals, tenants
from pardna.runtime.observability import count, logger, observed


@observed
def handler(_event: dict[str, Any], _context: Any) -> dict[str, Any]:
    told = approvals().sweep(tenants())
    logger.info("Approvals swept", told_count=told)
    count("ApprovalsSwept", told)
    return {"told_count": told}
