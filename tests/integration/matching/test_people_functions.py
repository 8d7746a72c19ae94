"""What people ask of matching over HTTP: who may, what is refused, and what strangers see."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from pardna.identity.model import Membership, Role, Tenant
from pardna.identity.wiring import tenancy
from pardna.matching.model import Pair, Status
from pardna.matching.ports import Committed
from pardna.matching.wiring import break_book, match_state
from pardna.runtime.errors import NotFound
from pardna.runtime.paging import encode_cursor
from tests.statemachines.matching.conftest import forget_wiring
from tests.support.handlers import Context, a_request
from tests.support.matching import (
    TABLE,
    TENANT,
    a_match,
    bank_line,
    contribution,
    create_match_table,
    legs,
)
from tests.support.people import a_break
from tests.support.tables import create_table, workflow_table

EVENTS = Path(__file__).resolve().parents[3] / "events" / "matching"
REGION = "us-east-1"
OTHER = "mobay-two"
PASS = '{"StartAt": "S", "States": {"S": {"Type": "Succeed"}}}'


@pytest.fixture(autouse=True)
def deployed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Tables, machines, two tenants and their people."""
    with mock_aws():
        dynamodb = boto3.client("dynamodb", region_name=REGION)
        create_match_table(dynamodb)
        create_table(dynamodb, "directory")
        workflow_table(dynamodb)
        boto3.client("s3", region_name=REGION).create_bucket(Bucket="lake")
        machines = boto3.client("stepfunctions", region_name=REGION)
        role = "arn:aws:iam::123456789012:role/machine"
        made = {
            name: machines.create_state_machine(name=name, definition=PASS, roleArn=role)[
                "stateMachineArn"
            ]
            for name in ("decision", "trial")
        }
        for name, value in {
            "PARDNA_STAGE": "local",
            "MATCH_TABLE": TABLE,
            "DIRECTORY_TABLE": "directory",
            "WORKFLOW_TABLE": "workflow",
            "LAKE_BUCKET": "lake",
            "MATCHING_DECISION_MACHINE_ARN": made["decision"],
            "RULE_TRIAL_MACHINE_ARN": made["trial"],
        }.items():
            monkeypatch.setenv(name, value)
        forget_wiring()
        for tenant in (TENANT, OTHER):
            tenancy().create_tenant("boss", {"platform"}, Tenant(tenant, tenant), f"admin-{tenant}")
        for tenant, who, role_of in (
            (TENANT, "operator-1", Role.OPERATOR),
            (TENANT, "banker-1", Role.BANKER),
            (TENANT, "auditor-1", Role.AUDITOR),
            (OTHER, "rival-1", Role.BANKER),
        ):
            tenancy().add_member(f"admin-{tenant}", Membership(tenant, who, frozenset({role_of})))
        yield
        forget_wiring()


