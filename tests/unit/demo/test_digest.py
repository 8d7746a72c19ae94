"""The digest counts what changed: one planted change of each kind is one difference."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import boto3
import psycopg
import pytest
from moto import mock_aws

from local.demo import digest
from local.home import Home
from tests.support.postgres import TestDatabase


@dataclass
class AwsOnly:
    """As much of a home as the collectors of AWS ask for."""

    def client(self, service: str) -> Any:
        return boto3.client(service, region_name="us-east-1")


@pytest.fixture
def aws() -> Any:
    with mock_aws():
        yield cast(Home, AwsOnly())


def table_rows(database: TestDatabase) -> digest.Digest:
    with psycopg.connect(database.superuser_conninfo, autocommit=True) as connection:
        return dict(digest.database_rows(connection))


def execute(database: TestDatabase, statement: str) -> None:
    with psycopg.connect(database.superuser_conninfo, autocommit=True) as connection:
        connection.execute(statement)


def test_names_tell_added_removed_and_changed_apart() -> None:
    difference = digest.compare({"a": "1", "b": "1", "c": "1"}, {"b": "2", "c": "1", "d": "1"})

    assert difference == digest.Difference(added=("d",), removed=("a",), changed=("b",))
    assert difference.count == 3
    assert difference.lines(most=2) == ["added    d", "removed  a", "and 1 more"]


def test_equal_digests_differ_in_nothing() -> None:
    assert digest.compare({"a": "1"}, {"a": "1"}).count == 0


def test_a_planted_row_is_counted_behind_row_level_security(database: TestDatabase) -> None:
    before = table_rows(database)
    execute(
        database,
        "INSERT INTO app.audit_log (tenant_id, principal, action, subject)"
        " VALUES ('acme', 'someone', 'test.planted', 'x')",
    )

    difference = digest.compare(before, table_rows(database))

    assert difference.count == 1
    assert difference.added[0].startswith("row/app.audit_log/acme|")


def test_a_changed_row_is_counted_once(database: TestDatabase) -> None:
    execute(
        database,
        "INSERT INTO platform.outbox (tenant_id, event_id, event_type, envelope)"
        " VALUES ('acme', repeat('0', 32), 'transaction.recorded', '{}')",
    )
    before = table_rows(database)
    execute(database, "UPDATE platform.outbox SET sent_at = now()")

    difference = digest.compare(before, table_rows(database))

    assert difference.changed == (f"row/platform.outbox/acme|{'0' * 32}",)
    assert difference.count == 1


def test_rows_of_partitions_are_read_where_they_lie_and_only_once(database: TestDatabase) -> None:
    execute(
        database,
        "CREATE TABLE app.parted (n int) PARTITION BY RANGE (n);"
        "CREATE TABLE app.parted_low PARTITION OF app.parted FOR VALUES FROM (0) TO (10);"
        "INSERT INTO app.parted VALUES (1), (1), (2)",
    )

    names = [name for name in table_rows(database) if "parted" in name]

    assert len(names) == 3, "the same row twice in a table without a key counts twice"
    assert all(name.startswith("row/app.parted_low/") for name in names)


def test_a_planted_item_is_counted(aws: Home) -> None:
    client = aws.client("dynamodb")
    client.create_table(
        TableName="things",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    client.put_item(TableName="things", Item={"pk": {"S": "1"}, "tags": {"SS": ["b", "a"]}})
    before = dict(digest.items(aws))
    client.put_item(TableName="things", Item={"pk": {"S": "1"}, "tags": {"SS": ["a", "b"]}})
    assert digest.compare(before, dict(digest.items(aws))).count == 0, "a set has no order"

    client.put_item(TableName="things", Item={"pk": {"S": "2"}})

    assert digest.compare(before, dict(digest.items(aws))).added == ("item/things/2",)


def test_a_planted_object_is_counted_and_so_is_a_second_version_of_the_same_bytes(
    aws: Home,
) -> None:
    client = aws.client("s3")
    client.create_bucket(Bucket="bucket")
    client.put_bucket_versioning(Bucket="bucket", VersioningConfiguration={"Status": "Enabled"})
    client.put_object(Bucket="bucket", Key="a", Body=b"1")
    before = dict(digest.objects(aws))
    client.put_object(Bucket="bucket", Key="a", Body=b"1")
    client.put_object(Bucket="bucket", Key="b", Body=b"2")
    client.delete_object(Bucket="bucket", Key="a")

    difference = digest.compare(before, dict(digest.objects(aws)))

    assert len(difference.added) == 3
    assert difference.count == 3


def test_an_object_that_is_overwritten_where_no_versions_are_kept_is_counted(aws: Home) -> None:
    client = aws.client("s3")
    client.create_bucket(Bucket="bucket")
    client.put_object(Bucket="bucket", Key="a", Body=b"1")
    before = dict(digest.objects(aws))
    client.put_object(Bucket="bucket", Key="a", Body=b"2")

    difference = digest.compare(before, dict(digest.objects(aws)))

    assert difference.changed == ("object/bucket/a@null",)


def test_nothing_that_can_be_collected_is_left_out() -> None:
    assert {one.__name__ for one in digest.COLLECTORS} == {
        "rows", "items", "objects", "stream_records", "messages", "executions", "people",
        "configuration", "files", "card_network", "settlement",
    }  # fmt: skip


def test_a_planted_file_is_counted_and_a_rewritten_one_too(tmp_path: Path) -> None:
    (tmp_path / "ncb" / "out").mkdir(parents=True)
    (tmp_path / "ncb" / "out" / "statement.xml").write_bytes(b"<a/>")
    (tmp_path / "server.log").write_text("about itself")
    before = dict(digest.folder_files(tmp_path))
    (tmp_path / "ncb" / "out" / "statement.xml").write_bytes(b"<b/>")
    (tmp_path / "ncb" / "out" / "new.xml").write_bytes(b"")
    (tmp_path / "server.log").write_text("about itself again")

    difference = digest.compare(before, dict(digest.folder_files(tmp_path)))

    assert difference == digest.Difference(
        added=("file/ncb/out/new.xml",), removed=(), changed=("file/ncb/out/statement.xml",)
    )


def test_a_planted_message_is_counted_at_any_depth_of_the_answer() -> None:
    told = {"messages": {"000000000000": [{"MessageId": "1", "BodyText": "hello"}]}}
    before = dict(digest.listed("message/ses", told))
    told["messages"]["000000000000"].append({"MessageId": "2", "BodyText": "hello"})

    difference = digest.compare(before, dict(digest.listed("message/ses", told)))

    assert difference.added == ("message/ses/messages/000000000000/2",)
    assert difference.count == 1


def test_kinds_say_what_a_digest_covers() -> None:
    assert digest.kinds({"row/a": "", "row/b": "", "item/c": ""}) == {"item": 1, "row": 2}
