"""Stopping and resuming runs.

A stop is a wish on the run's header. Workers look at it between matches and planners between waves:
what was committed stays, nothing is half done. A run that was past its last shard finishes. Resuming
starts an execution that goes on with the shards that are not done; the run stays the same run.
Who stopped or resumed it is kept in the run's history (`acts`), written with the wish itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pardna.matching.acts import Act
from pardna.matching.ports import RunBook
from pardna.matching.starting import StoppableMachine, find_run
from pardna.runtime.clock import Clock, Ids, iso
from pardna.runtime.errors import Conflict, InvalidInput, NotFound

RUNNING, STOPPING, STOPPED, FINISHED = "running", "stopping", "stopped", "finished"


class ControlRuns:
    """The use case behind ``POST .../reconciliations/{run_id}/stop`` and ``/resume``."""

    def __init__(self, machine: StoppableMachine, runs: RunBook, clock: Clock, ids: Ids) -> None:
        self._machine = machine
        self._runs = runs
        self._clock = clock
        self._ids = ids

    def control(self, tenant_id: str, name: str, action: str, principal: str) -> dict[str, Any]:
        """Stop or resume a run by its id, or by the name under which it was started.

        Both are idempotent and answer how the run stands. Raises NotFound; InvalidInput for another
        action; Conflict when a run is to go on that has not come to its stop yet.
        """
        if action not in ("stop", "resume"):
            raise InvalidInput("reconciliation.action", "a run can be told to stop or resume")
        identifier = find_run(self._machine, self._runs, tenant_id, name)
        if identifier is None:
            return self._unplanned(tenant_id, name, action, principal)
        act = self._stop if action == "stop" else self._resume
        header = act(tenant_id, identifier, principal)
        return {"run_id": identifier, "status": header["status"], "attempt": header["attempt"]}

    def _unplanned(self, tenant_id: str, name: str, action: str, principal: str) -> dict[str, Any]:
        """An execution that has not named its run: nothing is matched yet, it can simply end."""
        execution = self._machine.look(name)
        if action == "stop" and execution is not None and execution.status == RUNNING:
            self._runs.tell(self._told(tenant_id, name, "stopped", principal))
            self._machine.stop(name)
            execution = self._machine.look(name)
        return {"run_id": name, "status": execution.status if execution else "unknown"}

    def _stop(self, tenant_id: str, identifier: str, principal: str) -> Mapping[str, Any]:
        def stopping(header: Mapping[str, Any]) -> Mapping[str, Any]:
            wish = {"status": STOPPING, "stopped_by": principal}
            return wish if header["status"] == RUNNING else {}

        told = self._told(tenant_id, identifier, "stopped", principal)
        header = self._runs.change(tenant_id, identifier, stopping, told)
        if header["status"] == STOPPING and not self._alive(header):
            # Nobody is left who could heed the wish.
            return self._runs.change(
                tenant_id, identifier,
                lambda h: {"status": STOPPED} if h["status"] == STOPPING else {},
            )  # fmt: skip
        return header

    def _resume(self, tenant_id: str, identifier: str, principal: str) -> Mapping[str, Any]:
        seen = self._runs.get(tenant_id, identifier)
        if seen is None:
            raise NotFound("reconciliation.no_run", "there is no such run")
        if seen["status"] == FINISHED:
            return seen
        if self._alive(seen):
            if seen["status"] == STOPPING:
                raise Conflict("reconciliation.stopping", "the run has not stopped yet; try again")
            return seen
        attempt = int(seen["attempt"]) + 1

        def going_on(header: Mapping[str, Any]) -> Mapping[str, Any]:
            """Unless somebody else has resumed it since it was looked at."""
            new = {"attempt": attempt, "execution": f"{identifier}-{attempt:03d}"}
            new |= {"status": RUNNING, "resumed_by": principal}
            return new if int(header["attempt"]) < attempt else {}

        told = self._told(tenant_id, identifier, "resumed", principal)
        header = self._runs.change(tenant_id, identifier, going_on, told)
        text = {"tenant_id": tenant_id, "run_id": identifier}
        text["correlation_id"] = str(header.get("correlation_id", ""))
        self._machine.start(str(header["execution"]), json.dumps(text, sort_keys=True))
        return header

    def _told(self, tenant_id: str, name: str, verb: str, principal: str) -> Act:
        at = iso(self._clock())
        return Act(tenant_id, f"run:{name}", verb, principal, at, act_id=self._ids())

    def _alive(self, header: Mapping[str, Any]) -> bool:
        execution = self._machine.look(str(header.get("execution", "")))
        return execution is not None and execution.status == RUNNING
