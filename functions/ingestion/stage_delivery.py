"""Stage delivery: read an object that is too large for the usual function, of any size.

A file of many rows goes into the lake in parts, which are recorded by others; the rest is recorded
here. A message that fails comes again, and after its last try lies on the dead-letter queue.
"""

from __future__ import annotations

from typing import Any

from pardna.ingestion import wiring
from pardna.runtime.observability import observed


@observed
def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """An SQS batch of ``large_object.arrived`` events in, the identifiers of failed messages out."""
    failed = wiring.stage_messages(event.get("Records", ()))
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}
