"""Poll provider: fetch what card processors have settled.

``{}`` means every polled source; ``{"tenant_id": ..., "source_id": ...}`` means one.
"""

from __future__ import annotations

from typing import Any

from pardna.ingestion import wiring
from pardna.runtime.deadline import seconds_left
from pardna.runtime.observability import observed


@observed
def handler(event: dict[str, Any], context: Any) -> dict[str, int]:
    """Scheduled. Raises after the last try, so that the alarm rings."""
    polled = wiring.poll_provider().poll(
        event.get("tenant_id", ""), event.get("source_id", ""), seconds_left(context)
    )
    return {"seen_count": polled.seen_count, "new_count": polled.new_count}
