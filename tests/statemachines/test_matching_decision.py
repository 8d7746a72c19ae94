"""What one person may not do alone in matching, from the request to the second person's word."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest

from functions.approvals import decide_approval, list_approvals, sweep_approvals
from functions.matching import list_rules, save_rules, update_break
from pardna.matching import wiring
from pardna.matching.model import Pair
from pardna.matching.stepfunctions_decisions import DecisionsOnStepFunctions
from pardna.matching.wiring import break_book, match_state
from tests.support.deployed import deployed, join
from tests.support.handlers import Context, a_request
from tests.support.machines import Machines, playing
from tests.support.matching import contribution, create_match_table, legs
from tests.support.people import a_break
from tests.support.postgres import TestDatabase

HERE = "harbour"
ARN = "arn:aws:states:us-east-1:123456789012:stateMachine:"


@pytest.fixture
def machines(database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machines]:
    arns = {
        "MATCH_TABLE": "match-table",
        "MATCHING_DECISION_MACHINE_ARN": f"{ARN}matching_decision",
        "LAKE_BUCKET": "lake",
    }
    with deployed(database, monkeypatch, **arns), playing(monkeypatch) as made:
        create_match_table(boto3.client("dynamodb"))
        for who, role in (("ann", "banker"), ("ben", "approver"), ("bob", "operator")):
            join(who, role)
        made.create("approval")
        assert made.create("matching_decision") == arns["MATCHING_DECISION_MACHINE_ARN"]
        yield made


def ask(handler: Any, body: Any = None, who: str = "ann", key: str = "k", **path: str) -> Any:
    event = a_request(
        "" if body is None else json.dumps(body),
        path={"tenant_id": HERE, **path},
        headers={"idempotency-key": key},
        principal=who,
    )
    answer = handler.handler(event, Context())
    return json.loads(answer["body"])


def until(found: Any) -> Any:
    """What `found` finds, once it finds something."""
    for _ in range(400):
        if (value := found()) is not None:
            return value
        time.sleep(0.05)
    raise AssertionError("it never came")


def asked() -> dict[str, Any] | None:
    found: list[dict[str, Any]] = ask(list_approvals)["approvals"]
    return found[0] if found else None


def decide(machines: Machines, decision_id: str, decision: str) -> dict[str, Any]:
    """A second person's word, and the machine's end."""
    approval = until(asked)
    assert approval["context"] == {"decision_id": decision_id}
    path = {"approval_id": approval["approval_id"]}
    own = ask(decide_approval, {"decision": "approve"}, **path)
    assert own["code"] == "approval.own_request"
    told = ask(decide_approval, {"decision": decision}, who="ben", **path)
    assert told["decided_by"] == "ben"
    execution = machines.arns["matching_decision"].replace(":stateMachine:", ":execution:")
    return machines.wait(f"{execution}:{decision_id}")


@pytest.mark.parametrize("decision", ["approve", "reject"])
def test_rules_change_when_a_second_person_agrees(machines: Machines, decision: str) -> None:
    rules = {"pairs": [{"pair": "internal~bank", "tolerance_minor": 5}]}
    body = {"base_version": 1, "note": "The bank rounds.", "rules": rules}
    answer = ask(save_rules, body)
    assert answer["status"] == "waiting_for_approval"
    assert decide(machines, answer["decision_id"], decision)["status"] == "SUCCEEDED"
    assert ask(list_rules)["in_force"] == (2 if decision == "approve" else 1)


def test_a_write_off_happens_once_although_carrying_out_fails_first(machines: Machines) -> None:
    [ours] = legs(contribution(1, 500, tenant_id=HERE), pair=Pair.INTERNAL_PSP)
    match_state().record([ours])
    one = a_break(ours)
    break_book().put(one)
    body = {
        "action": "resolve",
        "resolution": "written_off",
        "reason_code": "uncollectable",
        "note": "Left the country.",
    }
    from functions.matching import carry_out_decision

    failures = iter([True, False])

    def fails_first(event: dict[str, Any], context: Any) -> Any:
        done = carry_out_decision.handler(event, context)
        if next(failures, False):
            raise RuntimeError("died after it had been done")
        return done

    machines.handlers["CarryOutDecision"] = fails_first
    answer = ask(update_break, body, who="ann", break_id=one.break_id)
    assert decide(machines, answer["decision_id"], "approve")["status"] == "SUCCEEDED"
    assert machines.calls["CarryOutDecision"] == 2
    found = break_book().get(HERE, one.break_id)
    assert found is not None
    assert (found.status, found.resolution, found.resolved_by) == ("resolved", "written_off", "ann")
    assert list(match_state().open_legs(HERE, Pair.INTERNAL_PSP, "JMD")) == []


def a_resolution(number: int, amount: int = 500) -> str:
    """A break that somebody wants written off; the decision that waits."""
    [ours] = legs(contribution(number, amount, tenant_id=HERE), pair=Pair.INTERNAL_PSP)
    match_state().record([ours])
    one = a_break(ours)
    break_book().put(one)
    body = {
        "action": "resolve", "resolution": "written_off", "reason_code": "uncollectable",
        "note": "Left the country.",
    }  # fmt: skip
    answer = ask(update_break, body, key=f"k{number}", break_id=one.break_id)
    return str(answer["decision_id"])


def sweep(monkeypatch: pytest.MonkeyPatch, hours: float = 0) -> int:
    """The schedule, so many hours from now; how many machines it started."""
    later = datetime.now(UTC) + timedelta(hours=hours)
    monkeypatch.setattr(wiring, "utc_now", lambda: later)
    wiring.go_on.cache_clear()
    return int(sweep_approvals.handler({}, Context())["started_count"])


def executions(machines: Machines) -> dict[str, str]:
    found = machines.client.list_executions(stateMachineArn=machines.arns["matching_decision"])
    return {one["name"]: one["status"] for one in found["executions"]}


def test_a_machine_that_gave_up_is_followed_by_one_that_hears_the_decision(
    machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Carrying out fails beyond every attempt: after an hour the sweep starts another, once."""

    def silent(_event: dict[str, Any], _context: Any) -> Any:
        raise RuntimeError("the match table does not answer")

    machines.handlers["CarryOutDecision"] = silent
    decision_id = a_resolution(1)
    ended = decide(machines, decision_id, "approve")
    assert ended["status"] == "FAILED"
    assert [sweep(monkeypatch), sweep(monkeypatch, 0.9)] == [0, 0], "it has only just given up"

    del machines.handlers["CarryOutDecision"]
    assert sweep(monkeypatch, 1.1) == 1
    execution = ended["executionArn"].rpartition(":")[0]
    assert machines.wait(f"{execution}:{decision_id}-001")["status"] == "SUCCEEDED"
    assert sweep(monkeypatch, 30) == 0, "it waits no more"
    assert executions(machines) == {decision_id: "FAILED", f"{decision_id}-001": "SUCCEEDED"}
    [one] = list(break_book().listed(HERE, "resolved"))
    assert (one.resolution, one.resolved_by) == ("written_off", "ann")
    assert machines.calls["RequestApproval"] == 2, "asked twice, decided once"
    assert asked() is None


def test_a_request_that_died_before_its_machine_is_started_by_the_sweep(
    machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        """The process is gone."""

    def killed(*_: Any) -> Any:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(DecisionsOnStepFunctions, "start", killed)
        with pytest.raises(Killed):
            a_resolution(1)
    assert executions(machines) == {}
    assert [sweep(monkeypatch), sweep(monkeypatch)] == [1, 0], "and once"
    [(name, status)] = executions(machines).items()
    assert status == "RUNNING"
    assert decide(machines, name, "reject")["status"] == "SUCCEEDED"
    assert next(iter(break_book().listed(HERE, "open"))).waits_for == ""
