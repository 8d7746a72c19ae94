"""Quality's ports: the doubles and the real adapters keep the same promises."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import boto3
import pytest
from moto import mock_aws

from pardna.ingestion.model import RawKey
from pardna.ingestion.profiles import Profiles, SavedProfile
from pardna.ingestion.profiles_dynamodb import DynamoProfileShelf
from pardna.ingestion.quality_daily_postgres import PostgresQualityFacts
from pardna.ingestion.quality_history import Facts
from pardna.ingestion.quality_postgres import PostgresSourceHistory
from pardna.ingestion.s3_restriction import S3RawRestriction
from pardna.runtime.errors import Conflict, Unavailable
from pardna.runtime.s3_shelf import S3Shelf
from pardna.transactions.ports import Batch, Delivery, DeliveryStatus, StatementRecord
from pardna.transactions.postgres import PostgresTransactionStore
from tests.fakes.quality import MemoryHistory
from tests.support.ingestion import NOON, TENANT
from tests.support.outbox import make_directory_table
from tests.support.postgres import TestDatabase
from tests.unit.formats.test_csv_profile import STATEMENT, a_profile

Accept = Callable[[str, int, DeliveryStatus], None]
FACTS = Facts(3, {"JMD": 300}, ("Date", "Amount"), "csv:x")


def a_delivery(raw: str, day: int, status: DeliveryStatus, **changes: Any) -> Delivery:
    received_at = NOON + timedelta(days=day)
    return replace(
        Delivery("ncb", "sftp", f"{raw[:4]}.csv", raw, received_at, status, "f", 3), **changes
    )


@pytest.fixture(params=["memory", "postgres"])
def history(request: pytest.FixtureRequest) -> Iterator[tuple[Any, Accept]]:
    if request.param == "memory":
        memory = MemoryHistory()
        yield memory, lambda *_: None
        return
    database: TestDatabase = request.getfixturevalue("database")
    store = PostgresTransactionStore(database.session())

    def accept(raw: str, day: int, status: DeliveryStatus) -> None:
        store.record(TENANT, "p", Batch("c", a_delivery(raw, day, status)))

    yield PostgresSourceHistory(database.session()), accept


def test_the_past_is_newest_first_without_oneself_and_others(history: tuple[Any, Accept]) -> None:
    book, accept = history
    for day in (3, 1, 2):
        raw = f"{day}" * 64
        accept(raw, day, DeliveryStatus.ACCEPTED)
        at = NOON + timedelta(days=day)
        book.remember(TENANT, "ncb", raw, at, "f", replace(FACTS, rows=day))
        book.remember(TENANT, "ncb", raw, at, "f", replace(FACTS, rows=99))  # the first stays
    assert [p.facts.rows for p in book.past(TENANT, "ncb", "x" * 64, 10)] == [3, 2, 1]
    assert [p.facts.rows for p in book.past(TENANT, "ncb", "3" * 64, 10)] == [2, 1]
    assert [p.facts.rows for p in book.past(TENANT, "ncb", "x" * 64, 1)] == [3]
    assert book.past("mby-two", "ncb", "x" * 64, 10) == []
    assert book.past(TENANT, "bns", "x" * 64, 10) == []
    assert book.past(TENANT, "ncb", "x" * 64, 1)[0].facts == replace(FACTS, rows=3)


def test_what_did_not_count_is_no_measure(database: TestDatabase) -> None:
    book = PostgresSourceHistory(database.session())
    store = PostgresTransactionStore(database.session())
    for number, status in enumerate(DeliveryStatus):
        raw = f"{number}" * 64
        store.record(TENANT, "p", Batch("c", a_delivery(raw, number, status)))
        book.remember(TENANT, "ncb", raw, NOON, "f", FACTS)
    assert len(book.past(TENANT, "ncb", "x" * 64, 10)) == 2


def a_statement(number: str, to: date, raw: str = "a" * 64) -> StatementRecord:
    return StatementRecord(
        "ncb:1", f"s{number}", "JMD", 0, 0, 0, 0, raw, sequence_number=number, from_date=to, to_date=to
    )  # fmt: skip


def test_the_last_number_of_an_account_up_to_a_day(database: TestDatabase) -> None:
    book = PostgresSourceHistory(database.session())
    store = PostgresTransactionStore(database.session())
    days = [a_statement("11", date(2026, 2, 1)), a_statement("12", date(2026, 2, 2)), a_statement("", date(2026, 2, 3))]  # fmt: skip
    store.record(TENANT, "p", Batch("c", statements=tuple(days)))
    assert book.last_sequence(TENANT, "ncb:1", "JMD", date(2026, 2, 9), "b" * 64) == "12"
    assert book.last_sequence(TENANT, "ncb:1", "JMD", date(2026, 2, 1), "b" * 64) == "11"
    assert book.last_sequence(TENANT, "ncb:1", "USD", date(2026, 2, 9), "b" * 64) == ""
    assert book.last_sequence(TENANT, "ncb:1", "JMD", date(2026, 2, 9), "a" * 64) == ""
    assert book.last_sequence("mby-two", "ncb:1", "JMD", date(2026, 2, 9), "b" * 64) == ""


def test_a_day_as_the_database_knows_it(database: TestDatabase) -> None:
    store = PostgresTransactionStore(database.session())
    problems = ({"code": "statement.gap"}, {"code": "statement.gap"}, {"code": "row.date"})
    said = [
        a_delivery("a" * 64, 0, DeliveryStatus.ACCEPTED_WITH_WARNINGS, problems=problems),
        a_delivery("b" * 64, 0, DeliveryStatus.REFUSED, entries_count=0),
        a_delivery("c" * 64, -1, DeliveryStatus.ACCEPTED),
        a_delivery("d" * 64, -40, DeliveryStatus.ACCEPTED),
    ]
    for delivery in said:
        store.record(TENANT, "p", Batch("c", delivery))
    untied = replace(a_statement("1", NOON.date()), closing_minor=5)
    store.record(TENANT, "p", Batch("c", statements=(untied,)))
    facts = PostgresQualityFacts(database.session())
    (day,) = facts.of_day(TENANT, NOON.date())
    assert day.deliveries == {"accepted_with_warnings": 1, "refused": 1}
    assert day.rows_count == 3
    assert day.problems == {"statement.gap": 2, "row.date": 1}
    assert (day.statements_count, day.statements_untied_count) == (1, 1)
    assert day.continuity == "interrupted"
    assert day.days_with_deliveries == {NOON.date(), NOON.date() - timedelta(days=1)}
    assert facts.of_day("mby-two", NOON.date()) == []


@pytest.fixture
def aws() -> Iterator[None]:
    with mock_aws():
        yield


@pytest.mark.usefixtures("aws")
def test_ten_who_save_at_once_make_ten_versions() -> None:
    client = boto3.client("dynamodb")
    shelf = DynamoProfileShelf(client, make_directory_table(client))
    profiles = Profiles(shelf, lambda: NOON)

    def save(number: int) -> SavedProfile | None:
        chosen = a_profile(name="bank-download", account=f"{number}")
        try:
            return profiles.save(TENANT, f"p{number}", chosen, STATEMENT.encode())
        except Conflict:  # who was too late too often is told so
            return None

    with ThreadPoolExecutor(4) as pool:
        saved = [s for s in pool.map(save, range(10)) if s is not None]
    versions = shelf.versions(TENANT, "bank-download")
    assert [v.version for v in versions] == list(range(1, len(saved) + 1))
    assert {v.document for v in versions} == {s.document for s in saved}
    assert shelf.versions(TENANT) == versions
    assert shelf.versions("mby-two") == []
    assert not shelf.add(TENANT, replace(versions[0], document="{}"))
    assert shelf.versions(TENANT)[0] == versions[0]


@pytest.mark.usefixtures("aws")
def test_a_raw_object_is_closed_once_and_for_all() -> None:
    client = boto3.client("s3")
    client.create_bucket(Bucket="raw")
    key = RawKey(TENANT, "a" * 64)
    with pytest.raises(Unavailable):
        S3RawRestriction(client, "raw").restrict(key)
    client.put_object(Bucket="raw", Key=str(key), Body=b"x")
    for _ in range(2):
        S3RawRestriction(client, "raw").restrict(RawKey(TENANT, "a" * 64, "b" * 64))
    tags = client.get_object_tagging(Bucket="raw", Key=str(key))["TagSet"]
    assert tags == [{"Key": "card-numbers", "Value": "yes"}]


@pytest.mark.usefixtures("aws")
def test_the_same_report_writes_nothing() -> None:
    client = boto3.client("s3")
    with pytest.raises(Unavailable):
        S3Shelf(client, "packs").put("k", b"1", "text/html")
    client.create_bucket(Bucket="packs")
    client.put_bucket_versioning(Bucket="packs", VersioningConfiguration={"Status": "Enabled"})
    shelf = S3Shelf(client, "packs")
    for body in (b"1", b"1", b"2"):
        shelf.put("k", body, "text/html")
    assert len(client.list_object_versions(Bucket="packs")["Versions"]) == 2
