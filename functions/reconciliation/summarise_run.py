"""State "Summarise run": totals onto the run's header, and a count when people must look."""

from __future__ import annotations

from typing import Any

from pardna.matching.wiring import run_summary
from pardna.runtime.observability import count, logger, observed


@observed
def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    done = run_summary().summarise(event["tenant_id"], event["run_id"])
    logger.info("Run summarised", tenant_id=event["tenant_id"], run_id=event["run_id"],
                outcome=done["outcome"], matched_count=done["matched_count"],
                breaks_count=done["breaks_count"])  # fmt: skip
    count("RunsHeld", int(done["outcome"] != "passed"))
    return done
