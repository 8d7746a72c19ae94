"""The three functions with the sample events, on a real PostgreSQL and an emulated DynamoDB."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from functions.ledger import post_matches, post_transactions, show_trial_balance
from pardna.identity import wiring as identity
from pardna.ledger import wiring
from pardna.outbox import wiring as outbox
from pardna.runtime import clients, keys
from pardna.runtime.errors import RefusedByRule
from pardna.runtime.settings import settings
from tests.support.ledger import assert_sound, balances, rows
from tests.support.matching import create_match_table
from tests.support.outbox import make_directory_table, make_outbox_table
from tests.support.postgres import TestDatabase

EVENTS = Path(__file__).parents[3] / "events" / "ledger"
TENANT = "kgn-one"
CACHES = (
    settings,
    clients.client,
    wiring.ledger,
    wiring.transaction_consumer,
    wiring.match_consumer,
    outbox.departures,
    identity.access,
    identity._directory,
)


def sample(name: str) -> dict[str, Any]:
    loaded = json.loads((EVENTS / f"{name}.json").read_text())
    assert isinstance(loaded, dict)
    return loaded


class Home:
    """The stores behind the functions."""

    def __init__(self, database: TestDatabase, dynamodb: Any) -> None:
        self.database = database
        self.dynamodb = dynamodb

    @property
    def runtime(self) -> str:
        return self.database.runtime_conninfo

    def poison(self) -> list[dict[str, Any]]:
        items = self.dynamodb.scan(TableName="outbox")["Items"]
        return [json.loads(item["envelope"]["S"])["data"] for item in items]

    def put(self, table: str, key: tuple[str, str], **values: str | int) -> None:
        item = {"pk": {"S": key[0]}, "sk": {"S": key[1]}, "tenant_id": {"S": TENANT}}
        typed = {n: {"N": str(v)} if isinstance(v, int) else {"S": v} for n, v in values.items()}
        self.dynamodb.put_item(TableName=table, Item=item | typed)

    def put_match(self, status: str) -> None:
        """The match of the sample's contribution and charge."""
        legs = [
            ("internal", "contribution", "pardna:circle-1", "contribution-1"),
            ("psp", "charge", "stripe:acct_1", "txn_1"),
        ]
        from pardna.transactions.model import transaction_id

        for side, kind, source, external in legs:
            identity_ = transaction_id(TENANT, source, external)
            self.put(
                "match",
                keys.match_member(TENANT, "m-1", identity_),
                kind="match_member",
                transaction_id=identity_,
                side=side,
                transaction_kind=kind,
                source=source,
                basis_minor=500000,
                currency="JMD",
            )
        self.put(
            "match",
            keys.match(TENANT, "m-1"),
            kind="match",
            match_id="m-1",
            version=1,
            pair="internal~psp",
            status=status,
            decided_at="2026-01-31T12:00:00.000Z",
            list_pk=keys.listing(TENANT, "match", f"{status}.00"),
            list_sk="2026-01-31T12:00:00.000Z#m-1",
        )


