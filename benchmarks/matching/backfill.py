"""A large delivery from the lake to matches: ``python -m benchmarks.matching.backfill [ROWS [SHARD_LEGS]]``.

Contributions, charges, payouts and bank lines stand in the lake as Parquet parts; a run reads, splits,
matches and claims them and records what stays open. Files are moto's, whose CPU time is left out; the
match table is in the memory of another process (`memory_table`, packed). Beside it, in the same run, the floor: what
the first requests cost again when nothing else is done, as they are sent (signed text), and as boto3's
client sends them from dictionaries. Prints one line of JSON.
"""

from __future__ import annotations

import itertools
import json
import os
import resource
import sys
import time
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

os.environ.setdefault("AWS_ACCESS_KEY_ID", "memory")
os.environ.setdefault("AWS_SECRET_ACCESS_KEY", "memory")
os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")

import boto3
from botocore.config import Config
from moto import mock_aws
from moto.core.botocore_stubber import BotocoreStubber

from benchmarks.matching.memory_table import (
    Apart,
    Item,
    MemoryTable,
    answered_by,
    serving_apart,
)
from pardna.matching.dynamodb_http import SignedCalls
from pardna.matching.model import Pair
from pardna.transactions.lake import PART_ROWS, part_key
from pardna.transactions.model import Transaction, to_dict
from pardna.transactions.parquet import to_parquet
from tests.support.matching import TABLE, TENANT, bank_line, charge, contribution, payout, weak
from tests.support.split_runs import APART, REGION, Bench

#: Requests of each operation that are sent once more, for the floor.
SAMPLE = 150

#: Charges of one payout.
SETTLED = 25


def rows_of(count: int) -> Iterator[Transaction]:
    """About `count` rows: each payment is two, each settlement two more; every hundredth stays open."""
    number = made = 0
    while made < count:
        po = f"po_{number // SETTLED:06d}"
        some = range(number, number + SETTLED)
        rows = [contribution(n, 1_000 + n % 9_000) for n in some if n % 100]
        rows += [charge(n, 1_000 + n % 9_000, 50, payout=po) for n in some]
        total = sum(950 + n % 9_000 for n in some)
        rows += [payout(po, total), bank_line(po, total, weak("payout", po))]
        yield from rows
        made += len(rows)
        number += SETTLED


class Packed(MemoryTable):
    """Keeps closed items as compressed text: a million rows fit. What lists them (indexes, partitions)
    is not kept: a backfill does not ask for it."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.packed: dict[str, bytes] = {}

    def item(self, key: Item) -> Item | None:
        found = self.packed.get(f"{key['pk']['S']} {key['sk']['S']}")
        return json.loads(zlib.decompress(found)) if found else super().item(key)

    def store(self, new: Item) -> None:
        if new["kind"]["S"] not in CLOSED or "open_pk" in new:
            super().store(new)
            return
        if super().item(new):
            self.partitions[new["pk"]["S"]].pop(new["sk"]["S"])
            for place in self.indexes["open"].values():
                place.pop((new["pk"]["S"], new["sk"]["S"]), None)
        self.packed[f"{new['pk']['S']} {new['sk']['S']}"] = zlib.compress(
            json.dumps(new).encode(), 1
        )


CLOSED = frozenset({"leg", "reference", "match", "match_member", "act"})
MANY = {
    "TransactWriteItems": "transact_write_items", "BatchWriteItem": "batch_write_item",
    "BatchGetItem": "batch_get_item",
}  # fmt: skip


class Asked:
    """What the table is asked: how often, and the first requests of many items, for the floor."""

    def __init__(self, table: Apart) -> None:
        self._table = table
        self.sample: dict[str, list[bytes]] = defaultdict(list)
        self.seen: Counter[str] = Counter()

    def answer(self, operation: str, body: bytes) -> tuple[int, bytes]:
        self.seen[operation] += 1
        if operation in MANY and len(self.sample[operation]) < SAMPLE:
            self.sample[operation].append(body)
        return self._table.answer(operation, body)


@contextmanager
def moto_apart() -> Iterator[list[float]]:
    """The CPU seconds that moto's S3 takes while inside."""
    original, taken = BotocoreStubber.__call__, [0.0]

    def timed(self: Any, *arguments: Any, **named: Any) -> Any:
        started = time.thread_time()
        try:
            return original(self, *arguments, **named)
        finally:
            taken[0] += time.thread_time() - started

    BotocoreStubber.__call__ = timed  # type: ignore[method-assign]
    try:
        yield taken
    finally:
        BotocoreStubber.__call__ = original  # type: ignore[method-assign]


