"""Starting runs, and finding one by the name under which it was started."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from pardna.matching.runs import WINDOW_DAYS, window
from pardna.matching.summary import RunReader
from pardna.runtime.clock import Clock, Ids
from pardna.runtime.errors import NotFound


@dataclass(frozen=True, slots=True)
class Execution:
    """How an execution of the machine stands: ``running``, ``succeeded`` or another ending."""

    status: str
    run_id: str = ""


class Machine(Protocol):
    """The machine that carries a run out."""

    def start(self, name: str, text: str) -> bool:
        """Start an execution; False when one of this name was started before."""
        ...

    def look(self, name: str) -> Execution | None:
        """How the execution stands, or None when there is none of this name."""
        ...


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What to reconcile: up to which day (``YYYY-MM-DD``, empty: today), how many days back."""

    tenant_id: str
    reference_date: str = ""
    window_days: int = WINDOW_DAYS
    correlation_id: str = ""
    idempotency_key: str = ""


class StartRuns:
    """The use case behind the API's and the schedule's start."""

    def __init__(self, machine: Machine, clock: Clock, ids: Ids) -> None:
        self._machine = machine
        self._clock = clock
        self._ids = ids

    def start(self, request: RunRequest) -> dict[str, str]:
        """Start a run; the same idempotency key again starts nothing.

        Raises InvalidInput for a date or a window that is none.
        """
        on = request.reference_date or self._clock().date().isoformat()
        window(on, request.window_days)
        salt = request.idempotency_key or self._ids()
        digest = hashlib.sha256(f"{request.tenant_id}\x1f{salt}".encode()).hexdigest()[:32]
        name = f"{request.tenant_id}-{digest}"
        text = json.dumps(
            {
                "tenant_id": request.tenant_id,
                "reference_date": on,
                "window_days": request.window_days,
                "correlation_id": request.correlation_id,
            },
            sort_keys=True,
        )
        new = self._machine.start(name, text)
        status = "started" if new else "already_started"
        return {"run_id": name, "reference_date": on, "status": status}

    def start_all(self, tenant_ids: Iterable[str], correlation_id: str) -> int:
        """Start a run of every tenant for today, once a day; returns how many are new."""
        today = self._clock().date().isoformat()
        return sum(
            self.start(
                RunRequest(
                    t, today, correlation_id=correlation_id, idempotency_key=f"daily:{today}"
                )
            )["status"]
            == "started"
            for t in tenant_ids
        )


class ShowRuns:
    """Finds a run by its own id, or by the name that `StartRuns` gave out."""

    def __init__(self, machine: Machine, reader: RunReader) -> None:
        self._machine = machine
        self._reader = reader

    def show(self, tenant_id: str, name: str) -> dict[str, Any]:
        """The run; while it has not been planned yet, only how its execution stands.

        Raises NotFound, also for another tenant's run.
        """
        if name.startswith("r_"):
            return self._reader.show(tenant_id, name)
        execution = None
        if re.fullmatch(re.escape(tenant_id) + "-[0-9a-f]{32}", name):
            execution = self._machine.look(name)
        if execution is None:
            raise NotFound("reconciliation.no_run", "there is no such run")
        if not execution.run_id:
            return {"run_id": name, "status": execution.status}
        return {**self._reader.show(tenant_id, execution.run_id), "execution": execution.status}
