"""Outbox ports in memory that can fail on demand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from pardna.runtime.clock import Clock
from pardna.runtime.errors import Unavailable
from pardna.runtime.events import Envelope


class MemoryDepartures:
    """`Departures`; held to the same contract tests as DynamoDB's."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.items: dict[str, tuple[datetime, Envelope]] = {}
        self.published: set[str] = set()
        self.fail_next = 0

    def depart(self, envelopes: Sequence[Envelope]) -> int:
        self._maybe_fail()
        new = [e for e in envelopes if e.event_id not in self.items]
        self.items |= {e.event_id: (self._clock(), e) for e in new}
        return len(new)

    def mark_published(self, envelopes: Sequence[Envelope]) -> None:
        self._maybe_fail()
        self.published |= {e.event_id for e in envelopes}

    def waiting(self, before: datetime, limit: int) -> list[Envelope]:
        return [e for i, (at, e) in self.items.items() if i not in self.published and at < before][
            :limit
        ]

    def _maybe_fail(self) -> None:
        if self.fail_next:
            self.fail_next -= 1
            raise Unavailable("aws.unavailable", "told to fail")


class MemoryUnsentEvents:
    """`UnsentEvents`."""

    def __init__(self, events: Mapping[str, Sequence[Envelope]]) -> None:
        self.events = {tenant: list(said) for tenant, said in events.items()}
        self.fail_marks = 0

    def unsent(self, tenant_id: str, limit: int) -> list[Envelope]:
        return self.events.get(tenant_id, [])[:limit]

    def mark_sent(self, tenant_id: str, event_ids: Sequence[str]) -> None:
        if self.fail_marks:
            self.fail_marks -= 1
            raise Unavailable("database.unavailable", "told to fail")
        kept = [e for e in self.events[tenant_id] if e.event_id not in set(event_ids)]
        self.events[tenant_id] = kept

    def forget(self, tenant_id: str, before: datetime, limit: int) -> int:
        return 0


class FixedTenants:
    """`Tenants`."""

    def __init__(self, *tenants: str) -> None:
        self._tenants = tenants

    def tenant_ids(self) -> Iterable[str]:
        return self._tenants


class CollectingPort:
    """`Port` that remembers what it took; refuses the ids in `refuse`, fails when `down`."""

    def __init__(self) -> None:
        self.taken: list[Envelope] = []
        self.refuse: set[str] = set()
        self.down = False

    def send(self, envelopes: Sequence[Envelope]) -> list[Envelope]:
        if self.down:
            raise Unavailable("aws.unavailable", "told to fail")
        self.taken += [e for e in envelopes if e.event_id not in self.refuse]
        return [e for e in envelopes if e.event_id in self.refuse]


class CollectingWaits:
    """`Waits` that remembers who was signalled."""

    def __init__(self) -> None:
        self.signals: list[tuple[str, str, dict[str, Any]]] = []

    def signal(self, tenant_id: str, subject: str, outcome: Mapping[str, Any]) -> None:
        self.signals.append((tenant_id, subject, dict(outcome)))
