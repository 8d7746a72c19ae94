"""State "Classify breaks": name what stays open and why, close what is explained now."""

from __future__ import annotations

from typing import Any

from pardna.matching.wiring import reconciliation
from pardna.runtime.observability import count, logger, observed


@observed
def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    done = reconciliation().classify(event["tenant_id"], event["run_id"])
    logger.info("Breaks classified", tenant_id=event["tenant_id"], run_id=event["run_id"],
                breaks_count=done["breaks_count"], opened_count=done["opened_count"],
                resolved_count=done["resolved_count"])  # fmt: skip
    count("BreaksOpened", done["opened_count"])
    return done
