"""Gaps in a source's webhooks that polling has filled: counted, and visible.

A list of events that is polled names every event that the provider made. One that no webhook told
of by the time somebody asks is missing there, and was filled in by polling. What was made before
the source's first webhook is no gap: nobody was listening.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from pardna.ingestion.model import RawKey, Receipt
from pardna.ingestion.ports import RawObject
from pardna.runtime.clock import iso
from pardna.runtime.observability import count

#: What polled documents of events are called (`pardna.ingestion.poll`).
_EVENTS = "events/"
_ID = re.compile(r"[\x21-\x7e]{1,200}")


@dataclass(frozen=True, slots=True)
class PolledEvent:
    """An event by its provider's name, and when it was made."""

    event_id: str
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class Activity:
    """What was last heard of a source. None means never; counts are of the last thirty days."""

    last_delivery_at: datetime | None = None
    last_webhook_at: datetime | None = None
    last_filled_at: datetime | None = None
    filled_by_polling_count: int = 0

    def shown(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "last_delivery_at": _text(self.last_delivery_at),
            "last_webhook_at": _text(self.last_webhook_at),
            "last_filled_at": _text(self.last_filled_at),
            "filled_by_polling_count": self.filled_by_polling_count,
        }


class EventBook(Protocol):
    """Which events were told of, and how. All raise Unavailable."""

    def remember(
        self, tenant_id: str, source_id: str, raw_sha256: str, events: Sequence[PolledEvent]
    ) -> int:
        """Write down what a poll told of; again changes nothing. One write.

        Returns how many are new here and fill a gap.
        """
        ...

    def activity(self, tenant_id: str, source_id: str) -> Activity:
        """What was last heard of a source."""
        ...


def remember_polled(book: EventBook, key: RawKey, found: RawObject) -> None:
    """Write down the events of a polled document, if it is one. Raises Unavailable."""
    receipt = found.receipt
    if not _is_events(receipt):
        return
    file = found.file()
    file.seek(0)
    events = read_events(file.read())
    file.seek(0)
    if events:
        filled = book.remember(key.tenant_id, receipt.source_id, key.raw_sha256, events)
        count("EventsFilledByPolling", filled)


def read_events(data: bytes) -> list[PolledEvent]:
    """The events that a polled document names, each once; none of bytes that are no such list."""
    try:
        rows = json.loads(data)["data"]
        found = {
            row["id"]: PolledEvent(row["id"], datetime.fromtimestamp(row["created"], UTC))
            for row in rows
            if isinstance(row["id"], str) and _ID.fullmatch(row["id"])
        }
    except (ValueError, KeyError, TypeError, OverflowError, OSError, RecursionError):
        return []
    return [found[event_id] for event_id in sorted(found)]


def _is_events(receipt: Receipt) -> bool:
    return receipt.channel == "poll" and receipt.name.startswith(_EVENTS)


def _text(at: datetime | None) -> str | None:
    return None if at is None else iso(at)
