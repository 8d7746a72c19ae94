"""The machine in Step Functions behind what a second person decides in matching."""

from __future__ import annotations

import json
from typing import Any

from pardna.matching.decisions import subject_of
from pardna.matching.desk import Decision
from pardna.runtime.stepfunctions import Executions


class DecisionsOnStepFunctions:
    """`decisions.DecisionMachine`. An execution bears its decision's name, so that there is one."""

    def __init__(self, client: Any, machine_arn: str) -> None:
        self._executions = Executions(client, machine_arn, "matching.not_started")

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
