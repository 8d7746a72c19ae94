"""Deliveries for people: what arrived, what became of it, and doing it again from the same bytes.

Numbered write boundaries of `replay`:
1. requests are announced, in one database transaction    2. they leave the database (the outbox's)
After 1 they leave anyway, with the next drain. What is replayed is recorded by its identity, so that
it has the same effect once, however often.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pardna.ingestion.delivery_ports import (
    Announcements,
    DeliveryFilter,
    DeliveryPlace,
    DeliveryShelf,
    PendingDelivery,
)
from pardna.ingestion.model import RawKey
from pardna.ingestion.ports import Drain, Sources
from pardna.runtime.clock import Clock, iso
from pardna.runtime.errors import InvalidInput
from pardna.runtime.events import DELIVERY_REPLAY_REQUESTED, Envelope
from pardna.runtime.observability import count, logger
from pardna.runtime.paging import decode_cursor, encode_cursor
from pardna.transactions.ports import Delivery, DeliveryStatus

#: Bytes that are being normalised, or could not be: they are no delivery yet.
PENDING = "pending"
STATUSES = (*(s.value for s in DeliveryStatus), PENDING)
PAGE_MAX = 200
REPLAY_MAX = 1_000


@dataclass(frozen=True, slots=True)
class ListDeliveries:
    """Pages of deliveries, newest first."""

    shelf: DeliveryShelf

    def page(
        self, tenant_id: str, source_id: str, status: str, cursor: str, limit: int
    ) -> dict[str, Any]:
        """``{"deliveries": [...], "next": cursor or None}``.

        Raises InvalidInput ``deliveries.status``, ``deliveries.limit``, ``request.cursor``,
        Unavailable.
        """
        if status and status not in STATUSES:
            raise InvalidInput("deliveries.status", f"one of {', '.join(STATUSES)}")
        if not (source_id.isprintable() and len(source_id) <= 200):
            raise InvalidInput("deliveries.source", "not the name of a source")
        if not 1 <= limit <= PAGE_MAX:
            raise InvalidInput("deliveries.limit", f"1 to {PAGE_MAX}")
        place = _place(cursor)
        found: Sequence[Delivery | PendingDelivery]
        if status == PENDING:
            found = self.shelf.pending(tenant_id, source_id, place, limit + 1)
        else:
            wanted = DeliveryFilter(source_id, status)
            found = self.shelf.page(tenant_id, wanted, place, limit + 1)
        last = found[limit - 1] if len(found) > limit else None
        return {
            "deliveries": [_shown(d) for d in found[:limit]],
            "next": None if last is None else _cursor(last),
        }


@dataclass(frozen=True, slots=True)
class ReplayDeliveries:
    """Has bytes normalised again: after a profile was corrected, a reader mended, a doubt raised."""

    sources: Sources
    shelf: DeliveryShelf
    outbox: Announcements
    relay: Drain
    clock: Clock
    new_id: Callable[[], str]

    def one(self, tenant_id: str, source_id: str, raw_sha256: str, cause: str) -> dict[str, Any]:
        """Replay one delivery of a source. Raises NotFound ``delivery.not_found``, Unavailable."""
        self.sources.get(tenant_id, source_id)
        self.shelf.get(tenant_id, source_id, raw_sha256)
        return self._request(tenant_id, [raw_sha256], cause, None)

    def window(
        self,
        tenant_id: str,
        source_id: str,
        start: datetime,
        end: datetime,
        cursor: str,
        cause: str,
    ) -> dict[str, Any]:
        """Replay what a source delivered in ``[start, end)``, up to `REPLAY_MAX` a call.

        ``{"replay_id", "requested_count", "next"}``; with `next` the request is to be repeated.
        """
        self.sources.get(tenant_id, source_id)
        if start.tzinfo is None or end.tzinfo is None or start >= end:
            raise InvalidInput("replay.window", "two times with their zones, the earlier first")
        wanted = DeliveryFilter(source_id, "", start, end)
        found = self.shelf.page(tenant_id, wanted, _place(cursor), REPLAY_MAX)
        following = _cursor(found[-1]) if len(found) == REPLAY_MAX else None
        hashes = sorted({d.raw_sha256 for d in found if d.status is not DeliveryStatus.DUPLICATE})
        return self._request(tenant_id, hashes, cause, following)

    def _request(
        self, tenant_id: str, hashes: Sequence[str], cause: str, following: str | None
    ) -> dict[str, Any]:
        replay_id, now = self.new_id(), iso(self.clock())
        envelopes = [
            Envelope(
                DELIVERY_REPLAY_REQUESTED,
                tenant_id,
                f"{replay_id}:{raw_sha256}",
                raw_sha256,
                now,
                cause,
                {"key": str(RawKey(tenant_id, raw_sha256)), "replay_id": replay_id},
            )
            for raw_sha256 in hashes
        ]
        self.outbox.announce(tenant_id, envelopes)  # boundary 1
        self.relay.drain(tenant_id, len(envelopes))  # boundary 2
        count("DeliveriesReplayed", len(envelopes))
        logger.info("Replay requested", tenant_id=tenant_id, deliveries_count=len(envelopes))
        return {"replay_id": replay_id, "requested_count": len(envelopes), "next": following}


def _shown(d: Delivery | PendingDelivery) -> dict[str, Any]:
    shown = {
        "source_id": d.source_id,
        "channel": d.channel,
        "name": d.name,
        "raw_sha256": d.raw_sha256,
        "received_at": iso(d.received_at),
    }
    if isinstance(d, PendingDelivery):
        return shown | {"status": PENDING}
    return shown | {
        "event_id": d.event_id,
        "status": d.status.value,
        "format": d.format,
        "entries_count": d.entries_count,
        "problems": [dict(p) for p in d.problems],
    }


def _cursor(last: Delivery | PendingDelivery) -> str:
    # To the microsecond: two deliveries of one millisecond must not hide each other.
    return encode_cursor(last.received_at.isoformat(), last.source_id, last.raw_sha256, last.name)


def _place(cursor: str) -> DeliveryPlace | None:
    parts = decode_cursor(cursor, str, str, str, str)
    if parts is None:
        return None
    received_at, source_id, raw_sha256, name = map(str, parts)
    try:
        (source_id + raw_sha256 + name).encode()  # half a surrogate pair is a ValueError
        place = DeliveryPlace(datetime.fromisoformat(received_at), source_id, raw_sha256, name)
        if place.received_at.tzinfo is None:
            raise ValueError("not a place of ours")
    except ValueError:
        raise _not_ours() from None
    return place


def _not_ours() -> InvalidInput:
    return InvalidInput("request.cursor", "not a cursor of this list; ask again without it")
