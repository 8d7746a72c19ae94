"""Normalise object: make canonical what a raw object says, behind the quality gate.

Reads EventBridge's "Object Created" events from a queue; a message that fails is alone reported
and comes again, and after its last try lies on the dead-letter queue.
"""

from __future__ import annotations

from typing import Any

from pardna.ingestion import wiring
from pardna.runtime.observability import observed


@observed
def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """An SQS batch in, the identifiers of failed messages out."""
    failed = wiring.normalise_messages(event.get("Records", ()))
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}
