"""The payout round's state machine: one execution per round, found by its name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from pardna.runtime.errors import Unavailable


class StepFunctionsPayouts:
    """`PayoutMachine`. The name makes it once: a second start is told that it exists."""

    def __init__(self, client: Any, machine_arn: str) -> None:
        self._client = client
        self._arn = machine_arn

    def start(self, name: str, document: Mapping[str, str | int]) -> Mapping[str, str | int]:
        """See `PayoutMachine`."""
        try:
            self._client.start_execution(
                stateMachineArn=self._arn, name=name, input=json.dumps(dict(document))
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ExecutionAlreadyExists":
                raise Unavailable("round.not_started", "the machine did not answer") from error
            return self._found(name)
        except BotoCoreError as error:
            raise Unavailable("round.not_started", "the machine did not answer") from error
        return document

    def _found(self, name: str) -> Mapping[str, str | int]:
        arn = self._arn.replace(":stateMachine:", ":execution:") + f":{name}"
        try:
            answer = self._client.describe_execution(executionArn=arn)
        except (ClientError, BotoCoreError) as error:
            raise Unavailable("round.not_started", "the machine did not answer") from error
        document: Mapping[str, str | int] = json.loads(answer["input"])
        return document
