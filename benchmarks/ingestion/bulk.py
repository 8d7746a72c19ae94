"""A large settlement report from upload to canonical, ledger and lake, on a real PostgreSQL.

The functions' own use cases, one after the other as their queues would bring them; parts are worked
on by `WORKERS` at once, as by as many Lambdas. Raw object and lake are a folder: what S3 adds is the
network's.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from benchmarks.ingestion.subjects import peak_mib, report, write
from pardna.database.session import Database
from pardna.ingestion.bulk import RecordPart, StageDelivery
from pardna.ingestion.model import RawKey, Receipt, SourceProfile
from pardna.ingestion.normalise import NormaliseObject
from pardna.ledger.consume import TransactionConsumer
from pardna.ledger.deliveries import PostDelivery
from pardna.ledger.postgres import PostgresBooks
from pardna.ledger.postgres_heads import PostgresHeads
from pardna.ledger.service import Ledger
from pardna.matching.model import legs_of
from pardna.runtime.clock import utc_now
from pardna.runtime.errors import NotFound
from pardna.transactions.lake import PartMessage
from pardna.transactions.parquet import from_parquet, to_parquet
from pardna.transactions.postgres import PostgresTransactionStore
from pardna.transactions.postgres_bulk import PostgresBulkStore
from tests.fakes.ingestion import CollectingAnswers, CountingDrain, MemorySources
from tests.fakes.outbox import MemoryDepartures
from tests.support.postgres import running_cluster

TENANT = "bench"
SOURCE = SourceProfile(TENANT, "stripe", "stripe", ("upload",), "acct_1")
WORKERS = 2


class Folder:
    """`PartFiles` in a folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, key: str, body: bytes) -> None:
        path = self._root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)

    def get(self, key: str) -> bytes:
        if not (self._root / key).exists():
            raise NotFound("part.not_found", "there is no such part")
        return (self._root / key).read_bytes()


class OneObject:
    """`RawStore` of one file, and its `RawObject`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.size = path.stat().st_size
        self.receipt = Receipt("stripe", "upload", "report.csv", datetime.now(UTC))

    @contextmanager
    def open(self, _key: RawKey) -> Iterator[OneObject]:
        with self._path.open("rb") as self._file:
            yield self

    def file(self) -> BinaryIO:
        return self._file


def measure(rows: int) -> dict[str, Any]:
    """Seconds of each step, and rows a second."""
    found: dict[str, Any] = {"rows": rows, "workers": WORKERS}
    with running_cluster() as cluster, tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write(report, rows, root / "report.csv")
        conninfo = cluster.clone("bench").runtime_conninfo
        key = RawKey(TENANT, "0" * 64)
        started = time.perf_counter()
        _normaliser(root, conninfo).normalise(key, "bench")
        found["staged_s"] = round(time.perf_counter() - started, 1)
        found["staging_peak_mib"] = round(peak_mib())
        database = Database(lambda: conninfo)
        staged = PostgresBulkStore(database).staged(TENANT, key.raw_sha256)
        assert staged is not None
        messages = [
            PartMessage(TENANT, key.raw_sha256, part, staged.parts, "bench")
            for part in range(1, staged.parts + 1)
        ]
        found["parts"] = len(messages)
        with ProcessPoolExecutor(WORKERS) as pool:
            found["recorded_s"] = _took(pool, _record, root, conninfo, messages)
            found["canonical_s"] = round(found["staged_s"] + found["recorded_s"], 1)
            found["posted_s"] = _took(pool, _post, root, conninfo, messages)
            found["legs_s"] = _took(pool, _legs, root, conninfo, messages)
        _check(database, rows)
        database.close()
    found["canonical_rows_per_s"] = round(rows / found["canonical_s"])
    found["posted_rows_per_s"] = round(rows / found["posted_s"])
    found["legs_rows_per_s"] = round(rows / found["legs_s"])
    return found


def _check(database: Database, rows: int) -> None:
    """What was measured must have happened."""
    with database.transaction(TENANT, "bench") as connection:
        for table in ("platform.transactions", "platform.transaction_versions"):
            said = connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()
            assert said == (rows,), (table, said)
        status = connection.execute("SELECT status FROM platform.deliveries").fetchall()
        assert status == [("accepted",)], status
        announced = connection.execute(
            "SELECT event_type, count(*) FROM platform.outbox GROUP BY 1 ORDER BY 1"
        ).fetchall()
        assert announced == [("delivery.recorded", 1), ("delivery.staged", 1)], announced


def _normaliser(root: Path, conninfo: str) -> NormaliseObject:
    database = Database(lambda: conninfo)
    return NormaliseObject(
        OneObject(root / "report.csv"),  # type: ignore[arg-type]
        MemorySources(SOURCE),
        PostgresTransactionStore(database),
        CollectingAnswers(),
        CountingDrain(),
        StageDelivery(Folder(root), PostgresBulkStore(database), CountingDrain()),
    )


Work = Callable[[Path, str, PartMessage], None]


def _took(
    pool: ProcessPoolExecutor, work: Work, root: Path, conninfo: str, messages: list[PartMessage]
) -> float:
    started = time.perf_counter()
    for done in [pool.submit(work, root, conninfo, message) for message in messages]:
        done.result()
    return round(time.perf_counter() - started, 1)


_HELD: dict[str, Database] = {}


def _database(conninfo: str) -> Database:
    """One connection a worker, as a Lambda has."""
    if conninfo not in _HELD:
        _HELD[conninfo] = Database(lambda: conninfo)
    return _HELD[conninfo]


def _record(root: Path, conninfo: str, message: PartMessage) -> None:
    store = PostgresBulkStore(_database(conninfo))
    RecordPart(Folder(root), store, CountingDrain(), to_parquet).record(message)


def _post(root: Path, conninfo: str, message: PartMessage) -> None:
    database = _database(conninfo)
    departures = MemoryDepartures(utc_now)
    consumer = TransactionConsumer(Ledger(PostgresBooks(database)), departures, utc_now)
    done = PostDelivery(Folder(root), PostgresHeads(database), consumer).post(message)
    assert done.poisoned == 0


def _legs(root: Path, _conninfo: str, message: PartMessage) -> None:
    legs = [
        leg
        for one in from_parquet(root / message.key)
        for leg in legs_of(one.transaction, one.version)
    ]
    assert legs


def main() -> int:
    """Measure and print."""
    print(measure(int(os.environ.get("BULK", "1000000"))))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
