"""The event envelope: what every message between parts of the product looks like.

An envelope is small, carries ids rather than payloads where it can, and is the same on the
outbox, the stream and the queues. Its `event_id` is derived from what it announces, so that
announcing the same fact twice yields the same envelope.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pardna.runtime.errors import InvalidInput

SCHEMA_VERSION = 1

TRANSACTION_RECORDED = "transaction.recorded"
LARGE_OBJECT_ARRIVED = "large_object.arrived"
DELIVERY_STAGED = "delivery.staged"
DELIVERY_RECORDED = "delivery.recorded"
DELIVERY_REPLAY_REQUESTED = "delivery.replay_requested"
CARD_CHARGE_REQUESTED = "card_charge.requested"
NOTIFICATION_REQUESTED = "notification.requested"
WAIT_SIGNALLED = "wait.signalled"
RECORD_POISONED = "record.poisoned"
ALERT_RAISED = "alert.raised"

EVENT_TYPES = frozenset(
    {
        TRANSACTION_RECORDED,
        LARGE_OBJECT_ARRIVED,
        DELIVERY_STAGED,
        DELIVERY_RECORDED,
        DELIVERY_REPLAY_REQUESTED,
        CARD_CHARGE_REQUESTED,
        NOTIFICATION_REQUESTED,
        WAIT_SIGNALLED,
        RECORD_POISONED,
        ALERT_RAISED,
    }
)


def event_id(tenant_id: str, event_type: str, subject: str) -> str:
    """Deterministic id (32 hex digits) of the fact `subject` of `event_type` for a tenant."""
    digest = hashlib.sha256("\x1f".join((tenant_id, event_type, subject)).encode())
    return digest.hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Envelope:
    """One event.

    `subject` names the fact (``transaction_id:version``, ``contribution_id``) and makes the id;
    `key` is the partition key on a stream; `occurred_at` is an ISO 8601 instant in UTC;
    `correlation_id` follows one cause through all parts; `data` is JSON.
    """

    event_type: str
    tenant_id: str
    subject: str
    key: str
    occurred_at: str
    correlation_id: str
    data: Mapping[str, Any]
    schema_version: int = SCHEMA_VERSION

    def __post_init__(self) -> None:
        if self.event_type not in EVENT_TYPES:
            raise InvalidInput("event.unknown_type", f"no event is called {self.event_type!r}")
        if not self.tenant_id or not self.subject or not self.key:
            raise InvalidInput("event.incomplete", "an event needs tenant, subject and key")

    @property
    def event_id(self) -> str:
        """Same fact, same id: a second announcement changes nothing."""
        return event_id(self.tenant_id, self.event_type, self.subject)

    def to_json(self) -> str:
        """Canonical JSON: sorted keys, no spaces, so that equal envelopes are equal bytes."""
        return json.dumps(
            {
                "event_id": self.event_id,
                "event_type": self.event_type,
                "schema_version": self.schema_version,
                "tenant_id": self.tenant_id,
                "subject": self.subject,
                "key": self.key,
                "occurred_at": self.occurred_at,
                "correlation_id": self.correlation_id,
                "data": dict(self.data),
            },
            sort_keys=True,
            separators=(",", ":"),
            ensure_ascii=False,
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> Envelope:
        """Parse an envelope; raises InvalidInput when it is not one or its id is not its own."""
        try:
            raw = json.loads(text, parse_float=_refuse_float)
            envelope = cls(
                event_type=raw["event_type"],
                tenant_id=raw["tenant_id"],
                subject=raw["subject"],
                key=raw["key"],
                occurred_at=raw["occurred_at"],
                correlation_id=raw["correlation_id"],
                data=raw["data"],
                schema_version=raw["schema_version"],
            )
            datetime.fromisoformat(envelope.occurred_at)
        except InvalidInput:
            raise
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidInput(
                "event.unreadable", f"not an event: {type(error).__name__}"
            ) from error
        if envelope.schema_version != SCHEMA_VERSION:
            raise InvalidInput(
                "event.schema_version", f"version {envelope.schema_version} is unknown"
            )
        if raw.get("event_id") != envelope.event_id:
            raise InvalidInput("event.forged_id", "the id is not the one that the content gives")
        return envelope


def _refuse_float(text: str) -> Any:
    raise ValueError(f"numbers in events are integers, not {text}")
