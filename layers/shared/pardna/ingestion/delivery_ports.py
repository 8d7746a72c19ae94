"""What looking at deliveries, and replaying them, needs of the world. All raise Unavailable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pardna.runtime.events import Envelope
from pardna.transactions.ports import Delivery


@dataclass(frozen=True, slots=True)
class DeliveryFilter:
    """Which deliveries: of one source, of one status, received in ``[start, end)``; empty is any."""

    source_id: str = ""
    status: str = ""
    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True, slots=True)
class DeliveryPlace:
    """Where a list of deliveries goes on: after this one."""

    received_at: datetime
    source_id: str
    raw_sha256: str
    name: str


@dataclass(frozen=True, slots=True)
class PendingDelivery:
    """Bytes that were begun with and are no delivery yet."""

    source_id: str
    channel: str
    name: str
    raw_sha256: str
    received_at: datetime


class DeliveryShelf(Protocol):
    """Deliveries that were normalised, whatever came of them."""

    def page(
        self, tenant_id: str, wanted: DeliveryFilter, after: DeliveryPlace | None, limit: int
    ) -> list[Delivery]:
        """Up to `limit`, newest first."""
        ...

    def get(self, tenant_id: str, source_id: str, raw_sha256: str) -> Delivery:
        """The first receipt of these bytes from a source. Raises NotFound."""
        ...

    def pending(
        self, tenant_id: str, source_id: str, after: DeliveryPlace | None, limit: int
    ) -> list[PendingDelivery]:
        """What was begun and has no delivery yet, of one source or (empty) any; newest first."""
        ...


class Announcements(Protocol):
    """Facts on their way out of the database."""

    def announce(self, tenant_id: str, envelopes: Sequence[Envelope]) -> None:
        """Announce, once each, in one database transaction."""
        ...
