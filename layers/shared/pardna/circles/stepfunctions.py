"""The payout round's state machine: one execution per round, found by its name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pardna.runtime.errors import Unavailable
from pardna.runtime.stepfunctions import Executions

_CODE = "round.not_started"


class StepFunctionsPayouts:
    """`PayoutMachine`. The name makes it once: a second start is told that it exists."""

    def __init__(self, client: Any, machine_arn: str) -> None:
        self._executions = Executions(client, machine_arn, _CODE)

    def start(self, name: str, document: Mapping[str, str | int]) -> Mapping[str, str | int]:
        """See `PayoutMachine`."""
        if self._executions.start(name, json.dumps(dict(document))):
            return document
        found = self._executions.find(name)
        if found is None:
            raise Unavailable(_CODE, "the machine knows the round's name but not its execution")
        started: Mapping[str, str | int] = json.loads(found["input"])
        return started
