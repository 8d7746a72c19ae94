"""The handlers of circles, payments and notifications on their sample events."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto.core import DEFAULT_ACCOUNT_ID
from moto.ses.models import ses_backends

from functions.approvals import (
    decide_approval,
    list_approvals,
    request_approval,
    sweep_approvals,
)
from functions.circles import create_circle, open_round, send_receipts, show_circle, show_round
from functions.circles import start_round as start
from functions.notifications import send_notification
from functions.payments import charge_card, write_payment_file
from pardna.runtime.errors import NotFound
from tests.support.deployed import deployed, join, register, sample
from tests.support.handlers import Context
from tests.support.matching import TABLE, create_match_table
from tests.support.postgres import TestDatabase


@pytest.fixture
def town(database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with deployed(
        database, monkeypatch, STRIPE_API_BASE="http://127.0.0.1:9", PAYOUT_ROUND_MACHINE_ARN="none",
        MATCH_TABLE=TABLE, MATCHING_DECISION_MACHINE_ARN="none",
    ):  # fmt: skip
        create_match_table(boto3.client("dynamodb"))
        place = {"host": "h", "port": 22, "user": "u", "host_key": "k", "secret_id": "s"}
        bank: dict[str, Any] = {"provider": "ncb", "channels": ("sftp",), "currency": "JMD"}
        register("ncb-main", account="404385912", sftp=place, **bank)
        register("stripe-main", provider="stripe", channels=("webhook",), secret_id="stripe")
        boto3.client("secretsmanager").create_secret(
            Name="stripe", SecretString=json.dumps({"api_key": "sk_test_12345"})
        )
        join("ann", "banker")
        join("ben", "approver")
        boto3.client("sesv2").create_email_identity(EmailIdentity="receipts@example.com")
        yield


def called(handler: Any, event: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    answer = handler.handler(event, Context())
    return answer["statusCode"], json.loads(answer["body"])


def by(principal: str, event: dict[str, Any]) -> dict[str, Any]:
    event["requestContext"]["authorizer"]["claims"]["sub"] = principal
    return event


def test_a_circle_is_created_shown_and_found_again(town: None) -> None:
    event = sample("circles", "create_circle.five_members")
    status, made = called(create_circle, event)
    assert (status, made["status"], len(made["rounds"])) == (201, "ready", 5)
    assert called(create_circle, event) == (200, made)
    assert called(show_circle, sample("circles", "show_circle.found")) == (200, made)
    shown = json.dumps(made)
    assert "10000001" not in shown
    assert "example.com" not in shown


def test_a_round_opens_and_is_shown(town: None) -> None:
    called(create_circle, sample("circles", "create_circle.five_members"))
    step = sample("circles", "open_round.first")
    assert open_round.handler(step, Context()) == {"outcome": "opened"}
    status, shown = called(show_round, sample("circles", "show_round.first"))
    assert (status, shown["status"], shown["paid"]) == (200, "collecting", "J$0.00")
    assert len(shown["contributions"]) == 5
    outbox = boto3.client("dynamodb").scan(TableName="outbox")["Items"]
    kinds = sorted(i["event_type"]["S"] for i in outbox)
    assert kinds == [
        *["card_charge.requested"] * 3,
        *["notification.requested"] * 2,
        *["transaction.recorded"] * 5,
    ]
    assert send_receipts.handler(sample("circles", "send_receipts.first"), Context()) == {
        "outcome": "announced"
    }


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"hand_minor": 12.5}, "request.body"),
        ({"hand_minor": -1}, "circle.invalid"),
        ({"currency": "XXX"}, "circle.invalid"),
        ({"currency": "USD"}, "circle.currency"),
        ({"members": []}, "request.body"),
        ({"draw_order": ["marcia"]}, "circle.draw_order"),
        ({"bank_source_id": "nowhere"}, "payment.no_bank"),
        ({"unknown": 1}, "request.body"),
        ({"starts_on": "yesterday"}, "request.body"),
    ],
)
def test_circles_that_are_refused(town: None, change: dict[str, Any], code: str) -> None:
    event = sample("circles", "create_circle.five_members")
    event["body"] = json.dumps(json.loads(event["body"]) | change)
    status, body = called(create_circle, event)
    assert 400 <= status < 500
    assert body["code"] == code


def test_a_card_member_needs_a_card(town: None) -> None:
    assert called(create_circle, sample("circles", "create_circle.no_card"))[1]["code"] == (
        "circle.card"
    )


def test_another_circle_under_the_same_reference(town: None) -> None:
    event = sample("circles", "create_circle.five_members")
    called(create_circle, event)
    event["body"] = json.dumps(json.loads(event["body"]) | {"name": "Others"})
    assert called(create_circle, event)[1]["code"] == "circle.differs"


def test_strangers_and_approvers_create_nothing(town: None) -> None:
    event = sample("circles", "create_circle.five_members")
    assert called(create_circle, by("ben", event))[0] == 403
    assert called(create_circle, by("eve", event))[0] == 403
    assert called(create_circle, by("", event))[0] == 401
    assert called(show_circle, sample("circles", "show_circle.found"))[0] == 404


@pytest.mark.parametrize(
    "wrong",
    [
        {"round_number": "0"},
        {"round_number": "100"},
        {"round_number": "x"},
        {"circle_id": "../etc"},
    ],
)
def test_paths_that_name_nothing(town: None, wrong: dict[str, str]) -> None:
    event = sample("circles", "start_round.first")
    event["pathParameters"] |= wrong
    assert called(start, event)[1]["code"] == "request.path"


def test_a_file_needs_an_approval_of_this_payment(town: None) -> None:
    with pytest.raises(NotFound, match=r"payment\.not_found"):
        write_payment_file.handler(sample("payments", "write_payment_file.approved"), Context())


def test_an_approval_by_its_sample_events(town: None) -> None:
    request_approval.handler(sample("approvals", "request_approval.payout"), Context())
    status, listed = called(list_approvals, sample("approvals", "list_approvals.pending"))
    assert (status, [a["requested_by"] for a in listed["approvals"]]) == (200, ["ann"])
    assert "token" not in json.dumps(listed)
    own = sample("approvals", "decide_approval.own_request")
    assert called(decide_approval, own)[1]["code"] == "approval.own_request"
    status, decided = called(decide_approval, sample("approvals", "decide_approval.approve"))
    assert (status, decided["status"], decided["decided_by"]) == (200, "approved", "ben")
    sweep = sample("approvals", "sweep_approvals.schedule")
    assert sweep_approvals.handler(sweep, Context()) == {"told_count": 0, "started_count": 0}


def test_a_charge_whose_provider_is_down_comes_back(town: None) -> None:
    answer = charge_card.handler(sample("payments", "charge_card.one"), Context())
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m-1"}]}


def test_a_message_that_nobody_can_read_comes_back(town: None) -> None:
    answer = charge_card.handler(sample("payments", "charge_card.unreadable"), Context())
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m-1"}]}


def test_a_receipt_is_sent_once_and_no_address_is_logged(
    town: None, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    event = sample("notifications", "send_notification.receipt")
    for _ in range(2):
        assert send_notification.handler(event, Context()) == {"batchItemFailures": []}
    assert len(ses_backends[DEFAULT_ACCOUNT_ID]["us-east-1"].sent_messages) == 1
    logged = capsys.readouterr().out + caplog.text
    assert "marcia@example.com" not in logged
    assert "+1876" not in logged
