"""Executions of a machine: one per name, told apart from a machine that does not answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from moto import mock_aws

from pardna.circles.stepfunctions import StepFunctionsPayouts
from pardna.matching.stepfunctions import RunsOnStepFunctions
from pardna.runtime.errors import Unavailable
from pardna.runtime.stepfunctions import Executions

DEFINITION = {"StartAt": "Plan", "States": {"Plan": {"Type": "Pass", "End": True}}}
ROLE = "arn:aws:iam::123456789012:role/machine"


@pytest.fixture
def client() -> Iterator[Any]:
    with mock_aws():
        yield boto3.client("stepfunctions", region_name="us-east-1")


@pytest.fixture
def arn(client: Any) -> str:
    made = client.create_state_machine(name="runs", definition=json.dumps(DEFINITION), roleArn=ROLE)
    return str(made["stateMachineArn"])


def test_a_name_is_one_execution_and_the_first_document_is_kept(client: Any, arn: str) -> None:
    executions = Executions(client, arn, "x.not_started")
    assert executions.find("one") is None
    assert executions.start("one", '{"n":1}')
    assert not executions.start("one", '{"n":2}')
    found = executions.find("one")
    assert found is not None
    assert (found["input"], found["status"]) == ('{"n":1}', "RUNNING")
    executions.stop("one")
    executions.stop("none of this name")
    stopped = executions.find("one")
    assert stopped is not None
    assert stopped["status"] == "ABORTED"


def test_a_run_is_looked_up_by_its_name(client: Any, arn: str) -> None:
    runs = RunsOnStepFunctions(client, arn)
    assert runs.look("") is None
    assert runs.look("acme-1") is None
    runs.start("acme-1", "{}")
    found = runs.look("acme-1")
    assert found is not None
    assert (found.status, found.run_id) == ("running", "")


def test_a_round_that_was_started_says_with_what(client: Any, arn: str) -> None:
    rounds = StepFunctionsPayouts(client, arn)
    first = {"circle_id": "c", "round_number": 1, "requested_by": "ann"}
    assert rounds.start("c-1", first) == first
    assert rounds.start("c-1", first | {"requested_by": "bob"}) == first


class Silent:
    """A client of a service that throttles, or of a network that leads nowhere."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def start_execution(self, **_: Any) -> None:
        raise self._error

    describe_execution = stop_execution = start_execution


@pytest.mark.parametrize(
    "error",
    [
        ClientError({"Error": {"Code": "ThrottlingException"}}, "StartExecution"),
        EndpointConnectionError(endpoint_url="https://states"),
    ],
)
@pytest.mark.parametrize("call", ["start", "find", "stop"])
def test_a_machine_that_does_not_answer_is_no_answer(call: str, error: Exception) -> None:
    executions = Executions(Silent(error), "arn:stateMachine:runs", "x.not_started")
    arguments = ("one", "{}") if call == "start" else ("one",)
    with pytest.raises(Unavailable, match=r"x\.not_started"):
        getattr(executions, call)(*arguments)
