"""What every dropbox, store of files and card rail promises: the fakes and the real ones alike."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from pardna.payments.directory import DynamoSourceProfiles
from pardna.payments.dropbox import SftpDropboxes
from pardna.payments.ports import Dropbox, PaymentFiles
from pardna.payments.s3 import S3PaymentFiles
from pardna.runtime.errors import Conflict, InvalidInput, NotFound
from pardna.runtime.public_hosts import dial_anywhere
from tests.fakes.ingestion import FixedSecrets
from tests.fakes.payments import MemoryDropboxes, MemoryFiles
from tests.support.deployed import register
from tests.support.payments import a_bank
from tests.support.sftp_server import PASSWORD, USER, running_sftp
from tests.support.tables import create_table

NAME = "PB00000000000001.xml"


@pytest.fixture(params=["memory", "sftp"])
def box(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Dropbox, Any]]:
    """A session, and what makes the bank take the files that are waiting."""
    if request.param == "memory":
        boxes = MemoryDropboxes()
        with boxes.open("harbour", a_bank()) as session:
            yield session, boxes.process
        return
    for name in ("in", "done"):
        (tmp_path / name).mkdir()

    def process() -> None:
        for path in (tmp_path / "in").glob("*.xml"):
            path.rename(tmp_path / "done" / path.name)

    with running_sftp(tmp_path) as server:
        bank = a_bank(port=server.port, user=USER, host_key=server.host_key)
        secrets = FixedSecrets({bank.sftp.secret_id: {"password": PASSWORD}})
        with SftpDropboxes(secrets, dial_anywhere).open("harbour", bank) as session:
            yield session, process


def test_a_part_is_no_file(box: tuple[Dropbox, Any]) -> None:
    session, _ = box
    assert (session.find(NAME), session.has_part(NAME)) == (None, False)
    session.put_part(NAME, b"<Document/>")
    assert (session.find(NAME), session.has_part(NAME)) == (None, True)


def test_a_complete_file_is_found_waiting_and_taken(box: tuple[Dropbox, Any]) -> None:
    session, process = box
    session.put_part(NAME, b"<Document/>")
    session.complete(NAME)
    assert (session.find(NAME), session.has_part(NAME)) == (11, False)
    process()
    assert session.find(NAME) == 11


def test_a_part_may_be_written_again(box: tuple[Dropbox, Any]) -> None:
    session, _ = box
    session.put_part(NAME, b"a longer first attempt")
    session.put_part(NAME, b"short")
    session.complete(NAME)
    assert session.find(NAME) == 5


def test_a_file_that_waits_is_not_replaced(box: tuple[Dropbox, Any]) -> None:
    session, _ = box
    session.put_part(NAME, b"first")
    session.complete(NAME)
    session.put_part(NAME, b"second attempt")
    with pytest.raises(Conflict, match=r"payment\.name_taken"):
        session.complete(NAME)
    assert session.find(NAME) == 5


@pytest.fixture(params=["memory", "s3"])
def files(request: pytest.FixtureRequest) -> Iterator[PaymentFiles]:
    if request.param == "memory":
        yield MemoryFiles()
        return
    with mock_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket="packs")
        yield S3PaymentFiles(client, "packs")


def test_a_name_never_holds_other_bytes(files: PaymentFiles) -> None:
    assert files.put("payments/harbour/a.xml", b"one") is True
    assert files.put("payments/harbour/a.xml", b"one") is False
    with pytest.raises(Conflict, match=r"payment\.file_differs"):
        files.put("payments/harbour/a.xml", b"two")
    assert files.read("payments/harbour/a.xml") == b"one"
    with pytest.raises(NotFound):
        files.read("payments/harbour/b.xml")


@pytest.fixture
def profiles() -> Iterator[DynamoSourceProfiles]:
    with mock_aws():
        client = boto3.client("dynamodb")
        yield DynamoSourceProfiles(client, create_table(client, "directory"))


def test_a_bank_is_read_as_it_was_registered(profiles: DynamoSourceProfiles) -> None:
    place = {"host": "sftp.bank", "port": 22, "user": "u", "host_key": "k", "secret_id": "s"}
    register(
        "ncb-main",
        provider="ncb",
        channels=("sftp",),
        account="ncb:404385912",
        currency="JMD",
        holder="Harbour Savings",
        bic="JNCBJMKX",
        sftp=place,
    )
    bank = profiles.paying_bank("harbour", "ncb-main")
    assert (bank.account, bank.holder, bank.currency) == ("404385912", "Harbour Savings", "JMD")
    assert (bank.sftp.in_dir, bank.sftp.done_dir) == ("in", "done")


def test_a_source_without_a_server_cannot_pay(profiles: DynamoSourceProfiles) -> None:
    register("stripe-main", provider="stripe", channels=("webhook",), secret_id="stripe")
    assert profiles.secret_id("harbour", "stripe-main") == "stripe"
    with pytest.raises(InvalidInput, match=r"payment\.bank_profile"):
        profiles.paying_bank("harbour", "stripe-main")
    with pytest.raises(NotFound, match=r"payment\.no_bank"):
        profiles.paying_bank("elsewhere", "stripe-main")
