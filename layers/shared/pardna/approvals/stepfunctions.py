"""Task tokens of Step Functions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from pardna.runtime.errors import Unavailable

#: Answers that mean: the token was used, or its task has ended.
_NOBODY = {"TaskTimedOut", "TaskDoesNotExist", "InvalidToken"}


class StepFunctionsTasks:
    """`Tasks` by SendTaskSuccess."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def succeed(self, token: str, output: Mapping[str, Any]) -> bool:
        """See `Tasks`."""
        try:
            self._client.send_task_success(
                taskToken=token, output=json.dumps(dict(output), sort_keys=True)
            )
        except ClientError as error:
            if error.response["Error"]["Code"] in _NOBODY:
                return False
            raise Unavailable("task.unavailable", "the state machine did not answer") from error
        except BotoCoreError as error:
            raise Unavailable("task.unavailable", "the state machine did not answer") from error
        return True
