"""State "Check completeness": project again whatever the database knows and the legs do not."""

from __future__ import annotations

from typing import Any

from pardna.matching.wiring import check_run
from pardna.runtime.observability import count, logger, observed


@observed
def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    found = check_run().check(event)
    logger.info("Completeness checked", tenant_id=event["tenant_id"], outcome=found["outcome"],
                transactions_count=found["transactions_count"],
                projected_count=found["projected_count"])  # fmt: skip
    if found["complete"]:
        count("LegsProjectedAgain", found["projected_count"])
    return found
