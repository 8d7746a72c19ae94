"""Use cases of the outbox: drain one tenant, relay all, publish what departed, sweep what was lost.

Numbered write boundaries, each of which may be the last thing that a process does:
1. departures are put (drain)      4. the event is sent to its port (publish)
2. they are marked sent (drain)    5. the departure is marked published (publish)
3. what left long ago is deleted (relay)
A repetition after 1 finds the departure there; after 4 it sends again, which consumers expect.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from pardna.outbox.ports import Departures, Port, Tenants, UnsentEvents
from pardna.runtime.clock import Clock, utc_now
from pardna.runtime.errors import PardnaError
from pardna.runtime.events import Envelope
from pardna.runtime.observability import count, logger

DRAIN_BATCH = 200
SWEEP_BATCH = 1_000
#: How long an event that left stays in the database, to be looked at; and how many go at a time.
KEPT = timedelta(days=30)
FORGET_BATCH = 5_000
#: How long the stream has before the sweep takes over.
STREAM_GRACE = timedelta(seconds=30)


class NoTenants:
    """`Tenants` of a function that acts for one tenant at a time."""

    def tenant_ids(self) -> tuple[str, ...]:
        """See `Tenants`."""
        return ()


@dataclass(frozen=True, slots=True)
class Relay:
    """From the database to the departures table."""

    events: UnsentEvents
    departures: Departures
    tenants: Tenants
    clock: Clock = utc_now

    def drain(self, tenant_id: str, at_most: int | None = None) -> int:
        """Move what a tenant has unsent (`at_most` so many); returns how many events were moved.

        Raises Unavailable when a store does not answer; what was moved stays moved.
        """
        moved = 0
        while at_most is None or moved < at_most:
            batch = self.events.unsent(tenant_id, DRAIN_BATCH)
            self.departures.depart(batch)
            if batch:
                self.events.mark_sent(tenant_id, [e.event_id for e in batch])
            moved += len(batch)
            if len(batch) < DRAIN_BATCH:
                break
        if moved:
            count("OutboxDrained", moved)
        return moved

    def relay(self) -> int:
        """Drain every tenant, and forget what left long ago, a batch each time.

        One tenant's trouble does not stop the others; the last is raised.
        """
        moved, trouble = 0, None
        for tenant_id in self.tenants.tenant_ids():
            try:
                moved += self.drain(tenant_id)
                self._forget(tenant_id)
            except PardnaError as error:
                logger.info("Outbox not drained", tenant_id=tenant_id, error_code=error.code)
                count("OutboxDrainFailed")
                trouble = error
        if trouble is not None:
            raise trouble
        return moved

    def _forget(self, tenant_id: str) -> None:
        forgotten = self.events.forget(tenant_id, self.clock() - KEPT, FORGET_BATCH)
        if forgotten:
            count("OutboxForgotten", forgotten)


@dataclass(frozen=True, slots=True)
class Publisher:
    """From the departures table to wherever an event's type goes; `routes` is that table."""

    departures: Departures
    routes: Mapping[str, Port]
    clock: Clock

    def publish(self, envelopes: Sequence[Envelope]) -> int:
        """Send events by their type; returns how many were sent.

        What a port does not take stays unpublished, and the sweep sends it again: one full queue
        delays no other and no event is lost.
        """
        by_type: dict[str, list[Envelope]] = defaultdict(list)
        for envelope in envelopes:
            by_type[envelope.event_type].append(envelope)
        return sum(self._send(kind, batch) for kind, batch in by_type.items())

    def sweep(self) -> int:
        """Send again what departed a while ago and was never published."""
        before = self.clock() - STREAM_GRACE
        waiting = self.departures.waiting(before, SWEEP_BATCH)
        count("OutboxSwept", len(waiting))
        return self.publish(waiting)

    def _send(self, event_type: str, batch: Sequence[Envelope]) -> int:
        try:
            left = {e.event_id for e in self.routes[event_type].send(batch)}
        except PardnaError as error:
            logger.info(
                "Events not sent",
                event_type=event_type,
                error_code=error.code,
                events_count=len(batch),
            )
            left = {e.event_id for e in batch}
        if left:
            count("OutboxNotSent", len(left))
        sent = [e for e in batch if e.event_id not in left]
        try:
            self.departures.mark_published(sent)
        except PardnaError as error:
            # They went; the sweep sends them once more, which consumers expect.
            logger.info("Departures not marked", error_code=error.code)
        return len(sent)
