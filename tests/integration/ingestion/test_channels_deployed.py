"""Upload, SES mail and a mailbox through everything that is deployed: bytes in, transactions out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import urllib3

from local.demo.player import Player
from local.home import Home
from pardna.ingestion.model import sha256
from tests.support.formats import a_camt053, an_entry
from tests.support.imap_server import PASSWORD, USER, ImapServer, running_imap
from tests.support.mails import BANK, a_mail

pytestmark = pytest.mark.home

TENANT = "channels"
OPERATOR, ADMIN = "operator@channels.example", "admin@channels.example"
SECRET = f"/pardna/local/{TENANT}/mail"
SES = "amazonses.com; dkim=pass header.d=ncb.example"


@pytest.fixture(scope="module")
def mailbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImapServer]:
    with running_imap(Path(tmp_path_factory.mktemp("imap"))) as running:
        yield running


@pytest.fixture(scope="module")
def player(home: Home, mailbox: ImapServer) -> Player:
    """A tenant with a bank that takes uploads and mail."""
    hands = Player(home)
    hands.person(OPERATOR, "Operator", platform=True)
    admin = hands.person(ADMIN, "Admin")
    tenant = {"tenant_id": TENANT, "name": "Channels", "admin_principal": admin}
    hands.api(OPERATOR, "POST", "/tenants", tenant)
    for source_id, box in (
        ("by-hand", {"allowed_senders": [BANK]}),
        (
            "by-mail",
            {
                "allowed_senders": [BANK],
                "host": mailbox.host,
                "port": mailbox.port,
                "user": USER,
                "secret_id": SECRET,
                "ca_certificate": mailbox.certificate,
            },
        ),
    ):
        body = {
            "source_id": source_id,
            "provider": "ncb",
            "channels": ["upload", "email"],
            "currency": "JMD",
            "mail": box,
        }
        hands.api(ADMIN, "POST", f"/tenants/{TENANT}/sources", body)
    credential = {"channel": "email", "secret": PASSWORD}
    hands.api(ADMIN, "POST", f"/tenants/{TENANT}/sources/by-mail/secret", credential)
    return hands


def a_statement(reference: str) -> bytes:
    entry = an_entry(reference=reference)
    return a_camt053(entry, statement_id=f"S-{reference}", account=reference)


def recorded(home: Home, data: bytes) -> bool:
    with psycopg.connect(home.database_superuser_url) as connection:
        found = connection.execute(
            "SELECT 1 FROM platform.transaction_versions WHERE tenant_id = %s AND raw_sha256 = %s",
            (TENANT, sha256(data)),
        ).fetchall()
    return len(found) == 1


def raw(home: Home, data: bytes) -> bytes:
    key = f"raw/{TENANT}/{sha256(data)}"
    kept: Any = home.client("s3").get_object(Bucket=home.outputs["RawBucket"], Key=key)
    return bytes(kept["Body"].read())


def test_an_upload_can_be_followed_to_its_result(player: Player) -> None:
    data = a_statement("UP-1")
    uploads = f"/tenants/{TENANT}/sources/by-hand/uploads"
    started = player.api(ADMIN, "POST", uploads, {"name": "january.xml", "size": len(data)})
    shown = f"{uploads}/{started['upload_id']}"
    assert player.api(ADMIN, "GET", shown)["status"] == "awaiting"
    with urllib3.PoolManager() as pool:
        fields = {**started["fields"], "file": ("january.xml", data)}
        assert pool.request("POST", started["url"], fields=fields).status in (200, 201, 204)
    final = player.wait(
        "the upload's result",
        lambda: (
            said
            if (said := player.api(ADMIN, "GET", shown))["status"] not in ("awaiting", "parsing")
            else None
        ),
        seconds=120,
    )
    assert (final["status"], final["entries_count"]) == ("accepted", 1)
    assert recorded(player.home, data)
    assert raw(player.home, data) == data


def test_mail_that_ses_stored_is_taken_by_itself(player: Player) -> None:
    home, data = player.home, a_statement("SES-1")
    s3, bucket = home.client("s3"), home.outputs["ArrivalsBucket"]
    mail = a_mail(("january.xml", data), results=(SES,))
    s3.put_object(Bucket=bucket, Key=f"mail/{TENANT}/by-hand/m-1", Body=mail)
    player.wait("the mailed statement", lambda: recorded(home, data), seconds=120)
    assert raw(home, data) == data
    addressed = a_statement("SES-2")
    received = (
        f"by inbound-smtp.us-east-1.amazonaws.com with SMTP id a1 for by-hand.{TENANT}@x.example"
    )
    mail = f"Received: {received}; Sat\n".encode() + a_mail(("f.xml", addressed), results=(SES,))
    s3.put_object(Bucket=bucket, Key="mail/by-address/m-2", Body=mail)
    player.wait("the statement mailed by address", lambda: recorded(home, addressed), seconds=120)
    assert raw(home, addressed) == addressed

    def moved() -> bool:
        listed = s3.list_objects_v2(Bucket=bucket, Prefix="mail")["Contents"]
        folder = f"mail-processed/{TENANT}/by-hand"
        return [o["Key"] for o in listed] == [f"{folder}/m-1", f"{folder}/m-2"]

    player.wait("the mail to be moved", moved, seconds=60)


def test_a_mailbox_is_emptied_into_transactions(player: Player, mailbox: ImapServer) -> None:
    home, data = player.home, a_statement("IMAP-1")
    mailbox.put(a_mail(("january.xml", data)), a_mail(sender="eve@evil.example"))
    one = {"tenant_id": TENANT, "source_id": "by-mail"}
    taken = home.invoke("FetchMailFunction", one)
    assert (taken["new_count"], taken["refused_count"]) == (1, 1)
    player.wait("the statement in the mailbox", lambda: recorded(home, data), seconds=120)
    assert raw(home, data) == data
    assert home.invoke("FetchMailFunction", one)["seen_count"] == 0
