"""The three functions with the sample events, on a real PostgreSQL and an emulated DynamoDB."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import boto3
import pytest
from moto import mock_aws

from functions.ledger import (
    close_period,
    post_matches,
    post_transactions,
    show_statement,
    show_trial_balance,
)
from pardna.identity import wiring as identity
from pardna.ledger import wiring
from pardna.outbox import wiring as outbox
from pardna.runtime import clients, keys
from pardna.runtime.errors import RefusedByRule
from pardna.runtime.paging import encode_cursor
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


def asked(home: Home, name: str, role: str = "", **query: str) -> dict[str, Any]:
    """The sample request with another query, from somebody with this role."""
    request = sample(name)
    who = request["requestContext"]["authorizer"]["claims"]["sub"]
    if role:
        home.dynamodb.put_item(
            TableName="directory",
            Item={
                **dict(
                    zip(("pk", "sk"), ({"S": k} for k in keys.membership(who, TENANT)), strict=True)
                ),
                "roles": {"L": [{"S": role}]},
                "tenant_id": {"S": TENANT},
                "principal": {"S": who},
            },
        )
    return request | {"queryStringParameters": (request["queryStringParameters"] or {}) | query}


def body(answer: dict[str, Any]) -> dict[str, Any]:
    found = json.loads(answer["body"])
    assert isinstance(found, dict)
    return found


def test_the_trial_balance_is_for_those_who_may_read_it(home: Home) -> None:
    post_transactions.handler(sample("post_transactions.stream"), None)
    for function, name in (
        (show_trial_balance, "show_trial_balance.request"),
        (show_statement, "show_statement.request"),
        (close_period, "close_period.request"),
    ):
        assert function.handler(asked(home, name), None)["statusCode"] == 403
    answer = show_trial_balance.handler(asked(home, "show_trial_balance.request", "auditor"), None)
    assert answer["statusCode"] == 200, answer
    found = body(answer)
    assert (found["is_zero"], found["differences_minor"]) == (True, {"JMD": 0})
    assert len(found["accounts"]) == 5
    assert {item["amount_minor"] for item in found["open_items"]} == {500000, -500000}
    assert (found["open_items_count"], found["next_cursor"]) == (2, None)
    assert close_period.handler(asked(home, "close_period.request"), None)["statusCode"] == 403


def test_the_trial_balance_pages_and_looks_back(home: Home) -> None:
    post_transactions.handler(sample("post_transactions.stream"), None)

    def page(**query: str) -> dict[str, Any]:
        request = asked(home, "show_trial_balance.request", "auditor", **query)
        answer = show_trial_balance.handler(request, None)
        assert answer["statusCode"] == 200, answer
        return body(answer)

    whole = page()["accounts"]
    first = page(limit="3")
    rest = page(limit="3", cursor=first["next_cursor"])
    assert (first["accounts"] + rest["accounts"], rest["next_cursor"]) == (whole, None)
    assert "open_items" not in rest
    past = page(as_of="2100-01-01T00:00:00Z", limit="3")
    assert past["basis"] == "effective"
    more = page(as_of="2100-01-01T00:00:00Z", limit="3", cursor=past["next_cursor"])
    ended = {a["account"]: a["balance_minor"] for a in whole}
    assert {a["account"]: a["balance_minor"] for a in past["accounts"] + more["accounts"]} == ended
    before = page(as_of="2020-01-01T00:00:00+00:00", basis="recorded")["accounts"]
    assert {a["balance_minor"] for a in before} == {0}


def test_a_statement_goes_on_where_it_ended(home: Home) -> None:
    post_transactions.handler(sample("post_transactions.stream"), None)
    accounts = body(
        show_trial_balance.handler(asked(home, "show_trial_balance.request", "auditor"), None)
    )["accounts"]
    for account in accounts:
        lines, cursor = [], ""
        while True:
            request = asked(
                home,
                "show_statement.request",
                account=account["account"],
                currency="JMD",
                limit="1",
                cursor=cursor,
            )
            page = body(show_statement.handler(request, None))
            if not page["lines"]:
                break
            lines += page["lines"]
            cursor = page["next_cursor"]
        assert page["next_cursor"] == (cursor or None)
        total = account["debits_minor"] - account["credits_minor"]
        assert sum(line["amount_minor"] for line in lines) == total
        assert lines[-1]["balance_minor"] == total


@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("show_trial_balance.request", {"as_of": "yesterday"}),
        ("show_trial_balance.request", {"as_of": "2026-01-01T00:00:00"}),
        ("show_trial_balance.request", {"as_of": "0001-01-01T00:00:00Z"}),
        ("show_trial_balance.request", {"as_of": "2026-01-01T00:00:00Z", "basis": "both"}),
        ("show_trial_balance.request", {"cursor": "x"}),
        ("show_trial_balance.request", {"limit": "0"}),
        ("show_trial_balance.request", {"prefix": "é"}),
        ("show_statement.request", {"account": ""}),
        ("show_statement.request", {"currency": "jmd"}),
        ("show_statement.request", {"cursor": encode_cursor("not-a-journal", 1)}),
        ("show_statement.request", {"cursor": encode_cursor(str(UUID(int=0)), 40_000)}),
    ],
)
def test_what_cannot_be_asked_is_refused(home: Home, name: str, query: dict[str, str]) -> None:
    function = show_statement if "statement" in name else show_trial_balance
    answer = function.handler(asked(home, name, "auditor", **query), None)
    assert answer["statusCode"] == 400, answer


def test_a_banker_closes_the_books(home: Home) -> None:
    request = asked(home, "close_period.request", "banker")
    for _ in range(2):
        answer = close_period.handler(request, None)
        assert (answer["statusCode"], body(answer)["closed_until"]) == (
            200,
            "2026-01-01T00:00:00+00:00",
        )
    shown = body(show_trial_balance.handler(asked(home, "show_trial_balance.request"), None))
    assert shown["closed_until"] == "2026-01-01T00:00:00+00:00"
    for until in ('"2025-01-01T00:00:00Z"', '"2100-01-01T00:00:00Z"', '"2026-01-01"', "5"):
        refused = close_period.handler(request | {"body": f'{{"until": {until}}}'}, None)
        assert refused["statusCode"] == 400, until
