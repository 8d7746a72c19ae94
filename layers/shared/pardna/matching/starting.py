"""Starting runs, and finding one by the name under which it was started."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from pardna.matching.ports import RunBook
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


class StoppableMachine(Machine, Protocol):
    """A machine whose executions can be ended."""

    def stop(self, name: str) -> None:
        """End an execution where it is; nothing when there is none, or it has ended."""
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

    def __init__(self, machine: Machine, runs: RunBook) -> None:
        self._machine = machine
        self._runs = runs

    def show(self, tenant_id: str, name: str) -> dict[str, Any]:
        """The run; while it has not been planned yet, only how its execution stands.

        Raises NotFound, also for another tenant's run.
        """
        identifier = find_run(self._machine, self._runs, tenant_id, name)
        execution = None if name.startswith("r_") else self._machine.look(name)
        if identifier is None:
            return {"run_id": name, "status": execution.status if execution else "unknown"}
        shown = RunReader(self._runs).show(tenant_id, identifier)
        return shown | ({"execution_status": execution.status} if execution else {})


def find_run(machine: Machine, runs: RunBook, tenant_id: str, name: str) -> str | None:
    """A run's id, by that or by the name of the execution that planned it; None: not planned yet.

    Raises NotFound when the tenant has neither.
    """
    if name.startswith("r_"):
        return name
    mine = re.fullmatch(re.escape(tenant_id) + "-[0-9a-f]{32}", name)
    if mine and (known := runs.named(tenant_id, name)):
        return known
    execution = machine.look(name) if mine else None
    if execution is None:
        raise NotFound("reconciliation.no_run", "there is no such run")
    return execution.run_id or None