def call(name: str, event: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    answer = importlib.import_module(f"functions.matching.{name}").handler(event, Context())
    return answer["statusCode"], json.loads(answer["body"])


def sample(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text())
    return found


def post(name: str, body: Any, who: str = "operator-1", key: str = "k-1", tenant: str = TENANT, **path: str) -> tuple[int, dict[str, Any]]:  # fmt: skip
    headers = {"Idempotency-Key": key} if key else {}
    event = a_request(
        body if isinstance(body, str) else json.dumps(body),
        path={"tenant_id": tenant, **path}, headers=headers, principal=who,
    )  # fmt: skip
    return call(name, event)


def get(name: str, who: str = "auditor-1", tenant: str = TENANT, query: Any = None, **path: str) -> tuple[int, dict[str, Any]]:  # fmt: skip
    event = a_request(path={"tenant_id": tenant, **path}, principal=who)
    return call(name, event | {"queryStringParameters": query})


def proposed() -> tuple[str, str, list[str]]:
    """A proposal and a break about its first leg; their ids, and those of its transactions."""
    [ours] = legs(contribution(1, 500, "bank"), pair=Pair.INTERNAL_BANK)
    found = [ours, *legs(bank_line(1, 500), pair=Pair.INTERNAL_BANK)]
    match_state().record([ours])
    match_state().record(legs(bank_line(1, 500)))
    match = a_match(*found, level=4, status=Status.PROPOSED)
    assert match_state().commit(match) is Committed.NOW
    one = a_break(ours)
    break_book().put(one)
    return match.match_id, one.break_id, [leg.transaction_id for leg in found]


POSTS: dict[str, tuple[dict[str, str], dict[str, Any]]] = {
    "update_break": ({"break_id": "b_1"}, {"action": "comment", "text": "Hello."}),
    "match_manually": ({}, {"pair": "internal~bank", "transaction_ids": ["a", "b"], "reason": "x"}),
    "unmatch": ({"match_id": "m_1"}, {"reason": "x"}),
    "decide_proposal": ({"match_id": "m_1"}, {"decision": "reject", "reason": "x"}),
    "save_rules": ({}, {"base_version": 1, "note": "x", "rules": {}}),
    "change_alias": ({}, {"kind": "name", "value": "Bob M", "stands_for": "Robert M", "reason": "x"}),
    "start_rule_trial": ({}, {"rules": {}}),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(POSTS))
def test_who_may_not_is_told_so_whatever_they_send(name: str) -> None:
    path, body = POSTS[name]
    assert post(name, body, who="", **path)[0] == 401
    for who in ("auditor-1", "rival-1", f"admin-{TENANT}", "nobody"):
        status, told = post(name, body, who=who, **path)
        assert (status, told["code"]) == (403, "auth.not_permitted"), who
        assert post(name, "not json", who=who, **path)[0] == 403


@pytest.mark.parametrize("name", sorted(POSTS))
def test_a_request_without_a_key_or_with_odd_words_is_refused(name: str) -> None:
    path, body = POSTS[name]
    status, told = post(name, body, who="banker-1", key="", **path)
    assert (status, told["code"]) == (400, "request.idempotency_key")
    assert "Idempotency-Key" in told["detail"]
    assert post(name, body, who="banker-1", key="k" * 129, **path)[0] == 400
    status, told = post(name, body | {"surprise": 1}, who="banker-1", **path)
    assert (status, told["code"]) == (400, "request.body")
    assert "surprise" in told["detail"]
    for odd in ("", "[]", "null", "{", '{"reason": "a\\u0000b"}'):
        assert post(name, odd, who="banker-1", **path)[0] == 400, odd


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("list_breaks.unknown", 404),
        ("show_ageing.open", 200),
        ("update_break.comment", 404),
        ("list_matches.proposed", 200),
        ("match_manually.unknown", 404),
        ("unmatch.unknown", 404),
        ("decide_proposal.unknown", 404),
        ("list_rules.first", 200),
        ("save_rules.tolerance", 202),
        ("change_alias.reference", 201),
        ("show_history.month", 200),
        ("start_rule_trial.tolerance", 404),
    ],
)
def test_every_sample_event_is_answered(name: str, status: int) -> None:
    event = sample(name)
    assert call(name.split(".", maxsplit=1)[0], event)[0] == status
    assert call(name.split(".", maxsplit=1)[0], event)[0] == status, "and again"


def test_states_name_what_they_do_not_know() -> None:
    for name in ("try_rules.first", "carry_out_decision.unknown"):
        module = importlib.import_module(f"functions.matching.{name.split('.')[0]}")
        with pytest.raises(NotFound):
            module.handler(sample(name), Context())


