"""What looking at deliveries, and replaying them, needs of the world. All raise Unavailable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pardna.ingestion.model import RawKey, Receipt
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

    def undelivered(self, tenant_id: str, hashes: Sequence[str]) -> set[str]:
        """Those of `hashes` that no delivery names."""
        ...


class RawPages(Protocol):
    """Raw objects of a tenant, page by page."""

    def page(self, tenant_id: str, after: str, limit: int) -> tuple[list[RawKey], bool]:
        """Up to `limit` keys after one (as text), and whether there are more.

        Raises InvalidInput for a key that is not of this tenant.
        """
        ...

    def receipt(self, key: RawKey) -> Receipt | None:
        """How a raw object came, without its bytes; None for one that is closed to people."""
        ...


class Announcements(Protocol):
    """Facts on their way out of the database."""

    def announce(self, tenant_id: str, envelopes: Sequence[Envelope]) -> None:
        """Announce, once each, in one database transaction."""
        ...
