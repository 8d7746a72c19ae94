"""Matching's functions in-process: moto for AWS, a real PostgreSQL, the real handlers."""

from __future__ import annotations

import functools
import importlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.awslambda_simple.models import LambdaSimpleBackend
from moto.sns.models import sns_backends

from pardna.database import session
from pardna.database.session import Connection
from pardna.identity import wiring as identity_wiring
from pardna.ledger import wiring as ledger_wiring
from pardna.matching import wiring
from pardna.outbox import wiring as outbox_wiring
from pardna.runtime import clients
from pardna.runtime.settings import settings
from pardna.transactions.model import Transaction
from pardna.transactions.postgres import record_in
from tests.support.handlers import Context
from tests.support.matching import TABLE, TENANT, create_match_table
from tests.support.postgres import TestDatabase
from tests.support.tables import create_table

ROOT = Path(__file__).resolve().parents[3]
REGION, ACCOUNT = "us-east-1", "123456789012"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:alarms"
AREAS = {"post_matches": "ledger"}
FUNCTIONS = {
    "CheckCompletenessFunction": "check_completeness",
    "PlanRunFunction": "plan_run",
    "MatchShardFunction": "match_shard",
    "ClassifyBreaksFunction": "classify_breaks",
    "ProveSettlementsFunction": "prove_settlements",
    "PostMatchesFunction": "post_matches",
    "GateQualityFunction": "gate_quality",
    "SummariseRunFunction": "summarise_run",
}


def forget_wiring() -> None:
    """Every cached setting, client and service: the next call makes them anew."""
    settings.cache_clear()
    clients.client.cache_clear()
    for module in (wiring, identity_wiring, ledger_wiring, outbox_wiring):
        for value in vars(module).values():
            if isinstance(value, functools._lru_cache_wrapper):
                value.cache_clear()


