"""Objects that are too large for the function of usual ones: announced, and read where there is time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from pardna.ingestion.model import RawKey
from pardna.runtime.clock import Clock, iso
from pardna.runtime.events import LARGE_OBJECT_ARRIVED, Envelope


class Outbox(Protocol):
    """See `pardna.outbox.postgres.PostgresOutbox`."""

    def announce(self, tenant_id: str, envelopes: Sequence[Envelope]) -> None:
        """Announce, once each. Raises Unavailable."""
        ...


class AnnouncedObjects:
    """`LargeObjects` by way of the outbox."""

    def __init__(self, outbox: Outbox, clock: Clock) -> None:
        self._outbox = outbox
        self._clock = clock

    def hand_over(self, key: RawKey, correlation_id: str, replay_id: str = "") -> None:
        """See `LargeObjects`."""
        envelope = Envelope(
            event_type=LARGE_OBJECT_ARRIVED,
            tenant_id=key.tenant_id,
            subject=f"{key.raw_sha256}:{replay_id}" if replay_id else key.raw_sha256,
            key=key.raw_sha256,
            occurred_at=iso(self._clock()),
            correlation_id=correlation_id,
            data={"key": str(key), "replay_id": replay_id},
        )
        self._outbox.announce(key.tenant_id, [envelope])