def floor(table: Asked) -> tuple[float, float]:
    """CPU seconds of sending all requests of many items: signed text, and boto3 from dictionaries."""
    calls = SignedCalls("us-east-1", 1)
    client: Any = boto3.client("dynamodb", region_name="us-east-1", config=Config(parameter_validation=False))  # fmt: skip
    answers = {
        "TransactWriteItems": b"{}", "BatchWriteItem": b'{"UnprocessedItems": {}}',
        "BatchGetItem": b'{"Responses": {}, "UnprocessedKeys": {}}',
    }  # fmt: skip
    signed = dictionaries = 0.0
    with answered_by(lambda operation, _: (200, answers[operation])):
        for operation, bodies in table.sample.items():
            times = table.seen[operation] / len(bodies)
            texts = [body.decode() for body in bodies]
            plain = [json.loads(body) for body in bodies]
            started = time.process_time()
            for text in texts:
                calls.call(operation, text)
            middle = time.process_time()
            for asked in plain:
                getattr(client, MANY[operation])(**asked)
            signed += times * (middle - started)
            dictionaries += times * (time.process_time() - middle)
    return signed, dictionaries


def measure(count: int, shard_legs: int = 200_000) -> dict[str, Any]:
    """One backfill of about `count` rows, in shards of `shard_legs` at most."""
    with (
        mock_aws(config=APART),
        moto_apart() as moto,
        serving_apart(partial(Packed, TABLE)) as apart,
        answered_by((asked := Asked(apart)).answer),
    ):
        boto3.client("s3", region_name=REGION).create_bucket(Bucket="lake")
        bench = Bench(shard_legs, MemoryTable("unused"), step=500, group_max=32)
        rows, total = rows_of(count), 0
        for part in itertools.count(1):
            some = list(itertools.islice(rows, PART_ROWS))
            if not some:
                break
            body = to_parquet((t.transaction_id, 1, json.dumps(to_dict(t))) for t in some)
            bench.s3.put_object(Bucket="lake", Key=part_key(TENANT, "a" * 64, part), Body=body)
            total += len(some)
        del some
        before_mb = peak_mb()
        wall, cpu, moto[0] = time.perf_counter(), time.process_time(), 0.0
        done = bench.run()
        seconds = time.perf_counter() - wall
        cpu = time.process_time() - cpu - moto[0]
        peak = peak_mb()
        calls = sum(asked.seen.values())
        shown = bench.summary.summarise(TENANT, done["run_id"])
        left = sum(1 for pair in Pair for _ in bench.state.open_legs(TENANT, pair, "JMD"))
        signed, dictionaries = floor(asked)
    return {
        "rows": total, "shard_legs": shard_legs, "matches": shown["matched_count"], "legs_left_open": left,
        "seconds": round(seconds, 1), "cpu_s": round(cpu, 1), "rows_per_s": round(total / seconds),
        "rows_per_cpu_s": round(total / cpu), "calls_per_row": round(calls / total, 2),
        "cpu_us_per_row": round(1e6 * cpu / total), "signed_us_per_row": round(1e6 * signed / total),
        "boto3_us_per_row": round(1e6 * dictionaries / total),
        "peak_rss_mb": peak, "before_the_run_mb": before_mb,
        "load": round(os.getloadavg()[0], 1),
    }  # fmt: skip


def peak_mb() -> int:
    """The most memory that this process has held, in MiB; the table is in another."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1_024


if __name__ == "__main__":
    print(json.dumps(measure(*map(int, sys.argv[1:] or ["100000"]))))
