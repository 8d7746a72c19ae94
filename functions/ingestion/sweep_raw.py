"""Sweep raw: normalise raw objects that nothing was ever made of.

``{}`` means a share of every tenant's; ``{"tenant_id": ...}`` means all of one tenant's.
"""

from __future__ import annotations

from typing import Any

from pardna.ingestion import wiring
from pardna.runtime.observability import correlation_id, observed


@observed
def handler(event: dict[str, Any], context: Any) -> dict[str, int]:
    """Scheduled. Returns how many objects were normalised."""
    cause = correlation_id(event, context)
    return {"normalised_count": wiring.sweep_raw().sweep(cause, event.get("tenant_id", ""))}
