"""State "Plan run": the run's identity, its shards, and the manifest that the map reads."""

from __future__ import annotations

from typing import Any

from pardna.matching.wiring import reconciliation
from pardna.runtime.observability import logger, observed


@observed
def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    planned = reconciliation().plan(event["tenant_id"], event)
    logger.info("Run planned", tenant_id=event["tenant_id"], run_id=planned["run_id"],
                shards_count=planned["shards_count"], outcome=planned["outcome"])  # fmt: skip
    return planned
