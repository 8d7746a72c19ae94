"""Files of many rows: staged, recorded part by part, posted in batches; killed at each boundary."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import psycopg
import pytest

from functions.ingestion import normalise_object, record_part, stage_delivery
from functions.ledger import post_delivery
from pardna.database import migrate
from pardna.database.session import Database
from pardna.ingestion import source_wiring, store_wiring, wiring
from pardna.ingestion.bulk import RecordPart
from pardna.ingestion.model import Receipt
from pardna.ledger import wiring as ledger
from pardna.outbox import wiring as outbox
from pardna.runtime.errors import Unavailable
from pardna.runtime.settings import Settings, settings
from pardna.transactions.lake import PART_ROWS, PartMessage, part_key
from pardna.transactions.parquet import from_parquet, to_parquet
from pardna.transactions.postgres_bulk import PostgresBulkStore
from tests.fakes.ingestion import CountingDrain
from tests.integration.ingestion.conftest import BANK, STRIPE, Deployed
from tests.support.handlers import Context
from tests.support.ingestion import TENANT

HEAD = (
    "automatic_payout_id,balance_transaction_id,created,available_on,currency,gross,fee,net,"
    "reporting_category,source_id,description,charge_id,payment_intent_id\r\n"
)
QUEUES = {
    "stage_delivery": stage_delivery.handler,
    "record_part": record_part.handler,
    "post_delivery": post_delivery.handler,
}
OTHERS = [
    name.removesuffix("_queue_url")
    for name in Settings.model_fields
    if name.endswith("_queue_url") and name.removesuffix("_queue_url") not in QUEUES
]


def report(rows: int, first: int = 0, fee: str = "195.00", net: str = "4805.00") -> bytes:
    """A payout report of `rows` charges."""
    lines = (
        f"po_1,txn_{i},2026-01-31 12:00:00,2026-02-02 00:00:00,jmd,5000.00,{fee},{net},"
        f"charge,ch_{i},a \\ 'b',ch_{i},pi_{i}\r\n"
        for i in range(first, first + rows)
    )
    return (HEAD + "".join(lines)).encode()


class Bulk:
    """The bulk road as deployed, in one process: outbox, queues and functions."""

    def __init__(self, home: Deployed) -> None:
        self.home = home
        self.backwards = False
        self.sqs = boto3.client("sqs")
        self.urls = {
            name: self.sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "0"})[
                "QueueUrl"
            ]
            for name in (*QUEUES, *OTHERS)
        }

    def keep(self, data: bytes, source_id: str = "stripe") -> str:
        receipt = Receipt(source_id, "sftp", "report.csv", datetime.now(UTC))
        kept = store_wiring.raw_store().put_named(TENANT, data, receipt)
        return f"raw/{TENANT}/{kept.raw_sha256}"

    def bring(self, data: bytes) -> str:
        """A file, until nothing moves any more."""
        key = self.keep(data)
        assert self.home.normalise(key) == []
        self.work()
        return key.rpartition("/")[2]

    def ask_again(self, digest: str, source_id: str = "stripe") -> str:
        """A replay of a delivery, as its request leaves; the message for whoever normalises."""
        source_wiring.replay_deliveries().one(TENANT, source_id, digest, "again")
        outbox.publisher().sweep()
        (body,) = self.messages("normalise")
        return body

    def replay(self, digest: str, source_id: str = "stripe") -> None:
        """The same, until nothing moves any more."""
        assert _redriven(normalise_object.handler)(self.ask_again(digest, source_id)) == []
        assert self.work() == 0

    def work(self) -> int:
        """Let everything that is on its way arrive; how many messages failed."""
        failed = 0
        for _ in range(10):
            outbox.relay().relay()
            moved = outbox.publisher().sweep()
            for name, handler in QUEUES.items():
                bodies = list(self.messages(name))
                for body in reversed(bodies) if self.backwards else bodies:
                    moved += 1
                    record = {"messageId": "m", "body": body}
                    failed += len(handler({"Records": [record]}, Context())["batchItemFailures"])
            if not moved:
                return failed
        raise AssertionError("it never came to rest")

    def messages(self, name: str) -> Iterator[str]:
        while found := self.sqs.receive_message(
            QueueUrl=self.urls[name], MaxNumberOfMessages=10
        ).get("Messages", []):
            for message in found:
                self.sqs.delete_message(
                    QueueUrl=self.urls[name], ReceiptHandle=message["ReceiptHandle"]
                )
                yield message["Body"]

    def canonical(self) -> list[tuple[Any, ...]]:
        return self.home.rows(
            "SELECT transaction_id::text, version, content_hash FROM platform.transactions ORDER BY 1"
        )

    def journals(self) -> int:
        return int(self.home.rows("SELECT count(*) FROM ledger.journals")[0][0])

    def deliveries(self) -> list[tuple[Any, ...]]:
        return self.home.rows(
            "SELECT status, format, entries_count FROM platform.deliveries ORDER BY 1, 2, 3"
        )


@pytest.fixture
def road(deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bulk]:
    monkeypatch.setattr("pardna.outbox.service.STREAM_GRACE", -datetime.resolution * 10**9)
    monkeypatch.setattr("pardna.ingestion.normalise.BULK_BYTES", 1_000)
    monkeypatch.setattr("pardna.ingestion.normalise.ROWS_ONLINE", 100)
    opened: list[Database] = []

    def remembered(told: Settings) -> Database:
        opened.append(Database(lambda: told.database_url))
        return opened[-1]

    monkeypatch.setattr("pardna.database.session.from_settings", remembered)
    posting = (settings, ledger.ledger, ledger.transaction_consumer, ledger.post_delivery)
    posting = (*posting, source_wiring.replay_deliveries, source_wiring._shelf)
    for function in posting:
        function.cache_clear()
    migrate.apply(deployed.database.admin_conninfo)  # a clone lets everyone do what only some may
    bulk = Bulk(deployed)
    for name, url in bulk.urls.items():
        monkeypatch.setenv(f"{name.upper()}_QUEUE_URL", url)
    boto3.client("kinesis").create_stream(StreamName="stream", ShardCount=1)
    monkeypatch.setenv("TRANSACTIONS_STREAM", "stream")
    for name, told in Settings.model_fields.items():
        if told.default == "" and not os.environ.get(name.upper()):
            monkeypatch.setenv(name.upper(), "none")  # for ports that nothing here is sent by
    deployed.register(STRIPE)
    yield bulk
    for database in opened:
        database.close()
    for function in posting:
        function.cache_clear()


def test_twenty_thousand_rows_are_recorded_posted_and_kept_for_matching(
    road: Bulk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pardna.ingestion.normalise.ROWS_ONLINE", 5_000)
    rows = 2 * PART_ROWS + 1_000
    digest = road.bring(report(rows))

    assert road.deliveries() == [("accepted", "stripe.payout_report", rows)]
    assert len(road.canonical()) == rows
    assert road.home.rows("SELECT count(*) FROM platform.transaction_versions") == [(rows,)]
    assert road.journals() == rows
    kept = []
    for part in (1, 2, 3):
        path = tmp_path / "part.parquet"
        key = part_key(TENANT, digest, part)
        path.write_bytes(road.home.s3.get_object(Bucket="lake", Key=key)["Body"].read())
        kept += [
            (r.transaction_id, r.version, r.transaction.content_hash) for r in from_parquet(path)
        ]
    assert sorted(kept) == road.canonical()
    # One announcement for the delivery (and two on its way), none for its rows.
    assert road.home.rows(
        "SELECT event_type, count(*) FROM platform.outbox GROUP BY 1 ORDER BY 1"
    ) == [
        ("delivery.recorded", 1),
        ("delivery.staged", 1),
        ("large_object.arrived", 1),
    ]


def test_the_same_file_again_and_the_same_rows_in_another_change_nothing(road: Bulk) -> None:
    road.bring(report(600))
    before, journals = road.canonical(), road.journals()

    road.bring(report(600))
    road.bring(report(600) + b"\r\n")
    assert (road.canonical(), road.journals()) == (before, journals)
    assert len(road.deliveries()) == 2
    assert road.home.rows("SELECT count(*) FROM platform.pending_deliveries") == [(0,)]


def test_what_a_later_file_knows_better_is_the_next_version(road: Bulk) -> None:
    road.bring(report(600))
    data = report(10, fee="200.00", net="4800.00") + report(600, 10)[len(HEAD) :]
    road.bring(data)

    versions = road.home.rows(
        "SELECT version, count(*) FROM platform.transactions GROUP BY 1 ORDER BY 1"
    )
    assert versions == [(1, 600), (2, 10)]
    # A changed one is reversed and posted anew.
    assert road.journals() == 610 + 2 * 10


TWICE = report(600) + report(5, fee="200.00", net="4800.00")[len(HEAD) :]


def test_rows_that_one_part_says_twice_are_merged_as_in_a_small_file(
    road: Bulk, monkeypatch: pytest.MonkeyPatch
) -> None:
    road.bring(TWICE)
    large = road.home.rows(
        "SELECT external_id, version, fee_minor, net_minor FROM platform.transactions ORDER BY 1"
    )
    assert len(large) == 600
    assert {row[1] for row in large} == {1}
    assert sum(row[2] == 20_000 for row in large) == 5
    assert road.journals() == 600

    # The small road finds nothing to add: it comes to the very same.
    before = road.canonical()
    monkeypatch.setattr("pardna.ingestion.normalise.ROWS_ONLINE", 5_000)
    road.bring(TWICE + b"\r\n")
    assert road.canonical() == before


@pytest.mark.parametrize("backwards", [False, True])
def test_rows_that_two_parts_say_end_in_one_transaction_of_two_versions(
    road: Bulk, monkeypatch: pytest.MonkeyPatch, backwards: bool
) -> None:
    monkeypatch.setattr("pardna.ingestion.bulk.PART_ROWS", 300)
    road.backwards = backwards
    road.bring(TWICE)
    assert len(road.canonical()) == 600
    # The part that knows better adds a version, or is the first and leaves the other none to add.
    assert [v for _, v, _ in road.canonical()].count(2) == (0 if backwards else 5)

    # Nothing is doubled, and what stands is what a small file comes to, whichever part was first.
    standing = "SELECT external_id, content_hash FROM platform.transactions ORDER BY 1"
    before = road.home.rows(standing)
    fees = "SELECT sum(fee_minor), sum(net_minor) FROM platform.transactions"
    assert road.home.rows(fees) == [(595 * 19_500 + 5 * 20_000, 595 * 480_500 + 5 * 480_000)]
    monkeypatch.setattr("pardna.ingestion.normalise.ROWS_ONLINE", 5_000)
    road.bring(TWICE + b"\r\n")
    assert road.home.rows(standing) == before


CONTRADICTING = (
    report(600)
    + report(1).replace(b",jmd,", b",usd,")[len(HEAD) :]
    + report(3).replace(b",jmd,", b",eur,")[len(HEAD) :]
    + report(1).replace(b",jmd,", b",usd,")[len(HEAD) :]
)


def standing(road: Bulk) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """What counts, and what was put aside."""
    heads = "SELECT external_id, kind, currency, amount_minor, content_hash"
    aside = "SELECT position, code, reason FROM platform.quarantine ORDER BY position"
    return road.home.rows(f"{heads} FROM platform.transactions ORDER BY 1"), road.home.rows(aside)


@pytest.mark.parametrize("part_rows", [300, 100, 601])
@pytest.mark.parametrize("backwards", [False, True])
def test_of_rows_that_contradict_each_other_the_first_in_the_file_counts_as_in_a_small_one(
    road: Bulk, monkeypatch: pytest.MonkeyPatch, backwards: bool, part_rows: int
) -> None:
    monkeypatch.setattr("pardna.ingestion.bulk.PART_ROWS", part_rows)
    road.backwards = backwards
    road.bring(CONTRADICTING)
    heads, aside = standing(road)
    assert {row[1:3] for row in heads} == {("charge", "JMD")}
    assert len(heads) == 600
    assert [row[0] for row in aside] == [f"line {n}" for n in (602, 603, 604, 605, 606)]
    assert {row[1] for row in aside} == {"transaction.contradiction"}
    assert road.journals() == 600

    # The small road comes to the very same, and a replay changes nothing.
    with psycopg.connect(road.home.database.superuser_conninfo) as connection:
        connection.execute("SET session_replication_role = replica")
        for table in ("quarantine", "transaction_versions", "transactions"):
            connection.execute(f"DELETE FROM platform.{table}".encode())
    with monkeypatch.context() as patched:
        patched.setattr("pardna.ingestion.normalise.ROWS_ONLINE", 5_000)
        road.bring(CONTRADICTING + b"\r\n")
    assert standing(road) == (heads, aside)


def test_parts_that_are_recorded_at_once_agree_on_what_counts(
    road: Bulk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pardna.ingestion.bulk.PART_ROWS", 100)
    seen = []
    for attempt in range(3):
        digest = road.keep(CONTRADICTING + b"\r\n" * attempt).rpartition("/")[2]
        assert road.home.normalise(f"raw/{TENANT}/{digest}") == []
        outbox.relay().relay()
        outbox.publisher().sweep()
        for body in road.messages("stage_delivery"):
            assert _redriven(stage_delivery.handler)(body) == []
        outbox.relay().relay()
        outbox.publisher().sweep()
        parts = [PartMessage.from_json(body) for body in road.messages("record_part")]
        assert len(parts) == 7

        def recorded(message: PartMessage) -> Any:
            store = PostgresBulkStore(road.home.database.session())
            return RecordPart(wiring._parts(), store, CountingDrain(), to_parquet).record(message)

        with ThreadPoolExecutor(7) as pool:
            counts = list(pool.map(recorded, parts if attempt else parts[::-1]))
        assert sum(c.refused for c in counts) == 5
        seen.append(standing(road)[0])
        assert road.work() == 0
    assert seen[0] == seen[1] == seen[2]
    assert {row[1:3] for row in seen[0]} == {("charge", "JMD")}
    positions = {row[0] for row in standing(road)[1]}
    assert positions == {f"line {n}" for n in (602, 603, 604, 605, 606)}


def test_a_file_that_contradicts_itself_all_over_does_not_count(
    road: Bulk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pardna.ingestion.bulk.PART_ROWS", 300)
    monkeypatch.setattr("pardna.ingestion.contested.CONTESTED_MAX", 2)
    monkeypatch.setattr("pardna.ingestion.normalise.CONTESTED_MAX", 2)
    road.bring(CONTRADICTING)
    assert road.canonical() == []
    assert road.deliveries() == [("quarantined", "stripe.payout_report", 605)]
    codes = road.home.rows("SELECT code FROM platform.quarantine")
    assert ("control.identities",) in codes


def test_a_part_that_contradicts_itself_is_heard_once_and_the_rest_put_aside(road: Bulk) -> None:
    road.bring(report(600) + report(1).replace(b",jmd,", b",usd,")[len(HEAD) :])

    assert len(road.canonical()) == 600
    assert road.home.rows("SELECT code, position FROM platform.quarantine") == [
        ("transaction.contradiction", "line 602")
    ]


def test_a_row_that_contradicts_its_identity_is_quarantined_and_the_others_count(
    road: Bulk,
) -> None:
    road.bring(report(600))
    other = report(1).replace(b",jmd,", b",usd,").replace(b",charge,", b",charge,", 1)
    road.bring(other + report(600, 1)[len(HEAD) :])

    assert len(road.canonical()) == 601
    assert road.home.rows("SELECT code, position FROM platform.quarantine") == [
        ("transaction.contradiction", "line 2")
    ]


def test_a_large_statement_that_does_not_add_up_is_put_aside_and_its_neighbour_counts(
    road: Bulk,
) -> None:
    road.home.register(BANK)
    parts = []
    for account, closing in (("404385912", "600,00"), ("404385913", "599,99")):
        lines = "".join(
            f":61:2601310131C1,00NTRFNONREF//R{account}{i}\r\n:86:/EREF/E{account}{i}\r\n"
            for i in range(600)
        )
        parts.append(
            f":20:S{account}\r\n:25:{account}\r\n:28C:1/1\r\n:60F:C260131JMD0,00\r\n{lines}"
            f":62F:C260131JMD{closing}\r\n-\r\n"
        )
    key = road.keep("".join(parts).encode(), "ncb")
    assert road.home.normalise(key) == []
    assert road.work() == 0

    assert road.deliveries() == [("accepted_with_warnings", "MT940", 1_200)]
    assert road.home.rows("SELECT source, count(*) FROM platform.transactions GROUP BY 1") == [
        ("ncb:404385912", 600)
    ]
    assert road.home.rows("SELECT code FROM platform.quarantine") == [("statement.does_not_tie",)]
    assert road.home.rows("SELECT ties FROM platform.statements ORDER BY source") == [
        (True,),
        (False,),
    ]


def test_a_large_file_that_breaks_off_counts_for_nothing(road: Bulk) -> None:
    data = report(1_200) + b'po_1,"txn_'
    road.bring(data)

    assert road.deliveries() == [("refused", "", 0)]
    assert road.canonical() == []
    assert road.home.rows("SELECT count(*) FROM platform.bulk_deliveries") == [(0,)]


def test_another_tenant_sees_nothing_of_it(road: Bulk) -> None:
    digest = road.bring(report(600))

    store = wiring.record_part().store
    assert store.staged("kgn-two", digest) is None
    message = PartMessage("kgn-two", digest, 1, 1, "c")
    body = {"messageId": "m", "body": message.to_json()}
    assert record_part.handler({"Records": [body]}, Context())["batchItemFailures"] != []
    assert post_delivery.handler({"Records": [body]}, Context())["batchItemFailures"] != []


class Killed(Unavailable):
    """A process that ended right after a write."""


#: Every write of the bulk road: where it is made, and by which handler.
BOUNDARIES = [
    ("pardna.ingestion.large.AnnouncedObjects.hand_over", "normalise"),
    ("pardna.transactions.s3.S3PartFiles.put", "stage_delivery"),
    ("pardna.transactions.postgres_bulk.PostgresBulkStore.stage", "stage_delivery"),
    ("pardna.outbox.service.Relay.drain", "stage_delivery"),
    ("pardna.transactions.postgres_bulk.PostgresBulkStore.record_part", "record_part"),
    ("pardna.transactions.s3.S3PartFiles.put", "record_part"),
    ("pardna.transactions.postgres_bulk.PostgresBulkStore.finish_part", "record_part"),
    ("pardna.outbox.service.Relay.drain", "record_part"),
    ("pardna.ledger.service.Ledger.post_transactions", "post_delivery"),
]


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize(("target", "function"), BOUNDARIES)
def test_killed_at_any_boundary_and_sent_again_it_ends_the_same(
    road: Bulk, monkeypatch: pytest.MonkeyPatch, target: str, function: str, before: bool
) -> None:
    monkeypatch.setattr("pardna.ingestion.bulk.PART_ROWS", 300)
    monkeypatch.setattr("pardna.ingestion.normalise.LARGE_BYTES", 1_000)
    first = road.keep(report(700))
    ended = _until_rest(road, monkeypatch, (target, function, before), first)
    assert ended < 2, "it never came to this write"
    assert road.deliveries() == [("accepted", "stripe.payout_report", 700)]
    assert len(road.canonical()) == 700
    assert {v for _, v, _ in road.canonical()} == {1}
    assert road.journals() == 700
    assert road.home.rows("SELECT count(*) FROM platform.bulk_parts") == [(3,)]


def _until_rest(
    road: Bulk, monkeypatch: pytest.MonkeyPatch, killed: tuple[str, str, bool], first: str
) -> int:
    """Work until nothing moves, dying twice at a write; how many deaths were left over."""
    target, function, before = killed
    owner, _, method = target.rpartition(".")
    module, _, name = owner.rpartition(".")
    cls = getattr(__import__(module, fromlist=[name]), name)
    original = getattr(cls, method)
    times = {"left": 2}

    def dying(self: Any, *args: Any, **more: Any) -> Any:
        if times["left"] and now["at"] == function:
            times["left"] -= 1
            if before:
                raise Killed("killed", "before the write")
            original(self, *args, **more)
            raise Killed("killed", "after the write")
        return original(self, *args, **more)

    now = {"at": ""}
    handlers = {
        "normalise": lambda said: (
            road.home.normalise(said)
            if said.startswith("raw/")
            else _redriven(normalise_object.handler)(said)
        ),
        **{n: _redriven(h) for n, h in QUEUES.items()},
    }
    monkeypatch.setattr(cls, method, dying)
    waiting: list[tuple[str, str]] = [("normalise", first)]
    for _ in range(60):
        if not waiting:
            outbox.relay().relay()
            outbox.publisher().sweep()
            waiting = [(n, b) for n in handlers if n in QUEUES for b in road.messages(n)]
            if not waiting:
                break
        where, body = waiting.pop(0)
        now["at"] = where
        if handlers[where](body):
            waiting.append((where, body))  # redriven
        now["at"] = ""
    return times["left"]


def _redriven(handler: Any) -> Any:
    return lambda body: handler({"Records": [{"messageId": "m", "body": body}]}, Context())[
        "batchItemFailures"
    ]


@pytest.mark.parametrize("large_bytes", [1_000, 1024 * 1024], ids=["handed-over", "read-at-once"])
def test_a_replay_runs_the_parts_again_and_counts_once(
    road: Bulk, monkeypatch: pytest.MonkeyPatch, large_bytes: int
) -> None:
    monkeypatch.setattr("pardna.ingestion.bulk.PART_ROWS", 300)
    monkeypatch.setattr("pardna.ingestion.normalise.LARGE_BYTES", large_bytes)
    digest = road.bring(report(700))
    before, journals, deliveries = road.canonical(), road.journals(), road.deliveries()
    parts = [part_key(TENANT, digest, part) for part in (1, 2, 3)]
    for key in parts:
        road.home.s3.delete_object(Bucket="lake", Key=key)

    for times in (1, 2):
        road.replay(digest)
        assert (road.canonical(), road.journals(), road.deliveries()) == (
            before,
            journals,
            deliveries,
        )
        runs = (
            "SELECT count(*), count(closed_at), count(*) FILTER (WHERE replay_id <> '')"
            " FROM platform.bulk_deliveries"
        )
        assert road.home.rows(runs) == [(1 + times, 1 + times, times)]
        counts = "SELECT sum(new_count), sum(changed_count), sum(unchanged_count)"
        assert road.home.rows(f"{counts} FROM platform.bulk_parts WHERE replay_id <> ''") == [
            (0, 0, 700 * times)
        ]
    for key in parts:
        assert road.home.s3.head_object(Bucket="lake", Key=key)["ContentLength"]


def test_a_replay_records_what_a_first_reading_lost(road: Bulk) -> None:
    digest = road.bring(report(600))
    whole = road.canonical()
    # As if a reader that is mended by now had not seen some rows, and a price was wrong.
    with psycopg.connect(road.home.database.superuser_conninfo) as connection:
        connection.execute("SET session_replication_role = replica")
        lost = [row[0] for row in whole[:50]]
        for table in ("transaction_versions", "transactions"):
            connection.execute(
                f"DELETE FROM platform.{table} WHERE transaction_id = ANY(%s::uuid[])".encode(),
                (lost,),
            )
    assert len(road.canonical()) == 550

    road.replay(digest)
    assert road.canonical() == whole
    assert road.journals() == 600


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize(
    ("target", "function"), [b for b in BOUNDARIES if b[1] != "normalise"] + [BOUNDARIES[0]]
)
def test_a_replay_killed_at_any_boundary_ends_the_same(
    road: Bulk, monkeypatch: pytest.MonkeyPatch, target: str, function: str, before: bool
) -> None:
    monkeypatch.setattr("pardna.ingestion.bulk.PART_ROWS", 300)
    monkeypatch.setattr("pardna.ingestion.normalise.LARGE_BYTES", 1_000)
    digest = road.bring(report(700))
    canonical, journals = road.canonical(), road.journals()
    body = road.ask_again(digest)
    ended = _until_rest(road, monkeypatch, (target, function, before), body)

    assert ended < 2, "it never came to this write"
    assert (road.canonical(), road.journals()) == (canonical, journals)
    assert road.deliveries() == [("accepted", "stripe.payout_report", 700)]
    assert road.home.rows("SELECT count(*), count(closed_at) FROM platform.bulk_deliveries") == [
        (2, 2)
    ]
    assert road.home.rows("SELECT count(*) FROM platform.bulk_parts") == [(6,)]


def test_messages_that_say_nothing_come_back_as_failed(road: Bulk) -> None:
    for handler in (stage_delivery.handler, record_part.handler, post_delivery.handler):
        bad = {"messageId": "m-1", "body": json.dumps({"part": "one"})}
        answer = handler({"Records": [bad]}, Context())
        assert answer["batchItemFailures"] == [{"itemIdentifier": "m-1"}]
