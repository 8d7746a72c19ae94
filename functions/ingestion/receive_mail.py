"""Receive mail: take what a mail that Amazon SES has stored brings.

Reads one EventBridge event "Object Created" of the arrivals bucket. A failure is tried again by
Lambda, and ends in the queue of failed invocations.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pardna.ingestion import mail_wiring as wiring
from pardna.runtime.observability import observed


@observed
def handler(event: dict[str, Any], _context: Any) -> dict[str, int]:
    """Returns how many attachments were new, and whether the mail was refused."""
    return asdict(wiring.receive_mail().receive(event["detail"]["object"]["key"]))
