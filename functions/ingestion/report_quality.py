"""Report quality: what every source sent yesterday, and what of it needs a person.

``{}`` means every tenant; ``{"tenant_id": ..., "day": "2026-01-31"}`` one of them, and another day.
"""

from __future__ import annotations

from typing import Any

from pardna.ingestion import quality_wiring as wiring
from pardna.runtime.observability import correlation_id, observed


@observed
def handler(event: dict[str, Any], context: Any) -> dict[str, int]:
    """Scheduled. Returns how many tenants need somebody's attention."""
    cause = correlation_id(event, context)
    tenant_id, day = event.get("tenant_id", ""), event.get("day", "")
    return {"needing_count": wiring.report_quality().report(cause, tenant_id, day)}
