"""Publish outbox: send departed events where their type goes.

Called by the table's stream with new departures, and by a schedule (no records) to send again what
the stream lost. It returns normally also when some could not be sent: the sweep has them.
"""

from __future__ import annotations

from typing import Any

from pardna.outbox import wiring
from pardna.runtime.observability import observed


@observed
def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Stream batch or schedule. Returns how many events were sent."""
    records = event.get("Records")
    if records is None:
        return {"sent_count": wiring.publisher().sweep()}
    sent = wiring.publisher().publish(wiring.departed(records))
    return {"sent_count": sent, "batchItemFailures": []}
