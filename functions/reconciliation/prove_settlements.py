"""State "Prove settlements": add every settlement of the run up again; each must come to zero."""

from __future__ import annotations

from typing import Any

from pardna.matching.wiring import reconciliation
from pardna.runtime.observability import count, logger, observed


@observed
def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    done = reconciliation().prove(event["tenant_id"], event["run_id"])
    logger.info("Settlements proved", tenant_id=event["tenant_id"], run_id=event["run_id"],
                proved_count=done["settlements_proved_count"],
                unproved_count=done["settlements_unproved_count"])  # fmt: skip
    count("SettlementsUnproved", done["settlements_unproved_count"])
    return done
