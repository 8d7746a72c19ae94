"""State "Check completeness": project again whatever the database knows and the legs do not."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pardna.matching.runs import window
from pardna.matching.wiring import check_completeness
from pardna.runtime.observability import count, logger, observed


@observed
def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    first, _ = window(event["reference_date"], int(event["window_days"]))
    found = check_completeness().check(event["tenant_id"], first)
    logger.info("Completeness checked", tenant_id=event["tenant_id"],
                transactions_count=found.transactions_count, projected_count=found.projected_count)  # fmt: skip
    count("LegsProjectedAgain", found.projected_count)
    outcome = "repaired" if found.projected_count else "complete"
    return {"outcome": outcome, **asdict(found), "currencies": list(found.currencies)}
