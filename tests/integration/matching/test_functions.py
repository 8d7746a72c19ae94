"""Matching's handlers on their sample events: moto for AWS, nothing of ours replaced."""

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
from pardna.matching.model import Break, BreakClass, Pair
from pardna.matching.ports import LegState
from pardna.matching.wiring import break_book, match_state
from pardna.runtime.errors import RefusedByRule
from tests.statemachines.matching.conftest import forget_wiring
from tests.support.handlers import Context
from tests.support.matching import (
    TABLE,
    TENANT,
    charge,
    create_match_table,
    legs,
)
from tests.support.tables import create_table

EVENTS = Path(__file__).resolve().parents[3] / "events"
REGION = "us-east-1"
RUN = "r_" + "0" * 32


def call(name: str, case: str) -> Any:
    """A handler's answer to its sample event."""
    area, verb_noun = name.split(".")
    event = json.loads((EVENTS / area / f"{verb_noun}.{case}.json").read_text())
    return importlib.import_module(f"functions.{name}").handler(event, Context())


@pytest.fixture
def poison(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A deployed product with one tenant and one operator; yields the poison queue's reader."""
    with mock_aws():
        dynamodb = boto3.client("dynamodb", region_name=REGION)
        create_match_table(dynamodb)
        create_table(dynamodb, "directory")
        create_table(dynamodb, "outbox", unsent=("unsent_pk", "unsent_sk"))
        boto3.client("s3", region_name=REGION).create_bucket(Bucket="lake")
        sqs = boto3.client("sqs", region_name=REGION)
        url = sqs.create_queue(QueueName="poison")["QueueUrl"]
        machine = boto3.client("stepfunctions", region_name=REGION).create_state_machine(
            name="reconciliation",
            definition='{"StartAt": "S", "States": {"S": {"Type": "Succeed"}}}',
            roleArn="arn:aws:iam::123456789012:role/machine",
        )["stateMachineArn"]
        for name, value in {
            "PARDNA_STAGE": "local",
            "MATCH_TABLE": TABLE,
            "DIRECTORY_TABLE": "directory",
            "OUTBOX_TABLE": "outbox",
            "LAKE_BUCKET": "lake",
            "MATCH_ONLINE_POISON_QUEUE_URL": url,
            "RECONCILIATION_MACHINE_ARN": machine,
        }.items():
            monkeypatch.setenv(name, value)
        forget_wiring()
        tenancy().create_tenant("boss", {"platform"}, Tenant(TENANT, "Kingston One"), "admin-1")
        tenancy().add_member(
            "admin-1", Membership(TENANT, "operator-1", frozenset({Role.OPERATOR}))
        )
        yield lambda: sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        forget_wiring()


def test_match_online_joins_a_pair_and_again_changes_nothing(poison: Any) -> None:
    for _ in range(2):
        assert call("matching.match_online", "pair") == {"batchItemFailures": []}
    [leg] = legs(charge(1, 500))
    assert match_state().of_transaction(TENANT, Pair.INTERNAL_PSP, leg.transaction_id)
    assert match_state().record([leg]) == {Pair.INTERNAL_PSP: LegState.MATCHED}
    assert poison() == []


def test_match_online_puts_poison_aside_and_goes_on(poison: Any) -> None:
    assert call("matching.match_online", "poison") == {"batchItemFailures": []}
    [message] = poison()
    kept = json.loads(message["Body"])
    assert (kept["consumer"], kept["error_code"]) == ("match_online", "event.unreadable")
    assert [leg.external_id for leg in match_state().open_legs(TENANT, Pair.INTERNAL_PSP, "JMD")] == ["con_2"]  # fmt: skip


def test_match_online_takes_poison_back_once_its_cause_is_gone(poison: Any) -> None:
    def redriven(body: str) -> Any:
        event = {"Records": [{"messageId": "1", "eventSource": "aws:sqs", "body": body}]}
        return importlib.import_module("functions.matching.match_online").handler(event, Context())

    call("matching.match_online", "poison")
    [message] = poison()
    with pytest.raises(RefusedByRule, match=r"record\.still_poison"):
        redriven(message["Body"])
    assert poison() == [], "it is on the queue already and must not be put there twice"
    for record in json.loads((EVENTS / "matching" / "match_online.pair.json").read_text())[
        "Records"
    ]:
        kept = json.dumps({"data": record["kinesis"]["data"], "encoding": "base64"})
        assert redriven(kept) == {"batchItemFailures": []}
    [leg] = legs(charge(1, 500))
    assert match_state().of_transaction(TENANT, Pair.INTERNAL_PSP, leg.transaction_id)


def test_a_leg_costs_three_calls_at_most(poison: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from botocore.client import BaseClient

    calls: list[str] = []
    original = BaseClient._make_api_call

    def counted(self: Any, operation: str, parameters: Any) -> Any:
        if self.meta.service_model.service_name == "dynamodb":
            calls.append(operation)
        return original(self, operation, parameters)

    call("matching.match_online", "poison")  # warm: the table has been described
    monkeypatch.setattr(BaseClient, "_make_api_call", counted)
    call("matching.match_online", "pair")
    assert calls == [
        "TransactWriteItems",
        "Query",
        "TransactWriteItems",
        "Query",
        "TransactWriteItems",
    ]


def executions_of(machines: Any, name: str) -> list[str]:
    """The names of a machine's executions."""
    [arn] = [
        m["stateMachineArn"]
        for m in machines.list_state_machines()["stateMachines"]
        if m["name"] == name
    ]
    found = machines.list_executions(stateMachineArn=arn)["executions"]
    return [execution["name"] for execution in found]


def test_starting_and_showing_runs(poison: Any) -> None:
    first = call("reconciliation.start_reconciliation", "request")
    again = call("reconciliation.start_reconciliation", "request")
    assert (first["statusCode"], json.loads(first["body"])["status"]) == (202, "started")
    # Step Functions answers a repeated start as the first while it runs, and refuses it afterwards.
    assert json.loads(again["body"])["run_id"] == json.loads(first["body"])["run_id"]
    assert call("reconciliation.start_reconciliation", "bad_date")["statusCode"] == 400
    assert call("reconciliation.start_reconciliation", "scheduled") == {"started_count": 1}
    machines = boto3.client("stepfunctions", region_name=REGION)
    assert len(executions_of(machines, "reconciliation")) == 2
    assert call("reconciliation.show_reconciliation", "request")["statusCode"] == 404


def test_stopping_and_resuming_a_run(poison: Any) -> None:
    planned = call("reconciliation.plan_run", "state")

    def control(action: str) -> tuple[int, Any]:
        event = json.loads(
            (EVENTS / "reconciliation" / "control_reconciliation.stop.json").read_text()
        )
        event["pathParameters"] |= {"run_id": planned["run_id"], "action": action}
        handler = importlib.import_module("functions.reconciliation.control_reconciliation").handler
        answer = handler(event, Context())
        return answer["statusCode"], json.loads(answer["body"])

    assert control("stop") == (
        202,
        {"run_id": planned["run_id"], "status": "stopped", "attempt": 0},
    )
    assert call("reconciliation.plan_run", "state")["outcome"] == "planned", (
        "started again, it goes on"
    )
    assert control("stop")[1]["status"] == "stopped"
    assert control("resume")[1] == {"run_id": planned["run_id"], "status": "running", "attempt": 1}
    assert call("reconciliation.control_reconciliation", "unknown_action")["statusCode"] == 400
    assert call("reconciliation.control_reconciliation", "stop")["statusCode"] == 404


def test_the_states_of_a_run_one_by_one(poison: Any) -> None:
    planned = call("reconciliation.plan_run", "state")
    assert (planned["outcome"], planned["shards_count"]) == ("planned", 2)
    run = {"tenant_id": TENANT, "run_id": planned["run_id"]}
    for shard in range(2):
        handler = importlib.import_module("functions.reconciliation.match_shard").handler
        assert handler({**run, "shard": shard}, Context()) == {}
    for name, event, outcome in (
        ("classify_breaks", run, "classified"),
        ("prove_settlements", run, "proved"),
        ("gate_quality", {**run, "clearing": "refused"}, "held"),
        ("gate_quality", {**run, "clearing": "posted"}, "passed"),
        ("summarise_run", run, "passed"),
    ):
        handler = importlib.import_module(f"functions.reconciliation.{name}").handler
        assert handler(event, Context())["outcome"] == outcome
    assert call("reconciliation.plan_run", "state")["outcome"] == "nothing_new"


def test_breaks_are_for_those_who_may_read_them(poison: Any) -> None:
    opened = Break(
        tenant_id=TENANT, pair=Pair.PSP_BANK, class_=BreakClass.MISSING_BANK, reason="Why not.",
        transaction_ids=("a",), amount_minor=5, currency="JMD", opened_on="2026-03-10",
        due_at="2026-03-12",
    )  # fmt: skip
    assert break_book().put(opened)
    assert not break_book().put(opened)
    answer = call("matching.list_breaks", "open")
    assert answer["statusCode"] == 200
    [shown] = json.loads(answer["body"])["breaks"]
    assert (shown["class"], shown["break_id"], shown["reason"]) == (
        "MISSING_BANK",
        opened.break_id,
        "Why not.",
    )
    assert call("matching.list_breaks", "stranger")["statusCode"] == 403
