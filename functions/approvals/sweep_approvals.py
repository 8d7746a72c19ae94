"""Schedule: tell machines of decisions that a process died before telling, start what nobody carries."""

from __future__ import annotations

from typing import Any

from pardna.approvals.wiring import approvals, tenants
from pardna.matching.wiring import go_on, tenant_ids
from pardna.runtime.observability import count, logger, observed


@observed
def handler(_event: dict[str, Any], _context: Any) -> dict[str, Any]:
    told = approvals().sweep(tenants())
    count("ApprovalsSwept", told)
    started = go_on().sweep(tenant_ids())
    count("DecisionsStartedAgain", started)
    logger.info("Approvals swept", told_count=told, started_count=started)
    return {"told_count": told, "started_count": started}
