"""`Attempts` in memory."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from pardna.runtime.attempts import Attempt, Begun
from pardna.runtime.clock import Clock, utc_now
from pardna.runtime.errors import Conflict


class MemoryAttempts:
    """Passes the same contract as the table."""

    def __init__(self, clock: Clock = utc_now) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._items: dict[tuple[str, str], dict[str, Any]] = {}

    def begin(self, tenant_id: str, subject: str, lease_seconds: int) -> Attempt:
        with self._lock:
            item = self._items.get((tenant_id, subject), {"state": "", "tries": 0})
            if item["state"] == "done":
                return Attempt(Begun.DONE, outcome=item["outcome"])
            if item["state"] == "running" and item["until"] > self._clock():
                return Attempt(Begun.BUSY)
            tries = item["tries"] + 1
            self._items[(tenant_id, subject)] = {
                "state": "running",
                "tries": tries,
                "until": self._clock() + timedelta(seconds=lease_seconds),
            }
            first = item["state"] in ("", "released")
            return Attempt(Begun.FIRST if first else Begun.IN_DOUBT, str(tries))

    def finish(self, tenant_id: str, subject: str, token: str, outcome: Mapping[str, Any]) -> None:
        self._end(tenant_id, subject, token, {"state": "done", "outcome": dict(outcome)})

    def release(self, tenant_id: str, subject: str, token: str) -> None:
        self._end(tenant_id, subject, token, {"state": "released"})

    def leave_in_doubt(self, tenant_id: str, subject: str, token: str) -> None:
        self._end(tenant_id, subject, token, {"state": "running", "until": self._clock()})

    def _end(self, tenant_id: str, subject: str, token: str, new: dict[str, Any]) -> None:
        with self._lock:
            item = self._items[(tenant_id, subject)]
            if str(item["tries"]) != token or item["state"] == "done":
                raise Conflict("attempt.lease_lost", "somebody else has taken over this attempt")
            self._items[(tenant_id, subject)] = {"tries": item["tries"], **new}
