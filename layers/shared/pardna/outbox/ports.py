"""What the outbox needs of the world, one promise each.

The way of an event: `append` in the database transaction that made the fact true; `drain` puts it
on the departures table (DynamoDB); `publish` sends it from there by its type. Every step may be
repeated: an event may arrive twice and consumers are idempotent. Order is not kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from pardna.runtime.events import Envelope


class UnsentEvents(Protocol):
    """The database's side of the outbox."""

    def unsent(self, tenant_id: str, limit: int) -> list[Envelope]:
        """Up to `limit` events of a tenant that have not left the database, oldest first."""
        ...

    def mark_sent(self, tenant_id: str, event_ids: Sequence[str]) -> None:
        """Remember that these events have left; marking twice changes nothing."""
        ...

    def forget(self, tenant_id: str, before: datetime, limit: int) -> int:
        """Delete up to `limit` events that left before an instant, a day ago or longer; how many."""
        ...


class Departures(Protocol):
    """Events on their way out of the database's network."""

    def depart(self, envelopes: Sequence[Envelope]) -> int:
        """Put events that are not there yet; returns how many were new.

        For consumers in the database's network this is also the door for a poison record.
        Raises Unavailable when the table cannot take them; some may then be there already.
        """
        ...

    def mark_published(self, envelopes: Sequence[Envelope]) -> None:
        """The events have arrived where they go; they may be forgotten after a while.

        Raises Unavailable; some may be marked then, and marking twice changes nothing.
        """
        ...

    def waiting(self, before: datetime, limit: int) -> list[Envelope]:
        """Up to `limit` events that departed before an instant and were not published."""
        ...


class Tenants(Protocol):
    """Who there is; for sweeps only."""

    def tenant_ids(self) -> Iterable[str]:
        """Every tenant."""
        ...


class Port(Protocol):
    """Where events of a type go."""

    def send(self, envelopes: Sequence[Envelope]) -> list[Envelope]:
        """Send; returns those that were not accepted and must be sent again later."""
        ...


class Waits(Protocol):
    """State machines that wait for the outside world."""

    def signal(self, tenant_id: str, subject: str, outcome: Mapping[str, Any]) -> None:
        """Tell whoever waits for `subject`; telling twice, or too early, is harmless."""
        ...
