"""The approval machine: decided, repeated, and silent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from functions.approvals import decide_approval, list_approvals, request_approval
from tests.support.deployed import deployed, join, sample
from tests.support.handlers import Context, a_request
from tests.support.machines import Machines, playing
from tests.support.postgres import TestDatabase


@pytest.fixture
def machines(database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machines]:
    with deployed(database, monkeypatch), playing(monkeypatch) as made:
        join("ben", "approver")
        join("ann", "banker")
        made.create("approval")
        yield made


def start(machines: Machines) -> str:
    ask = sample("approvals", "request_approval.payout")
    document = {k: v for k, v in ask.items() if k not in ("task_token", "valid_seconds")}
    arn: str = machines.client.start_execution(
        stateMachineArn=machines.arns["approval"], name="one", input=json.dumps(document)
    )["executionArn"]
    return arn


def waiting(machines: Machines) -> list[dict[str, Any]]:
    answer = list_approvals.handler(sample("approvals", "list_approvals.pending"), Context())
    found: list[dict[str, Any]] = json.loads(answer["body"])["approvals"]
    return found


def until_asked(machines: Machines) -> dict[str, Any]:
    import time

    for _ in range(200):
        if found := waiting(machines):
            return found[0]
        time.sleep(0.05)
    raise AssertionError("nobody was asked")


def decide(approval_id: str, decision: str, by: str) -> tuple[int, dict[str, Any]]:
    request = a_request(
        json.dumps({"decision": decision}),
        path={"tenant_id": "harbour", "approval_id": approval_id},
        principal=by,
    )
    answer = decide_approval.handler(request, Context())
    return answer["statusCode"], json.loads(answer["body"])


@pytest.mark.parametrize(("decision", "outcome"), [("approve", "approved"), ("reject", "rejected")])
def test_decided(machines: Machines, decision: str, outcome: str) -> None:
    arn = start(machines)
    asked = until_asked(machines)
    assert decide(asked["approval_id"], decision, "ann")[1]["code"] == "approval.own_request"
    assert decide(asked["approval_id"], decision, "ben")[0] == 200
    found = machines.wait(arn)
    assert json.loads(found["output"]) == {
        "outcome": outcome,
        "approval_id": asked["approval_id"],
        "decided_by": "ben",
    }
    assert waiting(machines) == []


def test_retried_after_a_failure(machines: Machines) -> None:
    failures = [RuntimeError("first"), RuntimeError("second")]

    def fails(event: dict[str, Any], context: Any) -> Any:
        if failures:
            raise failures.pop()
        return request_approval.handler(event, context)

    machines.handlers["RequestApproval"] = fails
    arn = start(machines)
    decide(until_asked(machines)["approval_id"], "approve", "ben")
    assert machines.wait(arn)["status"] == "SUCCEEDED"
    assert machines.calls["RequestApproval"] == 3


def test_caught_when_it_cannot_be_written(machines: Machines) -> None:
    def fails(event: dict[str, Any], context: Any) -> Any:
        raise RuntimeError("always")

    machines.handlers["RequestApproval"] = fails
    arn = start(machines)
    assert machines.wait(arn)["status"] == "FAILED"
    assert machines.entered(arn)[-1] == "Approval failed"
