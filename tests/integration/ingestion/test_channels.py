"""Uploads and mail through the real handlers: bytes in, canonical transactions out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from functions.ingestion import fetch_mail, receive_mail, receive_upload, show_upload, start_upload
from pardna.identity.model import Tenant
from pardna.identity.wiring import tenancy
from pardna.ingestion import mail_wiring, upload_wiring
from pardna.ingestion.model import sha256
from tests.integration.ingestion.conftest import ADMIN, Deployed
from tests.support.formats import a_camt053, an_entry
from tests.support.handlers import Context, a_request
from tests.support.ingestion import TENANT
from tests.support.mails import BANK, a_mail
from tests.support.tables import workflow_table

BNS = {
    "source_id": "bns",
    "provider": "bns",
    "channels": ["upload", "email"],
    "account": "404385912",
    "currency": "JMD",
    "mail": {"allowed_senders": [BANK]},
}
STATEMENT = a_camt053(an_entry())
SES = "amazonses.com; dkim=pass header.d=ncb.example; dmarc=pass header.from=ncb.example"
OTHER_ADMIN = "other-sub"


class Channels:
    """The functions of uploads and mail."""

    def __init__(self, deployed: Deployed) -> None:
        self.deployed = deployed
        self.s3 = boto3.client("s3")

    def start(self, body: dict[str, Any], source_id: str = "bns", principal: str = ADMIN) -> Any:
        path = {"tenant_id": TENANT, "source_id": source_id}
        event = a_request(json.dumps(body), path=path, principal=principal)
        answer = start_upload.handler(event, Context())
        return answer["statusCode"], json.loads(answer["body"])

    def show(self, upload_id: str, principal: str = ADMIN, tenant_id: str = TENANT) -> Any:
        path = {"tenant_id": tenant_id, "source_id": "bns", "upload_id": upload_id}
        answer = show_upload.handler(a_request(path=path, principal=principal), Context())
        return answer["statusCode"], json.loads(answer["body"])

    def send(self, started: dict[str, Any], data: bytes) -> str:
        """As S3 stores what the form sends; S3's own checks are its own (and the emulator's)."""
        key = str(started["fields"]["key"])
        self.s3.put_object(Bucket="arrivals", Key=key, Body=data)
        return key

    def created(self, key: str) -> dict[str, Any]:
        return {"detail": {"bucket": {"name": "arrivals"}, "object": {"key": key}}}

    def lying_under(self, prefix: str) -> list[str]:
        listed = self.s3.list_objects_v2(Bucket="arrivals", Prefix=prefix)
        return [o["Key"] for o in listed.get("Contents", [])]


@pytest.fixture
def channels(deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> Iterator[Channels]:
    boto3.client("s3").create_bucket(Bucket="arrivals")
    monkeypatch.setenv("ARRIVALS_BUCKET", "arrivals")
    monkeypatch.setenv("WORKFLOW_TABLE", workflow_table(boto3.client("dynamodb")))
    from pardna.runtime.settings import settings

    caches = [
        f
        for module in (mail_wiring, upload_wiring)
        for f in vars(module).values()
        if hasattr(f, "cache_clear")
    ]
    for cached in [*caches, settings]:
        cached.cache_clear()
    assert deployed.register(BNS)["statusCode"] == 201
    yield Channels(deployed)
    if upload_wiring.show_upload.cache_info().currsize:
        upload_wiring.show_upload().deliveries._database.close()  # type: ignore[attr-defined]
    for cached in caches:
        cached.cache_clear()


def test_an_upload_becomes_transactions_and_its_result_can_be_read(channels: Channels) -> None:
    status, started = channels.start({"name": "january.xml", "size": len(STATEMENT)})
    assert status == 201
    assert channels.show(started["upload_id"])[1]["status"] == "awaiting"
    key = channels.send(started, STATEMENT)
    received = receive_upload.handler(channels.created(key), Context())
    assert received == {"upload_id": started["upload_id"], "state": "received"}
    assert channels.show(started["upload_id"])[1]["status"] == "parsing"
    (raw,) = channels.deployed.keys()
    assert raw == f"raw/{TENANT}/{sha256(STATEMENT)}"
    assert channels.s3.get_object(Bucket="raw", Key=raw)["Body"].read() == STATEMENT
    assert channels.deployed.normalise(raw) == []
    status, shown = channels.show(started["upload_id"])
    assert (status, shown["status"], shown["entries_count"]) == (200, "accepted", 1)
    assert channels.deployed.rows("SELECT count(*) FROM platform.transactions") == [(1,)]
    assert receive_upload.handler(channels.created(key), Context()) == received
    assert channels.deployed.keys() == [raw]


def test_nonsense_is_received_and_shown_as_refused_with_its_problem(channels: Channels) -> None:
    _, started = channels.start({"name": "x.xml", "size": 8})
    receive_upload.handler(channels.created(channels.send(started, b"nonsense")), Context())
    channels.deployed.normalise()
    shown = channels.show(started["upload_id"])[1]
    assert shown["status"] == "refused"
    assert shown["problems"]


def test_more_than_announced_is_refused(channels: Channels) -> None:
    _, started = channels.start({"name": "x.xml", "size": 3})
    receive_upload.handler(channels.created(channels.send(started, b"four")), Context())
    shown = channels.show(started["upload_id"])[1]
    assert (shown["status"], shown["problems"][0]["code"]) == ("refused", "upload.size")
    assert channels.deployed.keys() == []


@pytest.mark.parametrize(
    "body",
    [
        {"name": "a.xml", "size": 0},
        {"name": "a.xml", "size": 5 * 1024**3 + 1},
        {"name": "a.xml", "size": "7"},
        {"name": "../a.xml", "size": 7},
        {"name": "", "size": 7},
        {"name": "a.xml", "size": 7, "sha256": "zz"},
        {"name": "a.xml", "size": 7, "key": "raw/x"},
        {"name": "a\u0000.xml", "size": 7},
        {},
    ],
)
def test_what_cannot_be_sent_gets_no_form(channels: Channels, body: dict[str, Any]) -> None:
    assert channels.start(body)[0] == 400


def test_strangers_get_no_form_and_see_nothing(channels: Channels) -> None:
    tenancy().create_tenant("root", frozenset({"platform"}), Tenant("kgn-two", "Two"), OTHER_ADMIN)
    _, started = channels.start({"name": "a.xml", "size": 7})
    assert channels.start({"name": "a.xml", "size": 7}, principal=OTHER_ADMIN)[0] in (403, 404)
    assert channels.start({"name": "a.xml", "size": 7}, source_id="nobody")[0] == 404
    assert channels.show(started["upload_id"], principal=OTHER_ADMIN)[0] in (403, 404)
    assert channels.show(started["upload_id"], OTHER_ADMIN, "kgn-two")[0] == 404
    assert channels.show("f" * 32)[0] == 404


def test_mail_that_ses_stored_becomes_transactions_and_is_moved(channels: Channels) -> None:
    key = f"mail/{TENANT}/bns/m-1"
    mail = a_mail(("january.xml", STATEMENT), results=(SES,))
    for _ in range(2):
        channels.s3.put_object(Bucket="arrivals", Key=key, Body=mail)
        taken = receive_mail.handler(channels.created(key), Context())
        assert taken["refused_count"] == 0
        assert receive_mail.handler(channels.created(key), Context())["seen_count"] == 0
    assert channels.lying_under("mail") == [f"mail-processed/{TENANT}/bns/m-1"]
    (raw,) = channels.deployed.keys()
    channels.deployed.normalise(raw)
    assert channels.deployed.rows(
        "SELECT channel, name, status FROM platform.deliveries"
    ) == [("email", "january.xml", "accepted")]  # fmt: skip


def for_address(address: str, mail: bytes) -> bytes:
    """A mail as SES stores it: what it received, and for whom, on top."""
    server = "by inbound-smtp.us-east-1.amazonaws.com with SMTP id a1"
    return f"Received: from mx.ncb.example {server} for {address}; Sat\n".encode() + mail


def test_mail_to_a_sources_address_is_that_sources(channels: Channels) -> None:
    key = "mail/by-address/m-1"
    mail = a_mail(("january.xml", STATEMENT), results=(SES,))
    address = f"bns.{TENANT}@statements.example"
    channels.s3.put_object(Bucket="arrivals", Key=key, Body=for_address(address, mail))
    assert receive_mail.handler(channels.created(key), Context())["new_count"] == 1
    assert receive_mail.handler(channels.created(key), Context())["seen_count"] == 0
    assert channels.lying_under("mail") == [f"mail-processed/{TENANT}/bns/m-1"]
    assert channels.deployed.keys() == [f"raw/{TENANT}/{sha256(STATEMENT)}"]


@pytest.mark.parametrize(
    "address",
    [f"nobody.{TENANT}@statements.example", "bns@statements.example", "x", "bns.kgn-two@x.y"],
)
def test_mail_to_an_address_that_nobody_has_is_put_aside(channels: Channels, address: str) -> None:
    key = "mail/by-address/m-2"
    mail = a_mail(("january.xml", STATEMENT), results=(SES,))
    channels.s3.put_object(Bucket="arrivals", Key=key, Body=for_address(address, mail))
    assert receive_mail.handler(channels.created(key), Context())["refused_count"] == 1
    assert channels.lying_under("mail") == ["mail-refused/by-address/m-2"]
    assert channels.deployed.keys() == []


def test_forged_mail_is_put_aside_whole(channels: Channels) -> None:
    key = f"mail/{TENANT}/bns/m-2"
    forged = a_mail(("january.xml", STATEMENT), results=("mx.evil.example; dmarc=pass",))
    channels.s3.put_object(Bucket="arrivals", Key=key, Body=forged)
    assert receive_mail.handler(channels.created(key), Context())["refused_count"] == 1
    (aside,) = channels.lying_under("mail")
    assert aside == f"mail-refused/{TENANT}/bns/m-2"
    assert channels.s3.get_object(Bucket="arrivals", Key=aside)["Body"].read() == forged
    assert channels.deployed.keys() == []


def test_without_a_mail_server_there_is_nothing_to_fetch(channels: Channels) -> None:
    taken = fetch_mail.handler({"tenant_id": TENANT, "source_id": "bns"}, Context())
    assert taken["seen_count"] == 0
    assert fetch_mail.handler({}, Context())["left_count"] == 0
