"""States "Plan run" and "Plan next wave": the run's identity, its shards, the map's manifest."""

from __future__ import annotations

from typing import Any

from pardna.matching.wiring import plan_run
from pardna.runtime.observability import logger, observed


@observed
def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    planned = plan_run().plan(event["tenant_id"], event)
    logger.info("Run planned", tenant_id=event["tenant_id"], run_id=planned["run_id"],
                wave=planned["wave"], shards_count=planned["shards_count"],
                outcome=planned["outcome"])  # fmt: skip
    return planned
