"""When a decision's machine that ended is followed by another, against a Step Functions in memory."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from pardna.matching.desk import Decision
from pardna.matching.stepfunctions_decisions import (
    FOLLOWING_MAX,
    PAUSE,
    DecisionsOnStepFunctions,
)
from pardna.runtime.errors import Unavailable
from tests.support.matching import DAY, TENANT

ARN = "arn:aws:states:us-east-1:123456789012:stateMachine:decision"
DECISION = Decision(
    TENANT, "d_1", "resolve", "break:b_1", {}, "ann", "2026-03-02T12:00:00.000Z", 500, "JMD"
)


class StepFunctions:
    """What `Executions` asks of boto3's client: names are taken for ever."""

    def __init__(self) -> None:
        self.now = DAY
        self.executions: dict[str, dict[str, Any]] = {}
        self.silent = False

    def start_execution(self, stateMachineArn: str, name: str, input: str) -> None:
        self._speak()
        if name in self.executions:
            raise ClientError({"Error": {"Code": "ExecutionAlreadyExists", "Message": ""}}, "start")
        self.executions[name] = {"status": "RUNNING", "input": input}

    def describe_execution(self, executionArn: str) -> dict[str, Any]:
        self._speak()
        name = executionArn.rpartition(":")[2]
        if name not in self.executions:
            raise ClientError(
                {"Error": {"Code": "ExecutionDoesNotExist", "Message": ""}}, "describe"
            )
        return self.executions[name]

    def end(self, name: str, status: str) -> None:
        self.executions[name] |= {"status": status, "stopDate": self.now}

    def _speak(self) -> None:
        if self.silent:
            raise EndpointConnectionError(endpoint_url="states")


@pytest.fixture
def cloud() -> StepFunctions:
    return StepFunctions()


@pytest.fixture
def machine(cloud: StepFunctions) -> DecisionsOnStepFunctions:
    return DecisionsOnStepFunctions(cloud, ARN, lambda: cloud.now)


def test_one_that_was_never_started_is_started_once(
    cloud: StepFunctions, machine: DecisionsOnStepFunctions
) -> None:
    assert [machine.go_on(DECISION) for _ in range(3)] == [True, False, False]
    machine.start(DECISION)
    assert list(cloud.executions) == ["d_1"]


@pytest.mark.parametrize("ending", ["FAILED", "TIMED_OUT", "ABORTED"])
def test_one_that_gave_up_is_followed_after_an_hour(
    cloud: StepFunctions, machine: DecisionsOnStepFunctions, ending: str
) -> None:
    machine.start(DECISION)
    cloud.end("d_1", ending)
    cloud.now += PAUSE - timedelta(seconds=1)
    assert not machine.go_on(DECISION)
    cloud.now += timedelta(seconds=1)
    assert [machine.go_on(DECISION) for _ in range(2)] == [True, False]
    assert cloud.executions["d_1-001"]["input"] == cloud.executions["d_1"]["input"]


@pytest.mark.parametrize("status", ["RUNNING", "SUCCEEDED"])
def test_one_that_lives_or_has_answered_is_left_alone(
    cloud: StepFunctions, machine: DecisionsOnStepFunctions, status: str
) -> None:
    machine.start(DECISION)
    cloud.end("d_1", status)
    cloud.now += timedelta(days=30)
    assert not machine.go_on(DECISION)
    assert list(cloud.executions) == ["d_1"]


def test_it_is_not_followed_for_ever(
    cloud: StepFunctions, machine: DecisionsOnStepFunctions
) -> None:
    started = 0
    for _ in range(FOLLOWING_MAX + 10):
        started += machine.go_on(DECISION)
        cloud.end(list(cloud.executions)[-1], "FAILED")
        cloud.now += PAUSE
    assert started == len(cloud.executions) == FOLLOWING_MAX + 1


def test_a_silent_service_is_told_and_the_next_sweep_does_it(
    cloud: StepFunctions, machine: DecisionsOnStepFunctions
) -> None:
    cloud.silent = True
    with pytest.raises(Unavailable, match=r"matching\.not_started"):
        machine.go_on(DECISION)
    cloud.silent = False
    assert machine.go_on(DECISION)