@pytest.fixture
def home(database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    monkeypatch.setenv("DATABASE_URL", database.runtime_conninfo)
    for name in ("OUTBOX_TABLE", "MATCH_TABLE", "DIRECTORY_TABLE"):
        monkeypatch.setenv(name, name.partition("_")[0].lower())
    with mock_aws():
        for cache in CACHES:
            cache.cache_clear()
        client = boto3.client("dynamodb")
        make_outbox_table(client, "outbox")
        make_directory_table(client, "directory")
        create_match_table(client, "match")
        yield Home(database, client)
        wiring.ledger()._books._database.close()  # type: ignore[attr-defined]
        for cache in CACHES:
            cache.cache_clear()


def test_a_stream_posts_once_however_often_it_comes(home: Home) -> None:
    for _ in range(2):
        answer = post_transactions.handler(sample("post_transactions.stream"), None)
        assert answer == {"batchItemFailures": []}
    assert balances(home.runtime, TENANT) == {
        "clearing:pardna:circle-1": 500000,
        "pot:circle-1": 500000,
        "psp_balance:stripe:acct_1": 480500,
        "fees:stripe:acct_1": 19500,
        "clearing:stripe:acct_1": -500000,
    }
    assert_sound(home.runtime, TENANT)
    assert home.poison() == []


def test_poison_leaves_whole_and_the_rest_goes_on(home: Home) -> None:
    for _ in range(2):
        post_transactions.handler(sample("post_transactions.poison"), None)
    [poison] = home.poison()
    assert poison["consumer"] == "post_transactions"
    assert poison["code"] == "event.unreadable"
    assert "not an event" in poison["record"]
    assert balances(home.runtime, TENANT)["psp_balance:stripe:acct_1"] == 480500


def test_a_redriven_record_is_posted(home: Home) -> None:
    post_transactions.handler(sample("post_transactions.redriven"), None)
    assert balances(home.runtime, TENANT)["psp_balance:stripe:acct_1"] == 480500


def test_a_refused_record_is_poison(home: Home) -> None:
    """The same version with other content: somebody rewrote history."""
    import base64

    event = sample("post_transactions.stream")
    post_transactions.handler(event, None)
    body = base64.b64decode(event["Records"][0]["kinesis"]["data"]).replace(b"500000", b"500001")
    event["Records"][0]["kinesis"]["data"] = base64.b64encode(body).decode()
    post_transactions.handler(event, None)
    [poison] = home.poison()
    assert (poison["code"], poison["record"]) == ("ledger.key_reused", body.decode())
    # Redriven, it fails as before: its message must stay, for it is not put aside a second time.
    with pytest.raises(RefusedByRule, match=r"record\.still_poison"):
        post_transactions.handler({"Records": [{"body": body.decode()}]}, None)


@pytest.mark.parametrize("case", ["post_matches.stream", "post_matches.state"])
def test_a_match_clears(home: Home, case: str) -> None:
    post_transactions.handler(sample("post_transactions.stream"), None)
    home.put_match("committed")
    for _ in range(2):
        post_matches.handler(sample(case), None)
    left = balances(home.runtime, TENANT)
    assert not [account for account in left if account.startswith("clearing")]
    marked = "SELECT status, match_id FROM ledger.matched_legs"
    assert rows(home.runtime, marked, TENANT) == [("committed", "m-1")] * 2

    home.put_match("unmatched")
    post_matches.handler(sample(case), None)
    assert balances(home.runtime, TENANT)["clearing:stripe:acct_1"] == -500000
    assert_sound(home.runtime, TENANT)
    assert home.poison() == []


def test_the_state_is_told_what_happened(home: Home) -> None:
    assert post_matches.handler(sample("post_matches.state"), None) == {
        "outcome": "posted",
        "posted_count": 0,
        "refused_count": 0,
        "refused": [],
    }
    home.put_match("committed")
    assert post_matches.handler(sample("post_matches.state"), None)["posted_count"] == 1


def test_records_that_are_about_no_match_are_passed_over(home: Home) -> None:
    event = sample("post_matches.stream")
    event["Records"][0]["dynamodb"]["NewImage"] = {"kind": {"S": "leg"}, "status": {"S": "open"}}
    event["Records"].append({"eventName": "REMOVE", "dynamodb": {"Keys": {}}})
    post_matches.handler(event, None)
    assert home.poison() == []


def test_a_match_that_cannot_be_read_is_poison(home: Home) -> None:
    home.put_match("committed")
    home.dynamodb.update_item(
        TableName="match",
        Key=dict(zip(("pk", "sk"), ({"S": k} for k in keys.match(TENANT, "m-1")), strict=True)),
        UpdateExpression="REMOVE decided_at",
    )
    post_matches.handler(sample("post_matches.stream"), None)
    [poison] = home.poison()
    assert (poison["consumer"], poison["code"]) == ("post_matches", "match.unreadable")


def test_the_trial_balance_is_for_those_who_may_read_it(home: Home) -> None:
    post_transactions.handler(sample("post_transactions.stream"), None)
    request = sample("show_trial_balance.request")
    assert show_trial_balance.handler(request, None)["statusCode"] == 403
    who = request["requestContext"]["authorizer"]["claims"]["sub"]
    home.dynamodb.put_item(
        TableName="directory",
        Item={
            **dict(
                zip(("pk", "sk"), ({"S": k} for k in keys.membership(who, TENANT)), strict=True)
            ),
            "roles": {"L": [{"S": "auditor"}]},
            "tenant_id": {"S": TENANT},
            "principal": {"S": who},
        },
    )
    answer = show_trial_balance.handler(request, None)
    assert answer["statusCode"] == 200, answer
    body = json.loads(answer["body"])
    assert (body["is_zero"], body["differences_minor"]) == (True, {"JMD": 0})
    assert len(body["accounts"]) == 5
    assert {item["amount_minor"] for item in body["open_items"]} == {500000, -500000}
