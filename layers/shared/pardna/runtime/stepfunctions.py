"""Executions of one state machine in Step Functions: started once by their name, found by it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from pardna.runtime.errors import Unavailable

#: Answers that mean: there is no execution of this name, or it cannot be one's name.
_NONE = {"ExecutionDoesNotExist", "ValidationException"}


class Executions:
    """A state machine's executions; `code` is the error's when the machine does not answer."""

    def __init__(self, client: Any, machine_arn: str, code: str) -> None:
        self._client = client
        self._arn = machine_arn
        self._code = code

    def start(self, name: str, text: str) -> bool:
        """Start one with `text`, a JSON document; False when another text was started by this name.

        Raises Unavailable: the caller repeats, and the name makes it one execution.
        """
        try:
            self._client.start_execution(stateMachineArn=self._arn, name=name, input=text)
        except ClientError as error:
            if _is(error, {"ExecutionAlreadyExists"}):
                return False
            raise self._silent() from error
        except BotoCoreError as error:
            raise self._silent() from error
        return True

    def find(self, name: str) -> Mapping[str, Any] | None:
        """What DescribeExecution tells, or None when there is none. Raises Unavailable."""
        try:
            found: Mapping[str, Any] = self._client.describe_execution(executionArn=self._of(name))
        except ClientError as error:
            if _is(error, _NONE):
                return None
            raise self._silent() from error
        except BotoCoreError as error:
            raise self._silent() from error
        return found

    def stop(self, name: str) -> None:
        """End one where it is; nothing when there is none, or it has ended. Raises Unavailable."""
        try:
            self._client.stop_execution(executionArn=self._of(name))
        except ClientError as error:
            if not _is(error, _NONE):
                raise self._silent() from error
        except BotoCoreError as error:
            raise self._silent() from error

    def _of(self, name: str) -> str:
        return self._arn.replace(":stateMachine:", ":execution:") + f":{name}"

    def _silent(self) -> Unavailable:
        return Unavailable(self._code, "the machine did not answer; repeat")


def _is(error: ClientError, codes: set[str]) -> bool:
    return error.response["Error"]["Code"] in codes