def test_a_person_confirms_and_everybody_may_read_why() -> None:
    match_id, break_id, _ = proposed()
    status, page = get("list_matches")
    assert (status, [m["match_id"] for m in page["matches"]]) == (200, [match_id])
    yes = {"decision": "confirm"}
    first = post("decide_proposal", yes, match_id=match_id)
    assert first[0] == 200
    assert post("decide_proposal", yes, match_id=match_id) == first
    status, told = post("decide_proposal", yes, key="k-2", match_id=match_id)
    assert (status, told["code"]) == (409, "matching.no_proposal")
    _, shown = get("list_matches", match_id=match_id)
    assert [a["principal"] for a in shown["history"]] == ["system:matching", "operator-1"]
    assert shown["members_count"] == 2
    _, closed = get("list_breaks", break_id=break_id)
    assert (closed["status"], closed["resolution"]) == ("resolved", "matched")
    why = {"reason": "Two people."}
    assert post("unmatch", why, key="k-3", match_id=match_id)[0] == 200
    _, acts = get("show_history", query={"subject": f"match:{match_id}"})
    assert [a["verb"] for a in acts["acts"]] == ["proposed", "confirmed", "unmatched"]


def test_nothing_of_a_tenant_is_another_ones() -> None:
    match_id, break_id, ids = proposed()
    rival: dict[str, Any] = {"who": "rival-1", "tenant": OTHER}
    for name, path in (("list_breaks", {"break_id": break_id}), ("list_matches", {"match_id": match_id})):  # fmt: skip
        assert get(name, **rival, **path)[0] == 404
    for name, path, body in (
        ("update_break", {"break_id": break_id}, {"action": "comment", "text": "Mine now."}),
        ("decide_proposal", {"match_id": match_id}, {"decision": "confirm"}),
        ("unmatch", {"match_id": match_id}, {"reason": "x"}),
        ("match_manually", {}, {"pair": "internal~bank", "transaction_ids": ids, "reason": "x"}),
    ):
        status, told = post(name, body, **rival, **path)
        assert status == 404, (name, told)
    assert get("list_breaks", **rival)[1]["breaks"] == []
    assert get("show_history", **rival, query={"subject": f"match:{match_id}"})[1]["acts"] == []
    assert get("show_ageing", **rival)[1]["breaks_count"] == 0


@pytest.mark.parametrize("cursor", ["%%%", encode_cursor(1, 2), encode_cursor("x" * 1_000), "e30"])
def test_forged_cursors_are_refused(cursor: str) -> None:
    for name in ("list_breaks", "list_matches", "show_history"):
        status, told = get(name, query={"cursor": cursor, "month": "2026-03"})
        assert (status, told["code"]) == (400, "request.cursor"), name


def test_what_is_large_waits_and_the_machine_is_started_once() -> None:
    _, break_id, _ = proposed()
    body = {
        "action": "resolve",
        "resolution": "written_off",
        "reason_code": "uncollectable",
        "note": "Left the country.",
    }
    first = post("update_break", body, break_id=break_id)
    assert (first[0], first[1]["status"]) == (202, "waiting_for_approval")
    assert post("update_break", body, break_id=break_id) == first
    client = boto3.client("stepfunctions", region_name=REGION)
    [machine] = [
        m for m in client.list_state_machines()["stateMachines"] if m["name"] == "decision"
    ]
    [execution] = client.list_executions(stateMachineArn=machine["stateMachineArn"])["executions"]
    assert execution["name"] == first[1]["decision_id"]
    _, told = get("show_history", query={"subject": f"decision:{first[1]['decision_id']}"})
    assert told["decision"]["request"]["note"] == "Left the country."
    status, again = post("update_break", body, key="k-2", break_id=break_id)
    assert (status, again["code"]) == (409, "break.waits")


def test_a_body_and_a_list_have_an_end() -> None:
    ids = [f"t-{n}" for n in range(1_001)]
    body = {"pair": "internal~bank", "transaction_ids": ids, "reason": "x"}
    status, told = post("match_manually", body)
    assert (status, told["code"]) == (400, "request.body")
    assert "transaction_ids" in told["detail"]
    assert post("update_break", "x" * (10 * 1024 * 1024 + 1), break_id="b_1")[0] == 413
