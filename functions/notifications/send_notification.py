"""NotificationQueue: send a message to a person, by e-mail and SMS."""

from __future__ import annotations

from typing import Any

from pardna.notifications.events import from_json
from pardna.notifications.wiring import notifications
from pardna.runtime.observability import count, observed
from pardna.runtime.queue import consume


def _send(text: str) -> None:
    count("NotificationSent", notifications().send(*from_json(text)))


@observed
def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    return consume(event, _send)
