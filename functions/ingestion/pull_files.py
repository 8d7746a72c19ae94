"""Pull files: fetch what banks put on their SFTP servers.

``{}`` means every source of files; ``{"tenant_id": ..., "source_id": ...}`` means one.
What the time does not suffice for (``left_count``) is continued by the next call.
"""

from __future__ import annotations

from typing import Any

from pardna.ingestion import wiring
from pardna.runtime.deadline import seconds_left
from pardna.runtime.observability import observed


@observed
def handler(event: dict[str, Any], context: Any) -> dict[str, int]:
    """Scheduled. Raises after the last try, so that the alarm rings."""
    pulled = wiring.pull_files().pull(
        event.get("tenant_id", ""), event.get("source_id", ""), seconds_left(context)
    )
    return {
        "seen_count": pulled.seen_count,
        "new_count": pulled.new_count,
        "left_count": pulled.left_count,
    }
