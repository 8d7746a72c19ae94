"""The functions of quality as they are deployed: bytes in, rows put aside, decided, reported, told."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import psycopg
import pytest

from functions.ingestion import (
    correct_quarantined,
    list_profiles,
    list_quarantine,
    normalise_object,
    register_source,
    report_quality,
    save_profile,
    show_source,
    try_profile,
)
from pardna.identity import wiring as identity
from pardna.identity.model import Role
from pardna.ingestion.dynamodb import DynamoSources
from pardna.ingestion.model import RawKey, Receipt
from pardna.ingestion.s3 import S3RawStore
from tests.support.deployed import deployed, join, sample
from tests.support.handlers import Context
from tests.support.ingestion import a_bank_source
from tests.support.postgres import TestDatabase
from tests.support.quarantine import FILE, LAYOUT

OURS = "harbour"
CARD = "4111 1111 1111 1111"


@pytest.fixture
def stores(database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestDatabase]:
    with deployed(database, monkeypatch, RAW_BUCKET="raw", LAKE_BUCKET="lake"):
        for bucket in ("raw", "lake"):
            boto3.client("s3").create_bucket(Bucket=bucket)
        join("ann", Role.OPERATOR, tenant_id=OURS)
        join("bob", Role.BANKER, tenant_id=OURS)
        join("max", Role.MEMBER, tenant_id=OURS)
        join("eve", Role.OPERATOR, tenant_id="rival-union")
        source = a_bank_source(tenant_id=OURS, layout=json.dumps(LAYOUT))
        DynamoSources(boto3.client("dynamodb"), "directory").put(source)
        yield database


def bring(text: str, name: str = "a.csv", at: datetime | None = None) -> RawKey:
    """A file arrives and is normalised."""
    receipt = Receipt("ncb", "sftp", name, at or datetime.now(UTC))
    raw = S3RawStore(boto3.client("s3"), "raw")
    key = RawKey(OURS, raw.put_named(OURS, text.encode(), receipt).raw_sha256)
    event = {"id": "e-1", "detail": {"object": {"key": str(key)}}}
    records = [{"messageId": "m-1", "body": json.dumps(event)}]
    assert normalise_object.handler({"Records": records}, Context()) == {"batchItemFailures": []}
    return key


def ask(handler: Any, principal: str, *, body: Any = None, query: Any = None, **path: str) -> Any:
    """Call a function as the API does; (status, body)."""
    event = {
        "httpMethod": "GET" if body is None else "POST",
        "pathParameters": {"tenant_id": OURS, **path},
        "queryStringParameters": query,
        "headers": {},
        "body": None if body is None else json.dumps(body),
        "requestContext": {
            "requestId": "r-1",
            "authorizer": {"claims": {"sub": principal, "token_use": "id"}},
        },
    }
    answer = handler(event, Context())
    return answer["statusCode"], json.loads(answer["body"])


def decide(principal: str, quarantine_id: str, **body: Any) -> Any:
    return ask(correct_quarantined.handler, principal, body=body, quarantine_id=quarantine_id)


def test_a_bad_row_is_listed_corrected_confirmed_and_counts(stores: TestDatabase) -> None:
    bring(FILE.replace("04/02/2026", "94/02/2026"))
    status, page = ask(list_quarantine.handler, "ann", query={"status": "open"})
    assert status == 200
    (row,) = [e for e in page["quarantine"] if e["code"] == "row.date"]
    assert (row["position"], row["source_id"], page["cursor"]) == ("line 5", "ncb", "")
    change = {"line": 5, "old": "94/02/2026", "new": "04/02/2026"}
    status, proposed = decide(
        "ann", row["quarantine_id"], action="correct", reason="typo", changes=[change]
    )
    assert (status, proposed["state"]) == (202, "proposed")
    confirm = {"action": "confirm", "decision_id": proposed["decision_id"]}
    (other,) = [e for e in page["quarantine"] if e["code"] == "statement.does_not_tie"]
    assert decide("ann", row["quarantine_id"], **confirm)[0] == 422
    assert decide("bob", other["quarantine_id"], **confirm)[0] == 404
    assert decide("bob", row["quarantine_id"], **(confirm | {"action": "withdraw"}))[0] == 403
    assert decide("bob", row["quarantine_id"], **(confirm | {"action": "reject"}))[0] == 400
    status, done = decide("bob", row["quarantine_id"], **confirm)
    assert (status, done["state"], done["new_count"]) == (200, "done", 3)
    assert ask(list_quarantine.handler, "ann", query={"status": "open"})[1]["quarantine"] == []
    left = boto3.client("dynamodb").scan(TableName="outbox")["Items"]
    assert len(left) == 3  # the news left at once


def test_pages_go_on_by_cursor_and_foreign_cursors_are_refused(stores: TestDatabase) -> None:
    bring(FILE + "".join(f"9{n:03}/02/2026,x,R{n},1.00,,0.00\n" for n in range(5)))
    seen, query = [], {"limit": "2"}
    while True:
        _, page = ask(list_quarantine.handler, "ann", query=query)
        seen += [e["position"] for e in page["quarantine"]]
        if not page["cursor"]:
            break
        query = {"limit": "2", "cursor": page["cursor"]}
    assert sorted(seen) == sorted(f"line {n}" for n in range(7, 12))
    for cursor in ("nonsense", base64.urlsafe_b64encode(b'["x", "y"]').decode()):
        assert ask(list_quarantine.handler, "ann", query={"cursor": cursor})[0] == 400


@pytest.mark.parametrize("principal", ["max", "eve", ""])
def test_others_see_and_decide_nothing(stores: TestDatabase, principal: str) -> None:
    for handler in (list_quarantine.handler, list_profiles.handler):
        assert ask(handler, principal)[0] in (401, 403, 404)
    assert decide(principal, "some-id", action="discard", reason="x")[0] in (401, 403, 404)


@pytest.mark.parametrize("strange", ["some-id", "00000000-0000-0000-0000-000000000000", "'; --"])
def test_a_row_that_is_not_there_is_not_found(stores: TestDatabase, strange: str) -> None:
    assert decide("ann", strange, action="discard", reason="x")[0] == 404
    assert decide("ann", strange, action="confirm", decision_id=strange)[0] == 404


def test_card_numbers_close_the_raw_object_and_reach_nothing_else(
    stores: TestDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    key = bring(FILE.replace("Service charge", f"POS {CARD} KGN"), name=f"{CARD}.csv")
    tags = boto3.client("s3").get_object_tagging(Bucket="raw", Key=str(key))["TagSet"]
    assert tags == [{"Key": "card-numbers", "Value": "yes"}]
    _, page = ask(list_quarantine.handler, "ann")
    (row,) = page["quarantine"]
    assert "411111******1111" in row["reason"]
    text = f"POS {CARD} KGN"
    status, done = decide(
        "ann",
        row["quarantine_id"],
        action="correct",
        reason="masked",
        changes=[{"line": 5, "old": text, "new": "POS KGN"}],
    )
    assert (status, done["new_count"]) == (200, 1)
    said = capsys.readouterr()
    everything = json.dumps(boto3.client("dynamodb").scan(TableName="outbox")) + said.out + said.err
    everything += json.dumps(done) + json.dumps(page)
    assert CARD not in everything
    assert CARD.replace(" ", "") not in everything


def test_a_profile_is_tried_saved_as_a_version_and_never_changed(stores: TestDatabase) -> None:
    asked = {"profile": LAYOUT, "sample_base64": base64.b64encode(FILE.encode()).decode()}
    status, tried = ask(try_profile.handler, "ann", body=asked)
    assert (status, tried["good"], tried["read_count"], tried["ties"]) == (200, True, 3, True)
    assert tried["sums_minor"] == {"JMD": 385_000}
    assert [row["position"] for row in tried["rows"]] == ["line 4", "line 5", "line 6"]
    assert ask(list_profiles.handler, "ann")[1] == {"profiles": []}  # nothing was saved
    assert ask(save_profile.handler, "ann", body=asked)[1]["version"] == 1
    assert ask(save_profile.handler, "bob", body=asked)[0] == 403  # a banker is no operator
    assert ask(save_profile.handler, "ann", body=asked)[1]["version"] == 1
    asked["profile"] = LAYOUT | {"newest_first": True}
    assert ask(save_profile.handler, "ann", body=asked)[1]["version"] == 2
    saved = ask(list_profiles.handler, "ann")[1]["profiles"]
    assert [(s["name"], s["version"], s["saved_by"]) for s in saved] == [
        ("bank-download", 1, "ann"),
        ("bank-download", 2, "ann"),
    ]
    assert json.loads(saved[0]["document"])["newest_first"] is False


def a_source(**more: Any) -> dict[str, Any]:
    """What registers ``ncb``, as files that are uploaded."""
    base = {"source_id": "ncb", "provider": "ncb", "channels": ["upload"], "currency": "JMD"}
    return base | {"account": "404385912"} | more


def saved(layout: dict[str, Any], principal: str = "ann") -> int:
    asked = {"profile": layout, "sample_base64": base64.b64encode(FILE.encode()).decode()}
    status, answer = ask(save_profile.handler, principal, body=asked)
    assert status == 201
    return int(answer["version"])


def test_a_source_names_a_saved_profile_and_keeps_the_version_that_it_was_given(
    stores: TestDatabase,
) -> None:
    assert saved(LAYOUT) == 1
    named = a_source(profile={"name": "bank-download"})
    status, answer = ask(register_source.handler, "ann", body=named)
    assert (status, answer["profile_version"]) == (201, 1)
    assert saved(LAYOUT | {"newest_first": True}) == 2
    shown = ask(show_source.handler, "ann", source_id="ncb")[1]
    assert (shown["layout_name"], shown["layout_version"]) == ("bank-download", 1)
    assert json.loads(shown["layout"])["newest_first"] is False
    bring(FILE)
    with psycopg.connect(stores.superuser_conninfo) as connection:
        counted = connection.execute("SELECT count(*) FROM platform.transactions").fetchone()
    assert counted == (3,)

    # Registered anew it is the latest, or the one that is asked for; a layout of its own is neither.
    for body, version in (
        (named, 2),
        (a_source(profile={"name": "bank-download", "version": 1}), 1),
        (a_source(layout=LAYOUT), None),
    ):
        status, answer = ask(register_source.handler, "ann", body=body)
        assert (status, answer["profile_version"]) == (201, version)
        shown = ask(show_source.handler, "ann", source_id="ncb")[1]
        assert shown["layout_version"] == (version or 0)
        assert json.loads(shown["layout"])["newest_first"] is (version == 2)


@pytest.mark.parametrize(
    ("more", "status", "code"),
    [
        ({"profile": {"name": "bank-download", "version": 2}}, 404, "profile.not_found"),
        ({"profile": {"name": "bank"}}, 404, "profile.not_found"),  # a beginning is not a name
        ({"profile": {"name": "theirs"}}, 404, "profile.not_found"),  # another tenant's
        ({"profile": {"name": "bank-download#000001"}}, 400, ""),
        ({"profile": {"name": "../x"}}, 400, ""),
        ({"profile": {"name": "bank-download", "version": -1}}, 400, ""),
        ({"profile": {"name": "bank-download", "version": "latest"}}, 400, ""),
        ({"profile": {"name": "bank-download"}, "layout": LAYOUT}, 400, "source.profile"),
        ({"profile": {"name": "bank-download"}, "format": "camt"}, 400, "source.format"),
    ],
)
def test_a_source_cannot_name_a_profile_that_is_not_there_or_say_two_things(
    stores: TestDatabase, more: dict[str, Any], status: int, code: str
) -> None:
    saved(LAYOUT)
    theirs = {"profile": LAYOUT | {"name": "theirs"}}
    theirs["sample_base64"] = base64.b64encode(FILE.encode()).decode()  # type: ignore[assignment]
    event_of = {"tenant_id": "rival-union"}
    assert ask(save_profile.handler, "eve", body=theirs, **event_of)[0] == 201
    before = ask(show_source.handler, "ann", source_id="ncb")
    answer = ask(register_source.handler, "ann", body=a_source(**more))
    assert answer[0] == status
    assert code in ("", answer[1]["code"])
    assert ask(show_source.handler, "ann", source_id="ncb") == before


def test_a_profile_that_does_not_read_its_sample_is_not_saved(stores: TestDatabase) -> None:
    bad = FILE.replace("04/02/2026", f"94/02/2026 {CARD}")
    asked = {"profile": LAYOUT, "sample_base64": base64.b64encode(bad.encode()).decode()}
    status, tried = ask(try_profile.handler, "ann", body=asked)
    assert (status, tried["good"], tried["refused_count"], tried["ties"]) == (200, False, 1, False)
    assert tried["rows"][1]["problem"]["code"] == "row.date"
    assert CARD not in json.dumps(tried)
    status, refusal = ask(save_profile.handler, "ann", body=asked)
    assert (status, refusal["code"]) == (422, "profile.trial_failed")
    for wrong in ("not base64!", base64.b64encode(b"\x00\x01").decode(), ""):
        asked["sample_base64"] = wrong
        assert ask(save_profile.handler, "ann", body=asked)[0] in (400, 422)
    assert ask(list_profiles.handler, "ann")[1] == {"profiles": []}


def test_a_day_is_reported_once_and_people_are_told(
    stores: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = datetime(2026, 2, 6, 9, tzinfo=UTC)
    bring(FILE, "good.csv", day)
    bring(FILE.replace("04/02/2026", "94/02/2026"), "bad.csv", day)
    bring("not a bank's file", "ugly.csv", day)
    asked = {"tenant_id": OURS, "day": "2026-02-06"}
    assert report_quality.handler(asked, Context()) == {"needing_count": 1}
    assert report_quality.handler(asked, Context()) == {"needing_count": 1}
    s3 = boto3.client("s3")
    key = f"reports/{OURS}/quality/2026-02-06/report"
    report = json.loads(s3.get_object(Bucket="packs", Key=f"{key}.json")["Body"].read())
    (source,) = report["sources"]
    assert source["deliveries"] == {"accepted": 1, "quarantined": 1, "refused": 1}
    assert source["continuity"] == "interrupted"
    assert source["quarantine_open_count"] == 2
    assert "ncb: 1 deliveries refused" in report["needs_a_person"]
    html = s3.get_object(Bucket="packs", Key=f"{key}.html")["Body"].read().decode()
    assert "<td>ncb</td>" in html
    items = boto3.client("dynamodb").scan(TableName="outbox")["Items"]
    (alert,) = [e for i in items if (e := json.loads(i["envelope"]["S"]))["event_type"] == "alert.raised"]  # fmt: skip
    assert "ncb: 1 deliveries quarantined" in alert["data"]["message"]


def test_a_quiet_day_tells_nobody(stores: TestDatabase) -> None:
    asked = {"tenant_id": OURS, "day": "2026-02-06"}
    assert report_quality.handler(asked, Context()) == {"needing_count": 0}
    assert boto3.client("dynamodb").scan(TableName="outbox")["Items"] == []


def test_the_samples_are_answered(stores: TestDatabase) -> None:
    for name, handler, expected in (
        ("list_quarantine.open", list_quarantine.handler, {403, 404}),
        ("correct_quarantined.correct", correct_quarantined.handler, {403, 404}),
        ("correct_quarantined.discard", correct_quarantined.handler, {403, 404}),
        ("try_profile.sample", try_profile.handler, {403, 404}),
        ("save_profile.sample", save_profile.handler, {403, 404}),
        ("list_profiles.request", list_profiles.handler, {403, 404}),
    ):
        assert handler(sample("ingestion", name), Context())["statusCode"] in expected
    join("11111111-1111-4111-8111-111111111111", Role.OPERATOR, tenant_id="kgn-one")
    identity.access.cache_clear()
    for name, handler, status in (
        ("list_quarantine.open", list_quarantine.handler, 200),
        ("correct_quarantined.correct", correct_quarantined.handler, 404),
        ("correct_quarantined.discard", correct_quarantined.handler, 404),
        ("try_profile.sample", try_profile.handler, 200),
        ("save_profile.sample", save_profile.handler, 201),
        ("list_profiles.request", list_profiles.handler, 200),
    ):
        assert handler(sample("ingestion", name), Context())["statusCode"] == status
    assert report_quality.handler(sample("ingestion", "report_quality.one_tenant"), Context()) == {
        "needing_count": 0
    }
