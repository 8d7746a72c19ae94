"""Receive upload: take what a person has sent, if it is what was announced.

Reads one EventBridge event "Object Created" of the arrivals bucket. A failure is tried again by
Lambda, and ends in the queue of failed invocations.
"""

from __future__ import annotations

from typing import Any

from pardna.ingestion import upload_wiring as wiring
from pardna.runtime.observability import observed


@observed
def handler(event: dict[str, Any], _context: Any) -> dict[str, str]:
    """Returns the upload's id and state."""
    upload = wiring.receive_upload().receive(event["detail"]["object"]["key"])
    return {"upload_id": upload.upload_id, "state": upload.state.value} if upload else {}
