"""The machines behind what people ask of matching: a second person's decision, a trial of rules."""

from __future__ import annotations

import json
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from pardna.matching.decisions import subject_of
from pardna.matching.desk import Decision
from pardna.matching.starting import Execution
from pardna.runtime.errors import Unavailable


class DecisionsOnStepFunctions:
    """`decisions.DecisionMachine`. An execution bears its decision's name, so that there is one."""

    def __init__(self, client: Any, machine_arn: str) -> None:
        self._executions = _Executions(client, machine_arn)

    def start(self, decision: Decision) -> None:
        """See `DecisionMachine`."""
        document = {
            "tenant_id": decision.tenant_id,
            "decision_id": decision.decision_id,
            "kind": decision.verb,
            "subject": subject_of(decision),
            "amount_minor": decision.amount_minor,
            "currency": decision.currency,
            "requested_by": decision.requested_by,
        }
        self._executions.start(decision.decision_id, json.dumps(document))


class TrialsOnStepFunctions:
    """`starting.Machine` for trials."""

    def __init__(self, client: Any, machine_arn: str) -> None:
        self._executions = _Executions(client, machine_arn)

    def start(self, name: str, text: str) -> bool:
        """See `Machine`."""
        return self._executions.start(name, text)

    def look(self, name: str) -> Execution | None:
        """See `Machine`."""
        return self._executions.look(name)


class _Executions:
    def __init__(self, client: Any, machine_arn: str) -> None:
        self._client = client
        self._arn = machine_arn

    def start(self, name: str, text: str) -> bool:
        try:
            self._client.start_execution(stateMachineArn=self._arn, name=name, input=text)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ExecutionAlreadyExists":
                raise Unavailable("matching.not_started", "the machine did not answer; repeat") from error  # fmt: skip
            return False
        except BotoCoreError as error:
            raise Unavailable("matching.not_started", "the machine did not answer; repeat") from error  # fmt: skip
        return True

    def look(self, name: str) -> Execution | None:
        arn = self._arn.replace(":stateMachine:", ":execution:") + f":{name}"
        try:
            answer = self._client.describe_execution(executionArn=arn)
        except self._client.exceptions.ExecutionDoesNotExist:
            return None
        return Execution(str(answer["status"]).lower())
