"""The machines of runs and of trials of rules in Step Functions."""

from __future__ import annotations

import json
from typing import Any

from pardna.matching.starting import Execution
from pardna.runtime.stepfunctions import Executions


class RunsOnStepFunctions:
    """`starting.StoppableMachine`, for reconciliations and for trials of rules."""

    def __init__(self, client: Any, machine_arn: str) -> None:
        self._executions = Executions(client, machine_arn, "matching.not_started")

    def start(self, name: str, text: str) -> bool:
        """See `Machine`."""
        return self._executions.start(name, text)

    def look(self, name: str) -> Execution | None:
        """See `Machine`. The run's id is known once the machine has ended."""
        answer = self._executions.find(name) if name else None
        if answer is None:
            return None
        output = json.loads(answer.get("output") or "{}")
        run_id = (output.get("plan") or {}).get("run_id", "") if isinstance(output, dict) else ""
        return Execution(str(answer["status"]).lower(), run_id)

    def stop(self, name: str) -> None:
        """See `StoppableMachine`."""
        self._executions.stop(name)
