"""CloudFormation always gets an answer, and never a secret."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pardna.deployment.model import REASON_MAX, Change
from pardna.deployment.service import Deployment
from pardna.runtime.errors import InvalidInput, Unavailable

EVENT: dict[str, Any] = json.loads(
    (Path(__file__).parents[3] / "events/deployment/migrate_database.create.json").read_text()
)


class Schema:
    """A schema that lacks two migrations, or fails."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.failure = failure
        self.missing = ["0001_tenancy", "0002_transactions"]

    def migrate(self) -> list[str]:
        if self.failure:
            raise self.failure
        applied, self.missing = self.missing, []
        return applied


class Answers:
    """Remembers what CloudFormation was told."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, dict[str, Any]]] = []

    def send(self, url: str, body: bytes) -> None:
        self.sent.append((url, json.loads(body)))


def answer_to(event: dict[str, Any], schema: Schema) -> dict[str, Any]:
    answers = Answers()
    Deployment(schema, answers).change(event)
    ((url, body),) = answers.sent
    assert url == event["ResponseURL"]
    return body


def test_create_applies_what_is_missing_and_says_so() -> None:
    body = answer_to(EVENT, Schema())

    assert body["Status"] == "SUCCESS"
    assert body["Data"] == {"Applied": "0001_tenancy,0002_transactions"}
    assert (body["StackId"], body["RequestId"]) == (EVENT["StackId"], EVENT["RequestId"])


def test_an_update_keeps_the_resource_and_repeats_harmlessly() -> None:
    schema = Schema()
    first = answer_to(EVENT, schema)
    update = EVENT | {"RequestType": "Update", "PhysicalResourceId": first["PhysicalResourceId"]}
    second = answer_to(update, schema)

    assert second["PhysicalResourceId"] == first["PhysicalResourceId"]
    assert second["Data"] == {"Applied": "nothing"}


def test_deleting_the_stack_touches_no_data() -> None:
    schema = Schema()
    body = answer_to(EVENT | {"RequestType": "Delete"}, schema)

    assert body["Status"] == "SUCCESS"
    assert len(schema.missing) == 2


def test_a_failed_migration_rolls_the_stack_back() -> None:
    body = answer_to(EVENT, Schema(Unavailable("database.unavailable", "did not answer")))

    assert body["Status"] == "FAILED"
    assert body["Reason"] == "database.unavailable: did not answer"


def test_an_unknown_failure_tells_its_kind_and_no_secret() -> None:
    body = answer_to(EVENT, Schema(RuntimeError("postgresql://admin:hunter2@host")))

    assert body["Status"] == "FAILED"
    assert "RuntimeError" in body["Reason"]
    assert "hunter2" not in json.dumps(body)


def test_a_long_reason_stays_below_what_cloudformation_takes() -> None:
    body = answer_to(EVENT, Schema(Unavailable("database.unavailable", "x" * 10_000)))

    assert len(body["Reason"]) == REASON_MAX


def test_the_signed_url_is_never_printed() -> None:
    assert "signed" not in repr(Change.from_event(EVENT))


@pytest.mark.parametrize(
    "wrong", [{}, EVENT | {"RequestType": "Mend"}, EVENT | {"ResponseURL": ""}]
)
def test_what_is_no_request_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        Change.from_event(wrong)
