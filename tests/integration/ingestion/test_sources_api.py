"""Sources and deliveries through the real handlers: PostgreSQL as it is, AWS emulated."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest

from functions.ingestion import (
    change_source,
    list_deliveries,
    list_sources,
    normalise_object,
    poll_provider,
    replay_deliveries,
    rotate_secret,
    show_source,
)
from pardna.ingestion import source_wiring, store_wiring, wiring
from pardna.ingestion.model import Receipt
from pardna.runtime.errors import Unavailable
from pardna.runtime.paging import encode_cursor
from pardna.transactions.postgres import PostgresTransactionStore
from tests.integration.ingestion.conftest import ADMIN, BANK, STRIPE, Deployed, close_databases
from tests.support.counted import counted_calls
from tests.support.formats import a_camt053, an_entry
from tests.support.handlers import Context, a_request
from tests.support.ingestion import SECRET, SECRET_ID, TENANT, stripe_signature
from tests.support.outbox import make_outbox_table
from tests.unit.formats.test_stripe import event
from tests.unit.ingestion.test_normalise import a_file

EVENTS = Path(__file__).resolve().parents[3] / "events" / "ingestion"
GROUP = "sources"


def paid(event_id: str, charge: str = "ch_00000000000001", **more: Any) -> bytes:
    """A paid intent, told by an event of this id."""
    intent = {
        "id": "pi_00000000000001",
        "object": "payment_intent",
        "amount": 500_000,
        "amount_received": 500_000,
        "currency": "jmd",
        "metadata": {},
        "latest_charge": charge,
    }
    told = json.loads(event("payment_intent.succeeded", intent)) | {"id": event_id} | more
    return json.dumps(told).encode()


class Desk:
    """The functions for people, and what stands behind them."""

    def __init__(self, deployed: Deployed) -> None:
        self.deployed = deployed
        self.scheduler = boto3.client("scheduler")
        self.vault = boto3.client("secretsmanager")

    def call(
        self,
        function: Any,
        body: Any = None,
        *,
        source_id: str = "",
        query: dict[str, str] | None = None,
        principal: str = ADMIN,
        tenant_id: str = TENANT,
    ) -> tuple[int, Any]:
        path = {"tenant_id": tenant_id} | ({"source_id": source_id} if source_id else {})
        text = "" if body is None else json.dumps(body)
        request = a_request(text, path=path, principal=principal)
        request["queryStringParameters"] = query
        answer = function.handler(request, Context())
        return answer["statusCode"], json.loads(answer["body"])

    def schedules(self) -> dict[str, str]:
        names = [s["Name"] for s in self.scheduler.list_schedules(GroupName=GROUP)["Schedules"]]
        whole = [self.scheduler.get_schedule(Name=n, GroupName=GROUP) for n in names]
        return {s["ScheduleExpression"]: s["State"] for s in whole}

    def replayed(self) -> list[dict[str, str]]:
        """Give what was requested to the function that normalises, as its queue would."""
        rows = self.deployed.rows(
            "SELECT envelope FROM platform.outbox WHERE event_type = 'delivery.replay_requested'"
        )
        records = [{"messageId": str(n), "body": row[0]} for n, row in enumerate(rows)]
        return list(normalise_object.handler({"Records": records}, Context())["batchItemFailures"])


@pytest.fixture
def desk(deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    account = "us-east-1:123456789012"
    monkeypatch.setenv("SOURCE_SCHEDULE_GROUP", GROUP)
    monkeypatch.setenv("SOURCE_SCHEDULE_ROLE_ARN", "arn:aws:iam::123456789012:role/r")
    monkeypatch.setenv("FAILED_INVOCATIONS_QUEUE_ARN", f"arn:aws:sqs:{account}:q")
    for name in ("POLL_PROVIDER_ARN", "PULL_FILES_ARN", "FETCH_MAIL_ARN"):
        monkeypatch.setenv(name, f"arn:aws:lambda:{account}:function:{name.lower()}")
    boto3.client("scheduler").create_schedule_group(Name=GROUP)
    caches = [f for f in vars(source_wiring).values() if hasattr(f, "cache_clear")]
    for cached in caches:
        cached.cache_clear()
    yield Desk(deployed)
    close_databases()
    for cached in caches:
        cached.cache_clear()


def test_sources_are_listed_and_shown_without_their_secrets(desk: Desk) -> None:
    desk.deployed.register(STRIPE)
    desk.deployed.register(BANK)
    status, listed = desk.call(list_sources)
    assert (status, [s["source_id"] for s in listed["sources"]]) == (200, ["ncb", "stripe"])
    status, shown = desk.call(show_source, source_id="stripe")
    assert (status, shown["enabled"], shown["schedules"], shown["cursor"]) == (200, True, {}, "")
    assert SECRET not in json.dumps([listed, shown])
    assert desk.call(show_source, source_id="nobody")[0] == 404


def test_a_source_is_switched_off_and_on_and_its_schedule_with_it(desk: Desk) -> None:
    desk.deployed.register(STRIPE)
    hourly = {"schedules": {"poll": "rate(1 hour)"}}
    for _ in range(2):
        assert desk.call(change_source, hourly, source_id="stripe")[0] == 200
    assert desk.schedules() == {"rate(1 hour)": "ENABLED"}
    assert desk.call(change_source, {"enabled": False}, source_id="stripe")[1]["enabled"] is False
    assert desk.schedules() == {"rate(1 hour)": "DISABLED"}
    refused = desk.deployed.webhook(paid("evt_1"))
    assert (refused["statusCode"], json.loads(refused["body"])["code"]) == (404, "webhook.disabled")
    assert desk.deployed.webhook(paid("evt_1"), signature="t=1,v1=0")["statusCode"] == 400
    assert desk.deployed.keys() == []
    one = {"tenant_id": TENANT, "source_id": "stripe"}  # no key is there: it would fail if asked
    assert poll_provider.handler(one, Context()) == {"seen_count": 0, "new_count": 0}
    desk.deployed.register(STRIPE | {"currency": "JMD"})
    assert desk.deployed.webhook(paid("evt_1"))["statusCode"] == 404
    desk.call(change_source, {"enabled": True}, source_id="stripe")
    assert desk.deployed.webhook(paid("evt_1"))["statusCode"] == 202
    assert desk.schedules() == {"rate(1 hour)": "ENABLED"}
    desk.call(change_source, {"schedules": {}}, source_id="stripe")
    assert desk.schedules() == {}


def test_a_secret_is_rotated_and_both_are_valid_until_its_end(desk: Desk) -> None:
    desk.deployed.register(STRIPE)
    assert desk.deployed.webhook(paid("evt_1"))["statusCode"] == 202
    body = {"secret": "whsec_the_next_one", "previous_valid_seconds": 3600}
    before = datetime.now(UTC)
    status, answer = desk.call(rotate_secret, body, source_id="stripe")
    until = datetime.fromisoformat(answer["previous_valid_until"])
    assert (status, "whsec" in json.dumps(answer)) == (200, False)
    assert timedelta(minutes=59) < until - before < timedelta(minutes=61)
    again = desk.call(rotate_secret, body, source_id="stripe")[1]
    assert datetime.fromisoformat(again["previous_valid_until"]) == until
    store_wiring.secrets.cache_clear()
    wiring.capture_webhook.cache_clear()
    for number, secret in enumerate((SECRET, "whsec_the_next_one"), 2):
        sent = paid(f"evt_{number}")
        signed = stripe_signature(sent, secret, datetime.now(UTC))
        assert desk.deployed.webhook(sent, signature=signed)["statusCode"] == 202
    assert desk.vault.list_secrets()["SecretList"][0]["Name"] == f"{SECRET_ID}/webhook"
    body = {"secret": "whsec_the_third", "previous_valid_seconds": 0}
    assert desk.call(rotate_secret, body, source_id="stripe")[1]["previous_valid_until"] is None


def test_what_we_sign_in_with_is_replaced_without_being_shown(desk: Desk) -> None:
    desk.deployed.register(STRIPE)
    desk.deployed.register(BANK)
    for source_id, channel, secret in (
        ("stripe", "poll", "rk_live_first"),
        ("stripe", "poll", "rk_live_second"),
        ("ncb", "sftp", "letmein"),
    ):
        body = {"channel": channel, "secret": secret}
        status, answer = desk.call(rotate_secret, body, source_id=source_id)
        assert (status, answer) == (200, {"source_id": source_id, "channel": channel})
    kept = {
        s["Name"]: json.loads(desk.vault.get_secret_value(SecretId=s["Name"])["SecretString"])
        for s in desk.vault.list_secrets()["SecretList"]
    }
    assert kept == {
        f"{SECRET_ID}/webhook": {"webhook_secret": SECRET},
        SECRET_ID: {"api_key": "rk_live_second"},
        f"/pardna/local/{TENANT}/ncb": {"password": "letmein"},
    }
    before = desk.vault.get_secret_value(SecretId=SECRET_ID, VersionStage="AWSPREVIOUS")
    assert json.loads(before["SecretString"]) == {"api_key": "rk_live_first"}
    assert "rk_live" not in json.dumps(desk.call(show_source, source_id="stripe")[1])
    for wrong in (
        {"channel": "email", "secret": "letmein"},
        {"channel": "sftp", "secret": "-----BEGIN OPENSSH PRIVATE KEY-----\nnonsense"},
        {"channel": "sftp", "secret": ""},
        {"channel": "sftp", "secret": "letmein", "previous_valid_seconds": 60},
        {"channel": "pigeon", "secret": "letmein"},
        {"secret": "short"},
    ):
        assert desk.call(rotate_secret, wrong, source_id="ncb")[0] == 400
    body = {"channel": "sftp", "secret": "letmein"}
    assert desk.call(rotate_secret, body, source_id="ncb", principal="stranger")[0] == 403


def test_events_that_no_webhook_told_of_are_filled_in_by_polling_and_counted(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.deployed.register(STRIPE)
    now = int(datetime.now(UTC).timestamp())
    events = [paid(f"evt_{n}", f"ch_0000000000000{n}", created=now + n) for n in range(4)]
    for told in (events[2], events[0]):  # out of order, and two never come
        desk.deployed.webhook(told)
    assert desk.deployed.normalise() == []
    listed = {"object": "list", "url": "/v1/events", "data": [json.loads(e) for e in events]}
    receipt = Receipt("stripe", "poll", "events/2026-01-31/evt_3", datetime.now(UTC))
    kept = store_wiring.raw_store().put_once(TENANT, json.dumps(listed).encode(), receipt)
    for _ in range(2):
        assert desk.deployed.normalise(f"raw/{TENANT}/{kept.raw_sha256}") == []
    charges = desk.deployed.rows("SELECT count(*), max(version) FROM platform.transactions")
    assert charges == [(4, 1)]
    activity = desk.call(show_source, source_id="stripe")[1]["activity"]
    assert activity["filled_by_polling_count"] == 2
    assert None not in activity.values()
    assert capsys.readouterr().out.count('"EventsFilledByPolling":[2.0]') == 1
    desk.deployed.webhook(events[1])  # late after all
    assert desk.deployed.normalise() == []
    after = desk.call(show_source, source_id="stripe")[1]["activity"]
    assert after["filled_by_polling_count"] == 1
    desk.deployed.register(BANK)
    quiet = desk.call(show_source, source_id="ncb")[1]["activity"]
    assert (quiet["last_webhook_at"], quiet["filled_by_polling_count"]) == (None, 0)


def test_an_event_sent_again_in_other_bytes_counts_once_in_whatever_order(desk: Desk) -> None:
    desk.deployed.register(STRIPE)
    sent = [paid("evt_1", pending_webhooks=n) for n in range(4)] + [
        paid("evt_0", api_version="2020-08-27")
    ]
    with ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(desk.deployed.webhook, sent))
    assert {a["statusCode"] for a in answers} == {202}
    assert len(desk.deployed.keys()) == 5
    assert desk.deployed.normalise() == []
    status, page = desk.call(list_deliveries, query={"source_id": "stripe"})
    found = sorted((d["event_id"], d["status"]) for d in page["deliveries"])
    assert status == 200
    assert found == [("evt_0", "accepted"), ("evt_1", "accepted")] + [("evt_1", "duplicate")] * 3
    assert desk.deployed.rows("SELECT count(*) FROM platform.transactions") == [(1,)]


def test_deliveries_are_listed_in_pages_by_source_and_status(desk: Desk) -> None:
    desk.deployed.register(STRIPE)
    desk.deployed.register(BANK)
    for number in range(5):
        desk.deployed.webhook(paid(f"evt_{number}"))
    desk.deployed.webhook(b"not an event", as_base64=True)
    broken = a_camt053(an_entry(reference="NO"), closing="1.00")
    receipt = Receipt("ncb", "sftp", "bad.xml", datetime.now(UTC))
    store_wiring.raw_store().put_named(TENANT, broken, receipt)
    assert desk.deployed.normalise() == []
    seen: list[Any] = []
    query = {"limit": "2"}
    while True:
        _, page = desk.call(list_deliveries, query=query)
        assert len(page["deliveries"]) <= 2
        seen += page["deliveries"]
        if page["next"] is None:
            break
        query["cursor"] = page["next"]
    assert len({d["raw_sha256"] for d in seen}) == len(seen) == 7
    times = [d["received_at"] for d in seen]
    assert times == sorted(times, reverse=True)

    def names(**query: str) -> list[str]:
        return [d["status"] for d in desk.call(list_deliveries, query=query)[1]["deliveries"]]

    assert names(source_id="stripe", status="refused") == ["refused"]
    assert names(source_id="ncb") == ["quarantined"]
    assert names(status="accepted") == ["accepted"] * 5
    assert names(source_id="nobody") == names(status="duplicate") == []


def test_what_was_begun_and_came_to_nothing_is_pending_and_no_object_is_looked_for(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.deployed.register(STRIPE)
    for number in range(5):
        desk.deployed.webhook(paid(f"evt_{number}"))
    done, *waiting = desk.deployed.keys()
    desk.deployed.normalise(done)

    def fails(*_: object, **__: object) -> None:
        raise Unavailable("database.unavailable", "told to fail")

    with monkeypatch.context() as patched:
        patched.setattr(PostgresTransactionStore, "record", fails)
        assert len(desk.deployed.normalise(*waiting)) == 4
    with counted_calls("s3") as calls:
        query = {"status": "pending", "source_id": "stripe", "limit": "3"}
        _, first = desk.call(list_deliveries, query=query)
        _, second = desk.call(list_deliveries, query=query | {"cursor": first["next"]})
        for source_id in ("x", "ncb"):
            query = {"status": "pending", "source_id": source_id}
            assert desk.call(list_deliveries, query=query)[1]["deliveries"] == []
    assert calls == []
    shown = [*first["deliveries"], *second["deliveries"]]
    assert [len(first["deliveries"]), second["next"]] == [3, None]
    assert {f"raw/{TENANT}/{d['raw_sha256']}" for d in shown} == set(waiting)
    assert {(d["status"], d["channel"], d["source_id"]) for d in shown} == {
        ("pending", "webhook", "stripe")
    }
    times = [d["received_at"] for d in shown]
    assert times == sorted(times, reverse=True)
    desk.deployed.normalise(*waiting)
    assert desk.call(list_deliveries, query={"status": "pending"})[1] == {
        "deliveries": [],
        "next": None,
    }
    # Nothing of what is done stays behind: the list costs what waits, not what ever came.
    assert desk.deployed.rows("SELECT count(*) FROM platform.pending_deliveries") == [(0,)]


@pytest.mark.parametrize(
    "query",
    [
        {"status": "lost"},
        {"limit": "0"},
        {"limit": "201"},
        {"limit": "٣"},
        {"limit": "-1"},
        {"source_id": "a\x00b"},
        {"source_id": "\ud800"},
        {"cursor": "%%%"},
        {"cursor": base64.b64encode(b'["2026-01-01T00:00:00Z", "a", "b", "\\ud800"]').decode()},
        {"cursor": base64.b64encode(b"[]").decode()},
        {"cursor": base64.b64encode(b'["2026-01-01", "a", "b", "c"]').decode()},
        {"cursor": base64.b64encode(b'["2026-01-01T00:00:00Z", "a", "b", "\\u0000"]').decode()},
        {"cursor": encode_cursor("2026-01-01T00:00:00+00:00", "a", "b")},
        {"cursor": encode_cursor("2026-01-01T00:00:00", "a", "b", "c")},
        {"cursor": encode_cursor("2026-01-01T00:00:00+00:00", "a", "b", "\ud800")},
        {"status": "pending", "cursor": encode_cursor("raw/kgn-two/x")},
        {"status": "pending", "cursor": encode_cursor(f"raw/kgn-two/{'a' * 64}")},
        {"status": "pending", "cursor": encode_cursor("2026-01-01T00:00:00", "a", "b", "c")},
        {
            "status": "pending",
            "cursor": encode_cursor("2026-01-01T00:00:00+00:00", "a", "\x00", ""),
        },
    ],
)
def test_a_question_that_makes_no_sense_is_refused(desk: Desk, query: dict[str, str]) -> None:
    status, answer = desk.call(list_deliveries, query=query)
    assert (status, answer["code"].split(".")[0]) == (
        400,
        "request" if "cursor" in query else "deliveries",
    )


def test_a_replay_has_the_same_effect_once_and_reads_what_could_not_be_read(desk: Desk) -> None:
    desk.deployed.register(STRIPE)
    desk.deployed.register(BANK | {"format": "mt940"})  # wrong: the file is a camt.053
    desk.deployed.webhook(paid("evt_1"))
    receipt = Receipt("ncb", "sftp", "a.xml", datetime.now(UTC))
    kept = store_wiring.raw_store().put_named(TENANT, a_camt053(an_entry()), receipt)
    assert desk.deployed.normalise() == []
    once = desk.deployed.rows("SELECT external_id, version FROM platform.transactions")
    assert len(once) == 1
    status, answer = desk.call(replay_deliveries, {"raw_sha256": kept.raw_sha256}, source_id="ncb")
    assert (status, answer["requested_count"], answer["next"]) == (202, 1, None)
    assert desk.replayed() == []
    assert desk.deployed.rows("SELECT status FROM platform.deliveries WHERE source_id = 'ncb'") == [
        ("refused",)
    ]
    desk.deployed.register(BANK)
    for _ in range(3):
        desk.call(replay_deliveries, {"raw_sha256": kept.raw_sha256}, source_id="ncb")
        assert desk.replayed() == []
    assert desk.deployed.rows("SELECT status FROM platform.deliveries WHERE source_id = 'ncb'") == [
        ("accepted",)
    ]
    after = desk.deployed.rows("SELECT external_id, version FROM platform.transactions")
    assert sorted(after) == sorted([*once, ("E-1|2026-01-31|500000", 1)]) or len(after) == 2
    assert {version for _, version in after} == {1}


def test_a_window_of_a_source_is_replayed_and_nothing_else(desk: Desk) -> None:
    desk.deployed.register(STRIPE)
    start = datetime.now(UTC) - timedelta(minutes=1)
    for number in range(4):
        desk.deployed.webhook(paid(f"evt_{number}", f"ch_0000000000000{number}"))
    assert desk.deployed.normalise() == []
    before = desk.deployed.rows(
        "SELECT external_id, version, body FROM platform.transactions ORDER BY 1"
    )
    window = {
        "received_from": start.isoformat(),
        "received_until": (start + timedelta(hours=1)).isoformat(),
    }
    status, answer = desk.call(replay_deliveries, window, source_id="stripe")
    assert (status, answer["requested_count"], answer["next"]) == (202, 4, None)
    assert desk.replayed() == []
    past = {"received_from": "2020-01-01T00:00:00Z", "received_until": start.isoformat()}
    assert desk.call(replay_deliveries, past, source_id="stripe")[1]["requested_count"] == 0
    after = desk.deployed.rows(
        "SELECT external_id, version, body FROM platform.transactions ORDER BY 1"
    )
    assert after == before
    assert len(after) == 4


def test_a_replay_that_breaks_off_is_not_lost(desk: Desk) -> None:
    desk.deployed.register(STRIPE)
    desk.deployed.webhook(paid("evt_1"))
    assert desk.deployed.normalise() == []
    (key,) = desk.deployed.keys()
    one = {"raw_sha256": key.rpartition("/")[2]}
    desk.deployed.dynamodb.delete_table(TableName="outbox")  # the way out is closed: boundary 2
    assert desk.call(replay_deliveries, one, source_id="stripe")[0] == 503
    make_outbox_table(desk.deployed.dynamodb)
    waiting = "SELECT count(*) FROM platform.outbox WHERE sent_at IS NULL"
    assert desk.deployed.rows(waiting) == [(1,)]
    assert desk.call(replay_deliveries, one, source_id="stripe")[0] == 202
    source_wiring.replay_deliveries().relay.drain(TENANT)
    assert desk.deployed.rows(waiting) == [(0,)]
    assert desk.replayed() == []
    assert desk.deployed.rows("SELECT count(*), max(version) FROM platform.transactions") == [
        (1, 1)
    ]


def test_a_replay_closes_the_quarantined_rows_that_count_now_and_no_others(desk: Desk) -> None:
    desk.deployed.register(BANK | {"currency": "USD"})  # wrong: the account is in JMD
    good = a_camt053(an_entry(reference="GOOD"))
    bad = a_camt053(an_entry(reference="BAD"), closing="1.00", statement_id="S-2")
    receipt = Receipt("ncb", "sftp", "a.xml", datetime.now(UTC))
    kept = store_wiring.raw_store().put_named(TENANT, a_file(good, bad), receipt)
    assert desk.deployed.normalise() == []
    standing = "SELECT code, status FROM platform.quarantine ORDER BY position, code"
    before = desk.deployed.rows(standing)
    assert {status for _, status in before} == {"open"}
    assert desk.deployed.rows("SELECT status FROM platform.deliveries") == [("quarantined",)]
    desk.deployed.register(BANK)
    for _ in range(2):
        one = {"raw_sha256": kept.raw_sha256}
        assert desk.call(replay_deliveries, one, source_id="ncb")[0] == 202
        assert desk.replayed() == []
    after = desk.deployed.rows(standing)
    assert {(c, s) for c, s in after} == {
        ("statement.currency", "replayed"),
        ("statement.does_not_tie", "open"),
    }
    found = desk.deployed.rows(
        "SELECT principal, subject, detail FROM app.audit_log WHERE action = 'quarantine.replayed'"
    )
    ((principal, subject, detail),) = found  # once, though it was replayed twice
    assert (principal, subject) == ("system:ingestion", kept.raw_sha256)
    closed = sum(status == "replayed" for _, status in after)
    assert (len(detail["quarantine_ids"]), detail["source_id"]) == (closed, "ncb")
    assert detail["reason"]
    assert detail["correlation_id"]
    assert desk.deployed.rows("SELECT external_id FROM platform.transactions") == [
        ("GOOD|2026-01-31|500000",)
    ]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"raw_sha256": "x"},
        {"received_from": "2026-01-01T00:00:00Z"},
        {"received_from": "2026-01-01T00:00:00", "received_until": "2026-01-02T00:00:00"},
        {"received_from": "2026-01-02T00:00:00Z", "received_until": "2026-01-01T00:00:00Z"},
        {
            "raw_sha256": "a" * 64,
            "received_from": "2026-01-01T00:00:00Z",
            "received_until": "2026-01-02T00:00:00Z",
        },
        {"raw_sha256": "a" * 64, "cursor": "x"},
    ],
)
def test_a_replay_of_nothing_in_particular_is_refused(desk: Desk, body: dict[str, str]) -> None:
    desk.deployed.register(STRIPE)
    assert desk.call(replay_deliveries, body, source_id="stripe")[0] == 400


def test_others_see_and_change_nothing(desk: Desk) -> None:
    desk.deployed.register(STRIPE)
    desk.deployed.webhook(paid("evt_1"))
    desk.deployed.normalise()
    secret = {"secret": "whsec_of_a_stranger"}
    replay = {"raw_sha256": "a" * 64}
    calls: list[tuple[Any, Any, str]] = [
        (list_sources, None, ""),
        (show_source, None, "stripe"),
        (change_source, {"enabled": False}, "stripe"),
        (rotate_secret, secret, "stripe"),
        (replay_deliveries, replay, "stripe"),
        (list_deliveries, None, ""),
    ]
    for function, body, source_id in calls:
        assert desk.call(function, body, source_id=source_id, principal="")[0] == 401
        assert desk.call(function, body, source_id=source_id, principal="stranger")[0] == 403
        assert desk.call(function, body, source_id=source_id, tenant_id="kgn-two")[0] == 403
    assert desk.call(replay_deliveries, replay, source_id="stripe")[0] == 404
    assert desk.call(show_source, source_id="stripe")[1]["enabled"] is True


def test_a_secret_that_is_refused_is_not_repeated_to_anybody(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.deployed.register(STRIPE | {"signature": "adyen"})
    for secret in ("not-hexadecimal-at-all", "short", "x" * 2_000):
        status, answer = desk.call(rotate_secret, {"secret": secret}, source_id="stripe")
        assert status == 400
        assert secret not in json.dumps(answer)
        assert secret not in capsys.readouterr().out


def test_another_provider_by_its_own_rules_and_only_from_its_own_network(desk: Desk) -> None:
    rules = {
        "networks": ["192.0.2.0/24"],
        "scheme": {"header": "x-sig", "algorithm": "sha512", "encoding": "base64", "prefix": "v="},
    }
    source = STRIPE | {"source_id": "shop", "signature": "hmac", "webhook": rules}
    assert desk.deployed.register(source)["statusCode"] == 201
    body = b'{"anything": 1}'
    made = base64.b64encode(hmac.new(SECRET.encode(), body, hashlib.sha512).digest()).decode()

    def send(address: str, *signatures: str) -> int:
        request = a_request(
            body.decode(),
            path={"tenant_id": TENANT, "source_id": "shop"},
            headers={"X-Sig": signatures[-1], "X-Forwarded-For": "192.0.2.9"},
        )
        request["multiValueHeaders"] = {"X-Sig": list(signatures)}
        request["requestContext"]["identity"] = {"sourceIp": address}
        from functions.webhooks import capture_webhook

        return int(capture_webhook.handler(request, Context())["statusCode"])

    assert send("192.0.2.7", f"v={made}") == 202
    assert send("198.51.100.7", f"v={made}") == 400
    assert send("192.0.2.7", "v=wrong", f"v={made}") == 400
    assert send("192.0.2.7", made) == 400
    for wrong in ({"scheme": {"header": ""}}, {"networks": ["192.0.2.1/24"]}, {}):
        assert desk.deployed.register(source | {"webhook": wrong})["statusCode"] == 400


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("list_sources.first_page", 200),
        ("show_source.stripe", 200),
        ("change_source.disable", 200),
        ("change_source.schedule", 200),
        ("rotate_secret.stripe", 200),
        ("rotate_secret.api_key", 200),
        ("replay_deliveries.window", 202),
        ("list_deliveries.refused", 200),
    ],
)
def test_sample_events_are_taken(desk: Desk, name: str, status: int) -> None:
    desk.deployed.register(STRIPE)
    sample = json.loads((EVENTS / f"{name}.json").read_text())
    sample["pathParameters"]["tenant_id"] = TENANT
    sample["requestContext"]["authorizer"]["claims"]["sub"] = ADMIN
    functions = {
        f.__name__.rpartition(".")[2]: f
        for f in (
            list_sources,
            show_source,
            change_source,
            rotate_secret,
            replay_deliveries,
            list_deliveries,
        )
    }
    handler = functions[name.partition(".")[0]].handler
    assert handler(sample, Context())["statusCode"] == status
