"""State machines in-process: moto plays the definitions, the real handlers are their functions."""

from __future__ import annotations

import importlib
import json
import re
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.awslambda_simple.models import LambdaSimpleBackend

from tests.support.handlers import Context

ROOT = Path(__file__).resolve().parents[2]
ARN = "arn:aws:lambda:us-east-1:123456789012:function:"
ROLE = "arn:aws:iam::123456789012:role/machine"
Handler = Callable[[dict[str, Any], Any], Any]
SYNC = "arn:aws:states:::states:startExecution.sync:2"


class Machines:
    """Machines by name, and how often each function was called. `handlers` may be replaced."""

    def __init__(self) -> None:
        self.client = boto3.client("stepfunctions")
        self.calls: Counter[str] = Counter()
        self.handlers: dict[str, Handler] = {}
        self.arns: dict[str, str] = {}

    def create(self, name: str) -> str:
        """A machine from its definition; every function is the handler of its name."""
        text = (ROOT / "statemachines" / f"{name}.asl.json").read_text()
        for placeholder in set(re.findall(r"\$\{(\w+)\}", text)):
            text = text.replace(f"${{{placeholder}}}", self._stand_in(placeholder))
        document = json.loads(text)
        for state in document["States"].values():
            _hurry(state)
        answer = self.client.create_state_machine(
            name=name, definition=json.dumps(document), roleArn=ROLE
        )
        self.arns[name] = answer["stateMachineArn"]
        return self.arns[name]

    def _stand_in(self, placeholder: str) -> str:
        if placeholder == "ApprovalMachineArn":
            return self.arns.get("approval", "none")
        return ARN + placeholder.removesuffix("Arn")

    def invoke(self, function_name: str, payload: dict[str, Any]) -> Any:
        """What Lambda does with a function."""
        name = function_name.rpartition(":")[2].removesuffix("Function")
        self.calls[name] += 1
        if name == "NestedMachine":
            return self._nested(payload)
        handler = self.handlers.get(name) or _handler(name)
        return handler(payload, Context())

    def _nested(self, payload: dict[str, Any]) -> dict[str, Any]:
        """What ``startExecution.sync:2`` does: start, wait, and hand over the output."""
        arn = self.client.start_execution(
            stateMachineArn=payload["StateMachineArn"],
            name=str(uuid.uuid4()),
            input=json.dumps(payload["Input"]),
        )["executionArn"]
        found = self.wait(arn)
        if found["status"] != "SUCCEEDED":
            raise RuntimeError(f"nested execution {found['status']}")
        return {"Output": json.loads(found["output"])}

    def wait(self, execution_arn: str, seconds: float = 60) -> dict[str, Any]:
        """The execution, once it has ended."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            found: dict[str, Any] = self.client.describe_execution(executionArn=execution_arn)
            if found["status"] != "RUNNING":
                return found
            time.sleep(0.05)
        raise AssertionError(f"still running: {self.entered(execution_arn)}")

    def entered(self, execution_arn: str) -> list[str]:
        """The states that were entered, in order."""
        events = self.client.get_execution_history(executionArn=execution_arn, maxResults=1000)
        return [
            e["stateEnteredEventDetails"]["name"]
            for e in events["events"]
            if "stateEnteredEventDetails" in e
        ]


def _handler(name: str) -> Handler:
    """The real handler of ``OpenRound``."""
    verb_noun = re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
    (path,) = (ROOT / "functions").glob(f"*/{verb_noun}.py")
    module = importlib.import_module(f"functions.{path.parent.name}.{verb_noun}")
    handler: Handler = module.handler
    return handler


def _hurry(state: dict[str, Any]) -> None:
    """Shorter pauses, so that tests are quick; and nested machines, which moto cannot play."""
    for retry in state.get("Retry", ()):
        if retry.get("MaxAttempts") != 0:
            retry.update(IntervalSeconds=1, BackoffRate=1.0)
    if state.get("Resource") == SYNC:
        state["Resource"] = ARN + "NestedMachineFunction"


@contextmanager
def playing(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machines]:
    """Machines whose functions are the real handlers; inside `mock_aws`."""
    machines = Machines()

    def invoke(
        _backend: Any,
        function_name: str,
        qualifier: str | None,
        body: Any,
        headers: Any,
        response_headers: Any,
    ) -> str:
        try:
            return json.dumps(machines.invoke(function_name, json.loads(body or "{}")))
        except Exception as error:  # noqa: BLE001  (Lambda reports whatever a function raises)
            print("FUNCTION RAISED", function_name, repr(error))
            response_headers["x-amz-function-error"] = "Unhandled"
            return json.dumps({"errorType": type(error).__name__, "errorMessage": str(error)})

    monkeypatch.setattr(LambdaSimpleBackend, "invoke", invoke)
    yield machines
