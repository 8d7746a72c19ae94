"""State "Match shard": decide a shard of a run and commit what was decided."""

from __future__ import annotations

from typing import Any

from pardna.matching.wiring import match_shard
from pardna.runtime.observability import count, logger, observed


@observed
def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    counts = match_shard().work(event["tenant_id"], event["run_id"], int(event["shard"]))
    logger.info("Shard matched", tenant_id=event["tenant_id"], run_id=event["run_id"],
                shard=event["shard"], counts=dict(counts))  # fmt: skip
    count("MatchedInBatch", counts.get("committed", 0))
    return {}
