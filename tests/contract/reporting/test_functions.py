"""The two functions with the sample events: on a real PostgreSQL, emulated DynamoDB and S3."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from functions.reporting import show_report, write_round_report
from pardna.identity.dynamodb import DynamoDirectory
from pardna.identity.model import Membership, Role, Tenant
from tests.support.circles import Hall
from tests.support.deployed import deployed
from tests.support.handlers import Context
from tests.support.matching import create_match_table
from tests.support.payments import TENANT
from tests.support.postgres import TestDatabase

EVENTS = Path(__file__).parents[3] / "events" / "reporting"
READER, STRANGER = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"


def sample(name: str, circle_id: str, principal: str = READER) -> dict[str, Any]:
    """A sample event, about the test's tenant and circle."""
    text = (EVENTS / f"{name}.json").read_text()
    text = text.replace("kingston-mutual", TENANT).replace("cir-00000000", circle_id)
    loaded = json.loads(text.replace(READER, principal))
    assert isinstance(loaded, dict)
    return loaded


@pytest.fixture
def circle_id(database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A circle whose first round is open, and the stores behind the functions."""
    with deployed(database, monkeypatch, MATCH_TABLE="match"):
        dynamodb = boto3.client("dynamodb")
        create_match_table(dynamodb, "match")
        directory = DynamoDirectory(dynamodb, "directory")
        reader = Membership(TENANT, READER, frozenset({Role.AUDITOR}))
        directory.open_tenant(Tenant(TENANT, "A house"), reader, "2026-01-09T15:00:00.000Z")
        hall = Hall(database)
        circle = hall.create()
        hall.open(circle)
        yield circle.circle_id


def body(response: dict[str, Any]) -> dict[str, Any]:
    found = json.loads(response["body"])
    assert isinstance(found, dict)
    return found


def test_the_machine_has_the_report_written_once(circle_id: str) -> None:
    event = sample("write_round_report.state", circle_id)

    first = write_round_report.handler(event, Context())
    again = write_round_report.handler(event, Context())

    assert (first["outcome"], first["changed"]) == ("written", True)
    assert (again["outcome"], again["changed"]) == ("written", False)
    page = boto3.client("s3").get_object(Bucket="packs", Key=first["html_key"])
    assert b"Friday Friends, round 1 of 5" in page["Body"].read()


def test_a_reader_has_it_written_and_gets_a_link(circle_id: str) -> None:
    shown = sample("show_report.request", circle_id)
    assert show_report.handler(shown, Context())["statusCode"] == 404, "not written yet"

    written = write_round_report.handler(sample("write_round_report.request", circle_id), Context())
    link = show_report.handler(shown, Context())

    assert (written["statusCode"], link["statusCode"]) == (200, 200)
    assert body(written)["html_key"] in body(link)["url"]
    assert body(link)["expires_in_seconds"] == 300


@pytest.mark.parametrize("function", [write_round_report, show_report])
def test_who_does_not_belong_gets_nothing(circle_id: str, function: Any) -> None:
    name = function.__name__.rsplit(".", 1)[-1]

    answer = function.handler(sample(f"{name}.request", circle_id, STRANGER), Context())

    assert answer["statusCode"] == 403
    assert "s3" not in answer["body"]


def test_a_round_that_does_not_exist_is_404_and_a_silly_one_400(circle_id: str) -> None:
    event = sample("write_round_report.request", circle_id)

    event["pathParameters"]["round_number"] = "9"
    assert write_round_report.handler(event, Context())["statusCode"] == 404
    event["pathParameters"]["round_number"] = "../1"
    assert write_round_report.handler(event, Context())["statusCode"] == 400
    shown = sample("show_report.request", circle_id)
    shown["queryStringParameters"] = {"format": "exe"}
    assert show_report.handler(shown, Context())["statusCode"] == 400
