"""The machine in Step Functions behind what a second person decides in matching."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

from pardna.matching.decisions import subject_of
from pardna.matching.desk import Decision
from pardna.runtime.clock import Clock
from pardna.runtime.stepfunctions import Executions

#: How long after its end a machine that gave up is followed by another, and by how many at most.
PAUSE = timedelta(hours=1)
FOLLOWING_MAX = 24
#: Endings after which a decision that still waits has nobody who would carry it out.
_GAVE_UP = frozenset({"FAILED", "TIMED_OUT", "ABORTED"})


class DecisionsOnStepFunctions:
    """`decisions.LastingMachine`. An execution bears its decision's name, so that there is one; those
    that follow it are numbered, so that two sweeps at once start one."""

    def __init__(self, client: Any, machine_arn: str, clock: Clock) -> None:
        self._executions = Executions(client, machine_arn, "matching.not_started")
        self._clock = clock

    def start(self, decision: Decision) -> None:
        """See `DecisionMachine`."""
        self._executions.start(decision.decision_id, _text(decision))

    def go_on(self, decision: Decision) -> bool:
        """See `LastingMachine`."""
        name = decision.decision_id
        for number in range(1, FOLLOWING_MAX + 2):
            found = self._executions.find(name)
            if found is None:
                return self._executions.start(name, _text(decision))
            ended: datetime | None = found.get("stopDate")
            if found["status"] not in _GAVE_UP or not ended or self._clock() - ended < PAUSE:
                return False
            name = f"{decision.decision_id}-{number:03d}"
        return False


def _text(decision: Decision) -> str:
    return json.dumps(
        {
            "tenant_id": decision.tenant_id,
            "decision_id": decision.decision_id,
            "kind": decision.verb,
            "subject": subject_of(decision),
            "amount_minor": decision.amount_minor,
            "currency": decision.currency,
            "requested_by": decision.requested_by,
        }
    )
