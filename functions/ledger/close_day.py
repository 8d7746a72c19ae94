"""Close day: partitions ahead, snapshots of days that are over, and the day's anchor, for every tenant."""

from __future__ import annotations

from typing import Any

from pardna.ledger.upkeep import close_day
from pardna.ledger.wiring import day_upkeep
from pardna.runtime.clock import utc_now
from pardna.runtime.observability import count, observed


@observed
def handler(_event: dict[str, Any], _context: Any) -> dict[str, int]:
    """Scheduled, once a day. Returns what was done."""
    done = close_day(*day_upkeep(), utc_now)
    count("PartitionMonthsAhead", done.months_ahead)
    count("SnapshotsTaken", done.snapshots_taken)
    count("BalancesDrifted", done.accounts_drifted)
    count("AnchorsWritten", done.anchors_written)
    count("AnchorsBroken", done.anchors_broken)
    count("LedgerUpkeepRefused", done.refused)
    return {
        "tenants_count": done.tenants,
        "partitions_made_count": done.partitions_made,
        "months_ahead_count": done.months_ahead,
        "snapshots_taken_count": done.snapshots_taken,
        "accounts_drifted_count": done.accounts_drifted,
        "anchors_written_count": done.anchors_written,
        "anchors_broken_count": done.anchors_broken,
        "refused_count": done.refused,
    }
