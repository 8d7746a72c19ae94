"""A large delivery from the lake to matches: ``python -m benchmarks.matching.backfill [ROWS]``.

Contributions, charges, payouts and bank lines stand in the lake as Parquet parts; a run reads, splits,
matches and claims them and records what stays open. Files are moto's, the match table is in memory
(`memory_table`); its own time is left out of the CPU figure. Prints one line of JSON.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

os.environ.setdefault("AWS_ACCESS_KEY_ID", "memory")
os.environ.setdefault("AWS_SECRET_ACCESS_KEY", "memory")
os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")

from pardna.matching.model import Pair
from pardna.transactions.lake import PART_ROWS, part_key
from pardna.transactions.model import Transaction, to_dict
from pardna.transactions.parquet import to_parquet
from tests.support.matching import TENANT, bank_line, charge, contribution, payout, weak
from tests.support.split_runs import a_bench

#: Charges of one payout.
SETTLED = 25


def rows_of(count: int) -> list[Transaction]:
    """About `count` rows: each payment is two, each settlement two more; every hundredth stays open."""
    made: list[Transaction] = []
    number = 0
    while len(made) < count:
        po = f"po_{number // SETTLED:06d}"
        some = range(number, number + SETTLED)
        made += [contribution(n, 1_000 + n % 9_000) for n in some if n % 100]
        made += [charge(n, 1_000 + n % 9_000, 50, payout=po) for n in some]
        total = sum(950 + n % 9_000 for n in some)
        made += [payout(po, total), bank_line(po, total, weak("payout", po))]
        number += SETTLED
    return made


def measure(count: int) -> dict[str, Any]:
    """One backfill of about `count` rows."""
    rows = rows_of(count)
    with a_bench(shard_legs=200_000, step=500, group_max=32) as bench:
        for part, start in enumerate(range(0, len(rows), PART_ROWS), start=1):
            some = rows[start : start + PART_ROWS]
            body = to_parquet((t.transaction_id, 1, json.dumps(to_dict(t))) for t in some)
            bench.s3.put_object(Bucket="lake", Key=part_key(TENANT, "a" * 64, part), Body=body)
        wall, cpu, inside = time.perf_counter(), time.process_time(), bench.table.cpu_s
        done = bench.run()
        seconds = time.perf_counter() - wall
        cpu = time.process_time() - cpu - (bench.table.cpu_s - inside)
        shown = bench.summary.summarise(TENANT, done["run_id"])
        left = sum(1 for pair in Pair for _ in bench.state.open_legs(TENANT, pair, "JMD"))
        calls = bench.table.counts["calls"]
    return {
        "rows": len(rows), "matches": shown["matched_count"], "legs_left_open": left,
        "seconds": round(seconds, 1), "cpu_s": round(cpu, 1), "rows_per_s": round(len(rows) / seconds),
        "rows_per_cpu_s": round(len(rows) / cpu), "calls_per_row": round(calls / len(rows), 2),
        "load": round(os.getloadavg()[0], 1),
    }  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)))
