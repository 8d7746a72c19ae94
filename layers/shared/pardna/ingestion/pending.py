"""What was begun and came to nothing yet: what writing that down needs of the world."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from pardna.ingestion.model import RawKey, Receipt


class PendingBook(Protocol):
    """Raw objects that are being read, or failed to be. All raise Unavailable."""

    def begin(self, key: RawKey, receipt: Receipt) -> None:
        """Write down that somebody begins with these bytes, unless a delivery names them.

        Recording the delivery takes it away again.
        """
        ...

    def waiting(self, tenant_id: str, before: datetime, limit: int) -> list[RawKey]:
        """What was begun last before an instant and has no delivery, the longest ago first.

        A large file whose parts wait to be recorded is not among them.
        """
        ...

    def place(self, tenant_id: str) -> str:
        """How far the sweep has looked through a tenant's raw objects; empty at the beginning."""
        ...

    def set_place(self, tenant_id: str, place: str) -> None:
        """Write that down."""
        ...
