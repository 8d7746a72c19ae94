"""Keep books: end holds whose time is over and seal what is settled, for every tenant."""

from __future__ import annotations

from typing import Any

from pardna.ledger.upkeep import keep_minute
from pardna.ledger.wiring import minute_upkeep
from pardna.runtime.clock import utc_now
from pardna.runtime.observability import count, observed


@observed
def handler(_event: dict[str, Any], _context: Any) -> dict[str, int]:
    """Scheduled, every minute. Returns what was done."""
    done = keep_minute(minute_upkeep(), utc_now)
    count("HoldsExpired", done.holds_expired)
    count("BlocksSealed", done.blocks_sealed)
    count("SealLagSeconds", done.seal_lag_s)
    count("LedgerUpkeepRefused", done.refused)
    return {
        "tenants_count": done.tenants,
        "holds_expired_count": done.holds_expired,
        "blocks_sealed_count": done.blocks_sealed,
        "seal_lag_s": done.seal_lag_s,
        "refused_count": done.refused,
    }
