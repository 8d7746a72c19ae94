"""Record part: make canonical what a part of a large delivery holds, and keep it as Parquet.

The part that comes last closes the delivery. A message that fails comes again, and after its last
try lies on the dead-letter queue: the delivery stays open until it is sent again.
"""

from __future__ import annotations

from typing import Any

from pardna.ingestion import wiring
from pardna.runtime.observability import observed


@observed
def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """An SQS batch of parts in, the identifiers of failed messages out."""
    failed = wiring.record_messages(event.get("Records", ()))
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}
