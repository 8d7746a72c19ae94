"""From an approved payment to a bank's answer, on PostgreSQL, S3 and SFTP."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from local.bank.pain001 import read
from pardna.formats.model import PaymentStatus
from pardna.payments.dropbox import SftpDropboxes
from pardna.payments.model import Batch, Status
from pardna.payments.postgres import PostgresPaymentBook, cancel_in, instruct_in
from pardna.payments.s3 import S3PaymentFiles
from pardna.payments.service import (
    LEASE_SECONDS,
    PaymentStatuses,
    PostPayment,
    UploadPaymentFile,
    WritePaymentFile,
    payment_subject,
)
from pardna.runtime.attempts import DynamoAttempts
from pardna.runtime.errors import (
    Conflict,
    NotFound,
    NotPermitted,
    PardnaError,
    SignInRefused,
    Unavailable,
)
from pardna.runtime.public_hosts import dial_anywhere
from tests.fakes.ingestion import FixedSecrets
from tests.fakes.payments import Killed, OneBank, SaidYes
from tests.support.payments import NOW, TENANT, a_bank, an_instruction
from tests.support.postgres import TestDatabase
from tests.support.sftp_server import PASSWORD, USER, SftpServer, running_sftp
from tests.support.tables import workflow_table

ORDER = an_instruction()
BUCKET = "packs"


class Desk:
    """Everything that pays, wired by hand."""

    def __init__(self, database: TestDatabase, server: SftpServer) -> None:
        self.database = database.session()
        self.now = NOW
        self.server = server
        s3, dynamodb = boto3.client("s3"), boto3.client("dynamodb")
        s3.create_bucket(Bucket=BUCKET)
        self.files = S3PaymentFiles(s3, BUCKET)
        self.book = PostgresPaymentBook(self.database, self.clock)
        self.bank = a_bank(port=server.port, user=USER, host_key=server.host_key)
        self.approval = SaidYes(payment_subject(ORDER.payment_id), ORDER.amount)
        self.attempts = DynamoAttempts(dynamodb, workflow_table(dynamodb), clock=self.clock)
        secrets = FixedSecrets({self.bank.sftp.secret_id: {"password": PASSWORD}})
        self.dropboxes = SftpDropboxes(secrets, dial_anywhere)

    def clock(self) -> Any:
        return self.now

    def instruct(self) -> None:
        with self.database.transaction(TENANT, "tester") as connection:
            instruct_in(connection, TENANT, ORDER, clock=self.clock)

    def write(self) -> Batch:
        service = WritePaymentFile(
            self.book, OneBank(self.bank), self.approval, self.files, self.clock
        )
        return service.write(TENANT, ORDER.payment_id, "apr-1", "test")

    def upload(self, batch: Batch, *, send_again: bool = False) -> str:
        sender = UploadPaymentFile(OneBank(self.bank), self.files, self.dropboxes, self.attempts)
        return sender.upload(TENANT, batch.batch_id, batch.source_id, send_again=send_again)

    def hear(self, batch: Batch, code: str, reason: str = "", end_to_end: str = "") -> Any:
        said = PaymentStatus(batch.batch_id, code, end_to_end, reason_code=reason)
        return PaymentStatuses(self.book).apply(TENANT, [said])

    @property
    def status(self) -> Status:
        return self.book.payment(TENANT, ORDER.payment_id).status

    def rows(self, query: str) -> list[Any]:
        with self.database.transaction(TENANT, "tester") as connection:
            return connection.execute(query.encode()).fetchall()


@pytest.fixture
def desk(database: TestDatabase, tmp_path: Path) -> Iterator[Desk]:
    for name in ("in", "done"):
        (tmp_path / name).mkdir()
    with running_sftp(tmp_path) as server, mock_aws():
        made = Desk(database, server)
        made.instruct()
        yield made


def test_the_whole_way_of_a_payment(desk: Desk) -> None:
    batch = desk.write()
    assert desk.status is Status.WRITTEN
    assert desk.upload(batch) == "uploaded"
    seen = read((desk.server.root / "in" / f"{batch.batch_id}.xml").read_bytes())
    assert seen.batches[0].instructions[0].end_to_end == ORDER.end_to_end_id
    assert PostPayment(desk.book).post(TENANT, batch.batch_id, Status.UPLOADED) == 1
    assert desk.hear(batch, "ACTC").changed == ()
    answered = desk.hear(batch, "ACSC", end_to_end=ORDER.end_to_end_id)
    assert (answered.changed, answered.signalled) == ((ORDER.payment_id,), (batch.batch_id,))
    assert desk.status is Status.ACCEPTED
    PostPayment(desk.book).post(TENANT, batch.batch_id, Status.CONFIRMED)
    assert desk.status is Status.CONFIRMED


def test_writing_again_is_the_same_file_and_one_transaction(desk: Desk) -> None:
    first = desk.write()
    desk.now += timedelta(days=3)
    assert desk.write() == first
    assert desk.rows("SELECT count(*) FROM platform.transactions") == [(1,)]
    assert desk.rows("SELECT amount_minor, kind FROM platform.transactions") == [
        (-ORDER.amount.amount_minor, "draw")
    ]


def test_killed_between_the_rows_and_the_object_a_rerun_completes_it(desk: Desk) -> None:
    class Dies(S3PaymentFiles):
        def put(self, key: str, content: bytes) -> bool:
            raise Killed

    whole, desk.files = desk.files, Dies(None, "")
    with pytest.raises(Killed):
        desk.write()
    desk.files = whole
    desk.now += timedelta(hours=1)
    batch = desk.write()
    assert read(desk.files.read(batch.file_key)).message == batch.batch_id
    assert desk.rows("SELECT count(*) FROM payments.batches") == [(1,)]
    assert desk.rows("SELECT count(*) FROM platform.transaction_versions") == [(1,)]


def test_ten_writers_at_once_write_one_file(desk: Desk) -> None:
    with ThreadPoolExecutor(10) as pool:
        batches = set(pool.map(lambda _: desk.write(), range(10)))
    assert len(batches) == 1
    assert desk.rows("SELECT count(*) FROM payments.batches") == [(1,)]
    assert desk.rows("SELECT count(*) FROM platform.transactions") == [(1,)]


def test_without_a_second_person_nothing_is_written(desk: Desk) -> None:
    desk.approval = SaidYes(payment_subject("another"), ORDER.amount)
    with pytest.raises(NotPermitted):
        desk.write()
    assert desk.status is Status.INSTRUCTED
    assert desk.rows("SELECT count(*) FROM platform.transactions") == [(0,)]


def test_a_cancelled_payment_cannot_be_written(desk: Desk) -> None:
    with desk.database.transaction(TENANT, "tester") as connection:
        cancel_in(connection, ORDER.payment_id)
    with pytest.raises(Conflict, match=r"payment\.not_payable"):
        desk.write()


def test_ordering_again_is_the_same_order(desk: Desk) -> None:
    desk.instruct()
    assert desk.rows("SELECT count(*) FROM payments.payments") == [(1,)]
    other = an_instruction(amount_minor=1)
    with (
        pytest.raises(Conflict, match=r"payment\.differs"),
        desk.database.transaction(TENANT, "tester") as connection,
    ):
        instruct_in(connection, TENANT, other)


def test_a_line_cut_in_the_middle_of_the_file(desk: Desk) -> None:
    batch = desk.write()
    desk.server.cut_after_bytes = 100
    with pytest.raises(Unavailable):
        desk.upload(batch)
    assert [p.name for p in (desk.server.root / "in").iterdir()] == [f"{batch.batch_id}.xml.part"]
    assert desk.upload(batch) == "uploaded"
    arrived = (desk.server.root / "in" / f"{batch.batch_id}.xml").read_bytes()
    assert arrived == desk.files.read(batch.file_key)


def test_a_line_cut_right_after_the_rename(desk: Desk) -> None:
    batch = desk.write()
    desk.server.cut_after_rename = True
    with pytest.raises(Unavailable):
        desk.upload(batch)
    name = f"{batch.batch_id}.xml"
    (desk.server.root / "in" / name).rename(desk.server.root / "done" / name)
    assert desk.upload(batch) == "uploaded"
    assert list((desk.server.root / "in").iterdir()) == []


def test_senders_that_race_send_one_file(desk: Desk) -> None:
    batch = desk.write()

    def send(_: int) -> str:
        try:
            return desk.upload(batch)
        except PardnaError as error:
            return error.code

    with ThreadPoolExecutor(4) as pool:
        outcomes = set(pool.map(send, range(4)))
    assert outcomes <= {"uploaded", "payment.upload_in_progress"}
    assert "uploaded" in outcomes
    assert [p.name for p in (desk.server.root / "in").iterdir()] == [f"{batch.batch_id}.xml"]


def test_a_zombie_sender_cannot_overwrite_the_file(desk: Desk) -> None:
    """Two senders hold the lease in turn; the first wakes up after the second has finished."""
    batch = desk.write()
    with desk.dropboxes.open(TENANT, desk.bank) as zombie:
        desk.attempts.begin(TENANT, f"upload:{batch.batch_id}", LEASE_SECONDS)
        zombie.put_part(f"{batch.batch_id}.xml", b"old")
        desk.now += timedelta(seconds=LEASE_SECONDS + 1)
        assert desk.upload(batch) == "uploaded"
        zombie.put_part(f"{batch.batch_id}.xml", b"old")
        with pytest.raises(Conflict, match=r"payment\.name_taken"):
            zombie.complete(f"{batch.batch_id}.xml")
    arrived = (desk.server.root / "in" / f"{batch.batch_id}.xml").read_bytes()
    assert arrived == desk.files.read(batch.file_key)


def test_the_banks_answer_twice_changes_nothing(desk: Desk) -> None:
    batch = desk.write()
    desk.hear(batch, "ACSC")
    again = desk.hear(batch, "ACSC")
    assert (again.changed, again.problems_count) == ((), 0)
    assert desk.rows(
        "SELECT count(*) FROM platform.outbox WHERE event_type = 'wait.signalled'"
    ) == [(1,)]


def test_a_refusal_is_kept_with_its_reason(desk: Desk) -> None:
    batch = desk.write()
    desk.hear(batch, "RJCT", "AM04")
    payment = desk.book.payment(TENANT, ORDER.payment_id)
    assert (payment.status, payment.reason_code) == (Status.REJECTED, "AM04")


def test_a_duplicate_report_does_not_undo_the_payment(desk: Desk) -> None:
    batch = desk.write()
    duplicate = desk.hear(batch, "RJCT", "AM05")
    assert (duplicate.changed, duplicate.problems_count) == ((), 1)
    desk.hear(batch, "ACSC")
    desk.hear(batch, "RJCT", "AM05")
    assert desk.status is Status.ACCEPTED


def test_a_bank_that_takes_back_its_word_is_a_problem_for_people(desk: Desk) -> None:
    batch = desk.write()
    desk.hear(batch, "ACSC")
    assert desk.hear(batch, "RJCT", "AC04").problems_count == 1
    assert desk.status is Status.ACCEPTED


def test_an_unknown_message_is_a_problem_not_an_exception(desk: Desk) -> None:
    said = [PaymentStatus("PBUNKNOWN0000000", "ACSC")]
    assert PaymentStatuses(desk.book).apply(TENANT, said).problems_count == 1
    assert PaymentStatuses(desk.book).apply(TENANT, said).problems_count == 0


def test_posting_an_unknown_file_is_not_found(desk: Desk) -> None:
    with pytest.raises(NotFound):
        PostPayment(desk.book).post(TENANT, "PBUNKNOWN0000000", Status.CONFIRMED)


def test_another_file_under_the_same_key_is_refused(desk: Desk) -> None:
    assert desk.files.put("payments/harbour/X.xml", b"one") is True
    assert desk.files.put("payments/harbour/X.xml", b"one") is False
    with pytest.raises(Conflict, match=r"payment\.file_differs"):
        desk.files.put("payments/harbour/X.xml", b"two")
    with pytest.raises(NotFound):
        desk.files.read("payments/harbour/Y.xml")


def test_what_is_said_of_a_payment_goes_before_what_is_said_of_its_file(desk: Desk) -> None:
    batch = desk.write()
    said = [
        PaymentStatus(batch.batch_id, "ACSC"),
        PaymentStatus(batch.batch_id, "RJCT", ORDER.end_to_end_id, reason_code="AC04"),
    ]
    assert PaymentStatuses(desk.book).apply(TENANT, said).problems_count == 0
    assert desk.status is Status.REJECTED


def signing_in(desk: Desk, now: str, after: str) -> SftpDropboxes:
    secret_id = desk.bank.sftp.secret_id
    secrets = FixedSecrets({secret_id: {"password": now}}, {secret_id: {"password": after}})
    return SftpDropboxes(secrets, dial_anywhere)


def test_a_password_that_was_replaced_meanwhile_is_taken_up_at_once(desk: Desk) -> None:
    desk.dropboxes = signing_in(desk, "the-old-one", PASSWORD)
    assert desk.upload(desk.write()) == "uploaded"


def test_a_wrong_password_is_tried_once_and_another_wrong_one_once_more(desk: Desk) -> None:
    batch = desk.write()
    for now, after, attempts in (("wrong", "wrong", 1), ("wrong", "also-wrong", 2)):
        before = len(desk.server.connections)
        desk.dropboxes = signing_in(desk, now, after)
        with pytest.raises(SignInRefused):
            desk.upload(batch)
        assert len(desk.server.connections) - before == attempts
    assert list((desk.server.root / "in").iterdir()) == []


def test_a_key_that_takes_a_passwords_place_is_used_instead(desk: Desk) -> None:
    secret_id = desk.bank.sftp.secret_id
    key = desk.server.private_key_pem
    secrets = FixedSecrets({secret_id: {"password": "old"}}, {secret_id: {"private_key": key}})
    desk.dropboxes = SftpDropboxes(secrets, dial_anywhere)
    assert desk.upload(desk.write()) == "uploaded"
