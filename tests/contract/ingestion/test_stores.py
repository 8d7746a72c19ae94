"""What every raw store and every directory of sources does: the fakes, S3 and DynamoDB alike."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from pardna.ingestion.dynamodb import DynamoSources
from pardna.ingestion.model import RawKey, Receipt, SourceProfile, sha256
from pardna.ingestion.ports import RawStore, Schedules, SecretVault, Sources
from pardna.ingestion.s3 import S3RawStore
from pardna.ingestion.scheduler_api import SchedulerSchedules
from pardna.ingestion.schedules import Schedule
from pardna.ingestion.secrets_api import SecretsManagerVault
from pardna.ingestion.webhook_rules import HmacScheme, WebhookRules
from pardna.runtime.errors import Conflict, InvalidInput, NotFound, Unavailable
from tests.fakes.ingestion import MemoryRawStore, MemorySchedules, MemorySources, MemoryVault
from tests.support.ingestion import (
    NOON,
    TENANT,
    a_bank_source,
    a_receipt,
    a_stripe_source,
    keys_of,
)
from tests.support.outbox import make_directory_table

FUTURE = datetime.now(UTC) + timedelta(days=3650)
PAST = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture(params=["memory", "s3"])
def raw(request: pytest.FixtureRequest) -> Iterator[RawStore]:
    if request.param == "memory":
        yield MemoryRawStore()
        return
    with mock_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket="raw")
        yield S3RawStore(client, "raw")


@pytest.fixture(params=["memory", "dynamodb"])
def sources(request: pytest.FixtureRequest) -> Iterator[Sources]:
    if request.param == "memory":
        yield MemorySources()
        return
    with mock_aws():
        client = boto3.client("dynamodb")
        yield DynamoSources(client, make_directory_table(client))


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"\xff\xfe\x00" * 1000], ids=["none", "text", "binary"]
)
def test_bytes_come_back_exactly_and_are_kept_once(raw: RawStore, data: bytes) -> None:
    first = raw.put_once(TENANT, data, a_receipt())
    again = raw.put_once(TENANT, data, a_receipt(name="b.xml"))
    assert (first.raw_sha256, first.created, again.created) == (sha256(data), True, False)
    back, receipt = raw.get(RawKey(TENANT, first.raw_sha256))
    assert back == data
    assert (receipt.source_id, receipt.channel, receipt.name) == ("ncb", "sftp", "a.xml")
    assert receipt.received_at == NOON


def test_what_a_tenant_holds_another_does_not_see(raw: RawStore) -> None:
    kept = raw.put_once(TENANT, b"x", a_receipt())
    with pytest.raises(NotFound):
        raw.get(RawKey("kgn-two", kept.raw_sha256))
    assert raw.put_once("kgn-two", b"x", a_receipt()).created


def test_the_same_file_again_changes_nothing_and_under_another_name_leaves_a_receipt(
    raw: RawStore,
) -> None:
    for _ in range(2):
        raw.put_named(TENANT, b"x", a_receipt(name="a.xml"))
    assert len(keys_of(raw)) == 1
    for _ in range(2):
        raw.put_named(TENANT, b"x", a_receipt(name="b.xml"))
    keys = keys_of(raw)
    assert [bool(k.receipt) for k in keys] == [False, True]
    assert raw.get(keys[1])[1].name == "b.xml"
    assert keys[1].object == keys[0]


def test_only_what_was_written_before_is_listed(raw: RawStore) -> None:
    raw.put_once(TENANT, b"x", a_receipt())
    assert raw.page(TENANT, "", PAST, 10).keys == ()


def test_pages_are_of_one_tenant_in_order_and_show_everything_once(raw: RawStore) -> None:
    for number in range(7):
        raw.put_named(TENANT, str(number).encode(), a_receipt())
        raw.put_named("kgn-one-b", str(number).encode(), a_receipt())
    raw.put_named(TENANT, b"0", a_receipt(name="again.xml"))
    seen, after = [], ""
    while True:
        page = raw.page(TENANT, after, FUTURE, 3)
        assert len(page.keys) <= 3
        seen += [str(k) for k in page.keys]
        if not page.next:
            break
        after = page.next
    assert seen == sorted(set(seen))
    assert len(seen) == 8
    assert {k.split("/")[1] for k in seen} == {TENANT}
    assert raw.page(TENANT, "", FUTURE, 8).next == ""  # exactly as many: no empty page follows
    assert raw.page(TENANT, "", PAST, 3).next == raw.page(TENANT, "", FUTURE, 3).next


@pytest.mark.parametrize("name", ["Käse & Brot.xml", "a/b c.xml", "x" * 299, "\u2028.xml"])
def test_any_name_survives(raw: RawStore, name: str) -> None:
    kept = raw.put_named(TENANT, b"x", a_receipt(name=name))
    known = raw.get(RawKey(TENANT, kept.raw_sha256))[1].name
    assert known == name or len(name.encode()) > 250
    raw.put_named(TENANT, b"x", a_receipt(name=name))
    assert len(keys_of(raw)) == 1


def test_bytes_that_are_not_the_keys_are_refused() -> None:
    with mock_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket="raw")
        client.put_object(Bucket="raw", Key=str(RawKey(TENANT, "a" * 64)), Body=b"other")
        with pytest.raises(Conflict, match=r"raw\.hash_differs"):
            S3RawStore(client, "raw").get(RawKey(TENANT, "a" * 64))


@pytest.mark.parametrize("size", [0, 3, 3 * 1024 * 1024 + 1])
def test_an_object_is_read_as_a_file_that_can_be_sought(raw: RawStore, size: int) -> None:
    data = b"\xff" * size
    kept = raw.put_once(TENANT, data, a_receipt())
    with raw.open(RawKey(TENANT, kept.raw_sha256)) as found:
        assert (found.size, found.receipt.source_id) == (size, "ncb")
        file = found.file()
        assert file.read() == data
        file.seek(0)
        assert file.read(1) == data[:1]


def test_an_object_that_is_not_there_is_not_found(raw: RawStore) -> None:
    with pytest.raises(NotFound), raw.open(RawKey(TENANT, "0" * 64)):
        pass


def test_a_bucket_that_is_not_there_is_unavailable() -> None:
    with mock_aws(), pytest.raises(Unavailable):
        S3RawStore(boto3.client("s3"), "nothing").put_once(TENANT, b"x", a_receipt())


@pytest.mark.parametrize("key", ["raw/t", "raw/t/abc", "other/t/" + "a" * 64, "raw/t/" + "A" * 64])
def test_other_keys_are_not_ours(key: str) -> None:
    with pytest.raises(InvalidInput, match=r"raw\.key"):
        RawKey.parse(key)


def test_a_profile_comes_back_whole_and_keeps_its_cursor(sources: Sources) -> None:
    bank, card = a_bank_source(), a_stripe_source()
    for profile in (bank, card):
        sources.put(profile)
    assert sources.get(TENANT, "ncb") == bank
    assert sources.cursor(TENANT, "stripe") == ""
    sources.set_cursor(TENANT, "stripe", "2026-01-31")
    sources.put(replace(card, currency="USD"))
    assert sources.cursor(TENANT, "stripe") == "2026-01-31"
    assert sources.get(TENANT, "stripe").currency == "USD"


def test_sources_are_listed_by_channel_over_all_tenants(sources: Sources) -> None:
    for profile in (a_bank_source(), a_stripe_source(), a_stripe_source(tenant_id="kgn-two")):
        sources.put(profile)
    assert [p.tenant_id for p in sources.by_channel("poll")] == [TENANT, "kgn-two"]
    assert [p.source_id for p in sources.by_channel("sftp")] == ["ncb"]
    assert sources.by_channel("email") == []


def test_an_unknown_source_is_not_found(sources: Sources) -> None:
    with pytest.raises(NotFound):
        sources.get(TENANT, "nobody")


@pytest.mark.parametrize(
    "change",
    [
        {"source_id": "A b"},
        {"provider": "N"},
        {"channels": ("pigeon",)},
        {"channels": ()},
        {"sftp": None},
    ],
)
def test_a_profile_that_cannot_work_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        a_bank_source(**change)


def test_a_profile_that_was_tampered_with_is_refused() -> None:
    plain = a_bank_source().to_dict()
    for broken in ({}, plain | {"colour": 1}, plain | {"sftp": {"host": "x"}}):
        with pytest.raises(InvalidInput):
            SourceProfile.from_dict(broken)
    assert Receipt("a", "sftp", "b", NOON).headers == {}


class Racing:
    """The edge: an S3 that says so many times that another is writing, then what it will."""

    def __init__(self, races: int, then: str) -> None:
        self.answers = ["ConditionalRequestConflict"] * races + [then]

    def put_object(self, **_: object) -> None:
        code = self.answers.pop(0)
        if code:
            raise ClientError({"Error": {"Code": code}}, "PutObject")


def test_two_writers_of_the_same_bytes_end_with_one_object() -> None:
    assert not S3RawStore(Racing(2, "PreconditionFailed"), "raw").put_once(TENANT, b"x", a_receipt()).created  # fmt: skip
    assert S3RawStore(Racing(2, ""), "raw").put_once(TENANT, b"x", a_receipt()).created
    with pytest.raises(Unavailable):
        S3RawStore(Racing(9, ""), "raw").put_once(TENANT, b"x", a_receipt())


def test_one_source_that_cannot_be_read_does_not_hide_the_others() -> None:
    with mock_aws():
        client = boto3.client("dynamodb")
        table = make_directory_table(client)
        sources = DynamoSources(client, table)
        sources.put(a_bank_source())
        broken = {"pk": "TENANT#kgn-two", "sk": "SOURCE#x", "kind": "source", "profile": "{"}
        client.put_item(TableName=table, Item={k: {"S": v} for k, v in broken.items()})
        assert [p.source_id for p in sources.by_channel("sftp")] == ["ncb"]


def test_switches_are_apart_from_what_a_source_is(sources: Sources) -> None:
    card = a_stripe_source()
    sources.put(card)
    hourly = {"poll": "rate(1 hour)"}
    sources.switch(replace(card, enabled=False, schedules=hourly, currency="USD"))
    off = sources.get(TENANT, "stripe")
    assert (off.enabled, off.schedules, off.currency) == (False, hourly, "")
    sources.put(replace(card, currency="JMD"))  # registered again: stays off
    again = sources.get(TENANT, "stripe")
    assert (again.enabled, again.schedules, again.currency) == (False, hourly, "JMD")
    assert sources.by_channel("poll") == []
    sources.switch(replace(card, enabled=True, schedules=hourly))
    assert sources.by_channel("poll") == []
    sources.switch(replace(card, enabled=True, schedules={}))
    assert [p.source_id for p in sources.by_channel("poll")] == ["stripe"]
    with pytest.raises(NotFound):
        sources.switch(a_stripe_source(source_id="nobody"))


def test_a_tenants_sources_are_listed_by_name_and_in_pages(sources: Sources) -> None:
    names = [f"s{n}" for n in range(5)]
    for name in reversed(names):
        sources.put(a_stripe_source(source_id=name))
    sources.put(a_stripe_source(tenant_id="kgn-two"))
    seen: list[str] = []
    while page := sources.of_tenant(TENANT, seen[-1] if seen else "", 2):
        assert len(page) <= 2
        seen += [p.source_id for p in page]
    assert seen == names
    assert sources.of_tenant("nobody", "", 10) == []


RULES = WebhookRules(
    url="https://a.example/x",
    webhook_id="W1",
    networks=("192.0.2.0/24",),
    scheme=HmacScheme("x-sig", signed=("timestamp", "body"), timestamp_header="x-time"),
)


def test_rules_of_webhooks_come_back_whole(sources: Sources) -> None:
    signed = a_stripe_source(signature="hmac", webhook=RULES)
    sources.put(signed)
    assert sources.get(TENANT, "stripe") == signed


@pytest.fixture(params=["memory", "scheduler"])
def schedules(request: pytest.FixtureRequest) -> Iterator[tuple[Schedules, Callable[[], object]]]:
    if request.param == "memory":
        memory = MemorySchedules()
        yield memory, lambda: {n: (s.expression, s.enabled) for n, s in memory.schedules.items()}
        return
    with mock_aws():
        client = boto3.client("scheduler")
        client.create_schedule_group(Name="sources")
        role, function = "arn:aws:iam::123456789012:role/r", "arn:aws:lambda:us-east-1:123456789012:function:"  # fmt: skip
        targets = {"poll": f"{function}poll", "sftp": f"{function}pull"}
        queue = "arn:aws:sqs:us-east-1:123456789012:q"

        def found() -> object:
            names = [s["Name"] for s in client.list_schedules(GroupName="sources")["Schedules"]]
            whole = [client.get_schedule(Name=n, GroupName="sources") for n in names]
            for one in whole:
                assert one["FlexibleTimeWindow"]["Mode"] == "FLEXIBLE"
                assert one["Target"]["RoleArn"] == role
                assert one["Target"]["DeadLetterConfig"] == {"Arn": queue}
                assert json.loads(one["Target"]["Input"]) == {"tenant_id": TENANT, "source_id": "s"}
            return {s["Name"]: (s["ScheduleExpression"], s["State"] == "ENABLED") for s in whole}

        yield SchedulerSchedules(client, "sources", role, queue, targets), found


def test_a_schedule_is_made_changed_and_removed(
    schedules: tuple[Schedules, Callable[[], object]],
) -> None:
    kept, found = schedules
    poll, pull = (Schedule(TENANT, "s", c, "rate(1 hour)") for c in ("poll", "sftp"))
    for _ in range(2):
        kept.put(poll)
    kept.put(pull)
    assert found() == {s.name: ("rate(1 hour)", True) for s in (poll, pull)}
    kept.put(replace(poll, expression="cron(0 6 * * ? *)", enabled=False))
    assert found() == {poll.name: ("cron(0 6 * * ? *)", False), pull.name: ("rate(1 hour)", True)}
    for _ in range(2):
        kept.remove(poll)
    assert found() == {pull.name: ("rate(1 hour)", True)}


@pytest.fixture(params=["memory", "secretsmanager"])
def vault(request: pytest.FixtureRequest) -> Iterator[SecretVault]:
    if request.param == "memory":
        yield MemoryVault()
        return
    with mock_aws():
        yield SecretsManagerVault(boto3.client("secretsmanager"))


def test_a_secret_is_made_and_replaced(vault: SecretVault) -> None:
    assert vault.read("/pardna/local/t/s/webhook") == ""
    for text in ("one", "two"):
        vault.write("/pardna/local/t/s/webhook", text)
        assert vault.read("/pardna/local/t/s/webhook") == text