@dataclass
class Product:
    """What a test of the machine drives and looks at."""

    database: TestDatabase
    machine_arn: str = ""
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    #: Function name -> what to do instead of calling the handler, once each time it is listed.
    failures: dict[str, list[Exception]] = field(default_factory=dict)
    #: Function name -> what happens just before it is called the next time.
    before: dict[str, Callable[[], object]] = field(default_factory=dict)
    #: Function name -> what it answers instead.
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def record(self, *transactions: Transaction, project: bool = False) -> None:
        """Write transactions into the truth; with `project`, also take them in as the stream does."""
        connection: Connection
        with self.database.session().transaction(TENANT, "test") as connection:
            recorded = record_in(connection, TENANT, transactions, "test")
        if project:
            online = wiring._online()
            from pardna.transactions.recorded import TransactionRecorded

            for one in recorded:
                previous = one.transaction if one.version > 1 else None
                online.take(TransactionRecorded(one.transaction, one.version, previous))

    def invoke(self, function: str, event: dict[str, Any]) -> Any:
        """Call a function's real handler, unless it is to fail now."""
        with self.lock:
            self.calls.append((function, event))
            self.before.pop(function, lambda: None)()
            if self.failures.get(function):
                raise self.failures[function].pop(0)
            if function in self.answers:
                return self.answers[function]
            name = FUNCTIONS[function]
            area = AREAS.get(name, "reconciliation")
            handler: Callable[..., Any] = importlib.import_module(
                f"functions.{area}.{name}"
            ).handler
            return handler(event, Context())

    def run(
        self, on: str = "2026-03-04", name: str = "run", told: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Start the machine (with exactly what is `told`), wait for its end, return what describes it."""
        client = boto3.client("stepfunctions", region_name=REGION)
        started = client.start_execution(
            stateMachineArn=self.machine_arn,
            name=name,
            input=json.dumps(
                told
                or {
                    "tenant_id": TENANT,
                    "reference_date": on,
                    "window_days": 45,
                    "correlation_id": "c-1",
                }
            ),
        )
        return self.ended(started["executionArn"])

    def ended(self, execution_arn: str) -> dict[str, Any]:
        """What describes an execution, once it has ended."""
        client, pause = boto3.client("stepfunctions", region_name=REGION), threading.Event()
        while True:
            found = client.describe_execution(executionArn=execution_arn)
            if found["status"] != "RUNNING":
                found["output"] = json.loads(found.get("output") or "{}")
                return found
            pause.wait(0.05)

    def notices(self) -> list[str]:
        """What people were told."""
        sent = sns_backends[ACCOUNT][REGION].topics[TOPIC].sent_notifications
        return [message for _, message, *_ in sent]

    def items(self) -> list[dict[str, Any]]:
        """Every item of the match table, in order."""
        table = boto3.client("dynamodb", region_name=REGION)
        found = [
            i
            for page in table.get_paginator("scan").paginate(TableName=TABLE)
            for i in page["Items"]
        ]
        return sorted(found, key=lambda i: (i["pk"]["S"], i["sk"]["S"]))


def arn_of(function: str) -> str:
    return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{function}"


def definition() -> str:
    """The machine as deployed, without its waits between attempts."""
    text = (ROOT / "statemachines" / "reconciliation.asl.json").read_text()
    for function in FUNCTIONS:
        text = text.replace("${" + function + "Arn}", arn_of(function))
    plain = json.loads(text.replace("${RunsBucket}", "lake").replace("${AlarmTopicArn}", TOPIC))

    def hurry(node: Any) -> None:
        if isinstance(node, dict):
            if "IntervalSeconds" in node:
                node["IntervalSeconds"] = 1
                node["BackoffRate"] = 1
            if "ToleratedFailurePercentage" in node:  # moto reads a percentage with a point only
                node["ToleratedFailurePercentage"] = float(node["ToleratedFailurePercentage"])
            for value in node.values():
                hurry(value)
        elif isinstance(node, list):
            for value in node:
                hurry(value)

    hurry(plain)
    return json.dumps(plain)


@pytest.fixture
def product(database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> Iterator[Product]:
    """The deployed reconciliation, in one process."""
    for name, value in {
        "PARDNA_STAGE": "local",
        "DATABASE_URL": database.runtime_conninfo,
        "MATCH_TABLE": TABLE,
        "OUTBOX_TABLE": "outbox",
        "DIRECTORY_TABLE": "directory",
        "LAKE_BUCKET": "lake",
        "MATCH_ONLINE_POISON_QUEUE_URL": "unused",
    }.items():
        monkeypatch.setenv(name, value)
    # The product's own sessions, which the database fixture closes.
    monkeypatch.setattr(session, "from_settings", lambda _settings: database.session())
    config: Any = {
        "stepfunctions": {"execute_state_machine": True},
        "lambda": {"use_docker": False},
    }
    with mock_aws(config=config):
        forget_wiring()
        made = Product(database)
        dynamodb = boto3.client("dynamodb", region_name=REGION)
        create_match_table(dynamodb)
        create_table(dynamodb, "outbox", unsent=("unsent_pk", "unsent_sk"))
        create_table(dynamodb, "directory")
        boto3.client("s3", region_name=REGION).create_bucket(Bucket="lake")
        boto3.client("sns", region_name=REGION).create_topic(Name="alarms")
        made.machine_arn = boto3.client("stepfunctions", region_name=REGION).create_state_machine(
            name="reconciliation",
            definition=definition(),
            roleArn=f"arn:aws:iam::{ACCOUNT}:role/machine",
        )["stateMachineArn"]

        def invoke(
            _backend: Any, function_name: str, _qualifier: Any, body: Any, _h: Any, headers: Any
        ) -> bytes:
            function = function_name.rsplit(":", 1)[-1]
            try:
                return json.dumps(made.invoke(function, json.loads(body or "{}"))).encode()
            except Exception as error:  # noqa: BLE001  (what Lambda does)
                headers["x-amz-function-error"] = "Unhandled"
                told = {"errorType": type(error).__name__, "errorMessage": str(error)}
                return json.dumps(told).encode()

        monkeypatch.setattr(LambdaSimpleBackend, "invoke", invoke)
        yield made
        forget_wiring()
