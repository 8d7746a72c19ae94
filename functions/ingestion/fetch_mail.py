"""Fetch mail: take what banks send as attachments from mailboxes.

``{}`` means every mailbox; ``{"tenant_id": ..., "source_id": ...}`` means one. What the time does
not suffice for (``left_count``) is continued by the next call.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pardna.ingestion import mail_wiring as wiring
from pardna.runtime.deadline import seconds_left
from pardna.runtime.observability import observed


@observed
def handler(event: dict[str, Any], context: Any) -> dict[str, int]:
    """Scheduled. Raises after the last try, so that the alarm rings."""
    taken = wiring.fetch_mail().fetch(
        event.get("tenant_id", ""), event.get("source_id", ""), seconds_left(context)
    )
    return asdict(taken)
