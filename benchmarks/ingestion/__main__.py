"""``python -m benchmarks.ingestion [PART ...]``: measure, print, keep results.json and RESULTS.md.

Parts: ``read`` (every reader beside a bare one), ``record`` (small batches into PostgreSQL), ``bulk``
(a large report from upload to canonical, ledger and lake), ``large`` (files of a gibibyte in bounded
memory), ``webhooks`` (through a home that runs). Without any, all of them; what is not measured now
stays as it was.

ROWS (100,000) is the number of entries of a file, a tenth of that of the large report's; RECORDED
(20,000), BULK (1,000,000) and LARGE_MIB (1,024) are the sizes of the other parts. Figures of readers
are rows per second of processor time, so that what else the machine does matters little.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.ingestion import bulk, results
from benchmarks.ingestion.subjects import BANK, LARGE, SUBJECTS, camt053, write
from pardna.formats import camt053 as reader
from pardna.transactions.ports import Batch
from pardna.transactions.postgres import PostgresTransactionStore
from tests.support.postgres import running_cluster

HERE = Path(__file__).parent
MIB = 1024 * 1024


def main() -> int:
    """Measure what is asked for."""
    asked = sys.argv[1:] or list(PARTS)
    if unknown := set(asked) - set(PARTS):
        print(
            f"no part is called {', '.join(sorted(unknown))}: {', '.join(PARTS)}", file=sys.stderr
        )
        return 2
    kept = HERE / "results.json"
    found: dict[str, Any] = json.loads(kept.read_text()) if kept.exists() else {}
    found["machine"] = f"{platform.machine()}, Python {platform.python_version()}"
    for name in asked:
        load, started = os.getloadavg()[0], time.perf_counter()
        measured = PARTS[name]()
        if measured is not None:
            found[name] = measured
            found.setdefault("measured", {})[name] = {
                "at": datetime.now(UTC).isoformat(timespec="seconds"),
                "load_before": round(load, 2),
                "took_s": round(time.perf_counter() - started),
            }
        kept.write_text(json.dumps(found, indent=2) + "\n")
    text = results.page(found)
    (HERE / "RESULTS.md").write_text(text)
    print(text)
    return 0


def read_all() -> dict[str, dict[str, Any]]:
    """Every subject, each file written once."""
    rows, found = int(os.environ.get("ROWS", "100000")), {}
    with tempfile.TemporaryDirectory() as folder:
        for name, (make, times, _) in SUBJECTS.items():
            path = Path(folder) / f"{make.__name__}-{rows * times}"
            if not path.exists():
                write(make, rows * times, path)
            found[name] = read(name, path)
    return found


def read_large() -> dict[str, dict[str, Any]]:
    """Files of a gibibyte, two at a time: it is their memory that is asked about."""
    size = int(os.environ.get("LARGE_MIB", "1024")) * MIB

    def one(name: str) -> dict[str, Any]:
        make, row_bytes, _ = LARGE[name]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "large"
            write(make, size // row_bytes, path)
            return read(name, path)

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(LARGE, pool.map(one, LARGE), strict=True))


def read(name: str, path: Path) -> dict[str, Any]:
    """One subject, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.ingestion.subjects", name, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    one: dict[str, Any] = json.loads(done.stdout)
    one["rows_per_s"] = round(one["rows"] / max(one["processor_s"], 0.001))
    print(f"  {name}: {one['rows_per_s']:,} rows/s", file=sys.stderr, flush=True)
    return one


def record() -> dict[str, Any]:
    """The same transactions twice: all new, then nothing new."""
    rows = int(os.environ.get("RECORDED", "20000"))
    said = reader.read("".join(camt053(rows)).encode(), BANK).all_transactions
    found: dict[str, Any] = {"rows": rows}
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


def measure_bulk() -> dict[str, Any]:
    """A large report, all the way."""
    return bulk.measure(int(os.environ.get("BULK", "1000000")))


def measure_webhooks() -> dict[str, Any] | None:
    """Capture, if a home runs."""
    from benchmarks.ingestion import webhooks
    from local.console import HomeError
    from local.home import open_home

    try:
        home = open_home()
    except HomeError as error:
        print(f"No figures of webhooks: {error.what} ({error.remedy})", file=sys.stderr)
        return None
    return webhooks.measure(home)


PARTS: dict[str, Callable[[], dict[str, Any] | None]] = {
    "read": read_all,
    "record": record,
    "bulk": measure_bulk,
    "large": read_large,
    "webhooks": measure_webhooks,
}


if __name__ == "__main__":
    sys.exit(main())
