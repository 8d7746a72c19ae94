"""``python -m benchmarks.ingestion``: measure, print, and write results.json beside this file.

ROWS (default 100,000) is the number of entries of a file, a tenth of that of the large report's;
RECORDED (default 20,000) of those that
are recorded in PostgreSQL. Figures are rows per second of processor time, so that what else the
machine does matters little.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.ingestion.subjects import BANK, SUBJECTS, camt053, write
from pardna.formats import camt053 as reader
from pardna.transactions.ports import Batch
from pardna.transactions.postgres import PostgresTransactionStore
from tests.support.postgres import running_cluster

HERE = Path(__file__).parent


def main() -> int:
    """Measure all."""
    rows = int(os.environ.get("ROWS", "100000"))
    recorded = int(os.environ.get("RECORDED", "20000"))
    found: dict[str, Any] = {
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "read": read_all(rows),
        "record": record(recorded),
    }
    print(f"\n  {'':<38}{'rows':>10}{'rows/s':>10}{'MiB':>8}")
    for name, one in found["read"].items():
        print(f"  {name:<38}{one['rows']:>10,}{one['rows_per_s']:>10,}{one['memory_mib']:>8.0f}")
    print(f"\n{recorded:,} transactions into PostgreSQL, with versions and outbox\n")
    for name, one in found["record"].items():
        print(f"  {name:<34}{one['rows_per_s']:>10,} of the client, {one['wall_s']:.1f} s in all")
    (HERE / "results.json").write_text(json.dumps(found, indent=2) + "\n")
    return 0


def read_all(rows: int) -> dict[str, dict[str, Any]]:
    """Every subject, each file written once."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, (make, times, _) in SUBJECTS.items():
            path = Path(folder) / f"{make.__name__}-{rows * times}"
            if not path.exists():
                write(make, rows * times, path)
            found[name] = read(name, path)
            print(f"  {name}: {found[name]['rows_per_s']:,} rows/s", file=sys.stderr, flush=True)
    return found


def read(name: str, path: Path) -> dict[str, Any]:
    """One subject, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.ingestion.subjects", name, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    one: dict[str, Any] = json.loads(done.stdout)
    one["rows_per_s"] = round(one["rows"] / max(one["processor_s"], 0.001))
    return one


def record(rows: int) -> dict[str, dict[str, Any]]:
    """The same transactions twice: all new, then nothing new."""
    said = reader.read("".join(camt053(rows)).encode(), BANK).all_transactions
    found = {}
    with running_cluster() as cluster:
        database = cluster.clone("bench")
        store = PostgresTransactionStore(database.session())
        for name in ("all new", "all known"):
            wall, processor = time.perf_counter(), time.process_time()
            store.record("bench", "bench", Batch("bench", transactions=said))
            took = time.process_time() - processor
            found[name] = {
                "rows_per_s": round(rows / took),
                "wall_s": round(time.perf_counter() - wall, 1),
            }
        database.sessions[0].close()
    return found


if __name__ == "__main__":
    sys.exit(main())
