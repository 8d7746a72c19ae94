"""The reconciliation machine in Step Functions."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from pardna.matching.starting import Execution


class ReconciliationMachine:
    """`starting.Machine`."""

    def __init__(self, client: Any, machine_arn: str) -> None:
        self._client = client
        self._arn = machine_arn

    def start(self, name: str, text: str) -> bool:
        """See `Machine`."""
        try:
            self._client.start_execution(stateMachineArn=self._arn, name=name, input=text)
        except self._client.exceptions.ExecutionAlreadyExists:
            return False
        return True

    def look(self, name: str) -> Execution | None:
        """See `Machine`."""
        if not name:
            return None
        arn = self._execution(name)
        try:
            answer = self._client.describe_execution(executionArn=arn)
        except self._client.exceptions.ExecutionDoesNotExist:
            return None
        output = json.loads(answer.get("output") or "{}")
        run_id = (output.get("plan") or {}).get("run_id", "") if isinstance(output, dict) else ""
        return Execution(str(answer["status"]).lower(), run_id)

    def stop(self, name: str) -> None:
        """See `Machine`."""
        gone = (
            self._client.exceptions.ExecutionDoesNotExist,
            self._client.exceptions.ValidationException,
        )
        with contextlib.suppress(*gone):
            self._client.stop_execution(executionArn=self._execution(name))

    def _execution(self, name: str) -> str:
        return self._arn.replace(":stateMachine:", ":execution:") + f":{name}"
