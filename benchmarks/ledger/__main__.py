"""``python -m benchmarks.ledger``: measure, write results.json and RESULTS.md beside this file.

QUICK=1 takes under a minute. Otherwise ENTRIES (default 50,000,000; about 25 GB of disk while it
runs) says how far the ledger grows. PART=growth measures growth and reading anew and keeps the rest.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.ledger.clients import (
    ACCOUNTS,
    ENTER,
    INSERT_SCRIPT,
    TENANT,
    batches,
    cpu_s,
    peer_script,
    pgbench,
    single_script,
)
from benchmarks.ledger.growth import growth, reading, say
from local.postgres_server import SUPERUSER, PostgresServer
from local.serving import free_port
from pardna.database import migrate
from pardna.database.session import Database
from pardna.ledger.postgres_upkeep import PostgresUpkeep, rows_of
from pardna.ledger.upkeep import BLOCK_JOURNALS

HERE = Path(__file__).parent
HOT_SHARDS = 16
#: A quarter of the machine's memory, as PostgreSQL's manual advises for a server of its own.
SHARED_BUFFERS_MB = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20 // 4


def main() -> int:
    quick = bool(os.environ.get("QUICK"))
    entries = int(os.environ.get("ENTRIES", "400000" if quick else "50000000"))
    folder = Path(tempfile.mkdtemp(prefix="pardna-bench-"))
    folder.chmod(0o755)
    tuned = (
        f"shared_buffers={SHARED_BUFFERS_MB}MB",
        "max_wal_size=8GB",
        "checkpoint_timeout=30min",
    )
    server = PostgresServer(folder / "data", free_port(), "only-for-benchmarks", tuned)
    try:
        server.start()
        server.create_database("bench")
        migrate.apply(server.conninfo("bench", SUPERUSER), runtime_password=server.password)
        if os.environ.get("PART") == "growth":
            prepare(server.conninfo("bench", SUPERUSER))
            grown_at = datetime.now(UTC).isoformat(timespec="seconds")
            results = json.loads((HERE / "results.json").read_text())
            results |= grow(server, entries) | {"growth_measured_at": grown_at}
        else:
            results = measure(server, quick, entries)
    finally:
        server.stop("immediate")
        shutil.rmtree(folder, ignore_errors=True)
    (HERE / "results.json").write_text(json.dumps(results, indent=2, sort_keys=True) + "\n")
    (HERE / "RESULTS.md").write_text(report(results))
    print((HERE / "RESULTS.md").read_text())
    return 0


def measure(server: PostgresServer, quick: bool, entries: int) -> dict[str, Any]:
    admin = server.conninfo("bench", SUPERUSER)
    runtime = server.conninfo("bench", migrate.RUNTIME)
    seconds = 1 if quick else 10
    prepare(admin)
    found: dict[str, Any] = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpus": os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 2),
        "fsync": "on",
        "accounts": ACCOUNTS,
    }
    say("limits")
    found["pgbench_insert_per_s"] = round(pgbench(admin, INSERT_SCRIPT, 16, seconds).per_s)
    found["copy_rows_per_s"] = copy_rows_per_s(admin, 100_000 if quick else 1_000_000)
    say("one by one")
    for clients in (1, 4, 16):
        rate = pgbench(runtime, single_script("a:", ACCOUNTS), clients, seconds)
        found[f"single_{clients}_clients_journals_per_s"] = round(rate.per_s)
        found["p50_ms_single"], found["p99_ms_single"] = (
            round(rate.p50_ms, 2),
            round(rate.p99_ms, 2),
        )
    hot = pgbench(runtime, single_script("hot:", 2), 16, seconds)
    unsplit = pgbench(runtime, single_script("one:", 2), 16, seconds)
    spread = found["single_16_clients_journals_per_s"]
    found["hot_single_16_clients_journals_per_s"] = round(hot.per_s)
    found["hot_over_spread"] = round(hot.per_s / spread, 2)
    found["hot_unsplit_over_spread"] = round(unsplit.per_s / spread, 2)
    say("peer")
    found["peer_16_clients_per_s"] = round(pgbench(admin, peer_script(ACCOUNTS), 16, seconds).per_s)
    found["peer_hot_16_clients_per_s"] = round(pgbench(admin, peer_script(2), 16, seconds).per_s)
    volume = 20_000 if quick else 100_000
    say("sealing")
    found |= sealing(runtime, volume)
    say("batches")
    for size, clients in ((100, 1), (100, 4), (1000, 1), (1000, 2), (1000, 4)):
        run = batches(runtime, clients, size, volume)
        found[f"batch_{size}_{clients}_clients_journals_per_s"] = round(run.per_s)
        if (size, clients) == (1000, 1):
            found["cpu_ms_per_1000_journals"] = round(run.cpu_ms_per_1000, 1)
            found["backend_mb"] = round(run.backend_mb)
    by_clients = [found[f"batch_1000_{c}_clients_journals_per_s"] for c in (1, 2, 4)]
    found["batch_1000_journals_per_s"] = max(by_clients)
    found["batch_1000_four_over_one"] = round(by_clients[2] / by_clients[0], 2)
    hot_batch = batches(runtime, 4, 1000, volume, "hot:")
    found["batch_1000_hot_4_clients_journals_per_s"] = round(hot_batch.per_s)
    say("growth")
    return found | grow(server, entries)


def grow(server: PostgresServer, entries: int) -> dict[str, Any]:
    """What changes as the ledger grows, and what reading costs then."""
    admin = server.conninfo("bench", SUPERUSER)
    runtime = server.conninfo("bench", migrate.RUNTIME)
    found = growth(admin, runtime, entries)
    say("reading")
    return found | reading(admin, runtime) | memory(server)


def prepare(admin: str) -> None:
    with psycopg.connect(admin) as connection:
        connection.execute((HERE / "peer.sql").read_bytes())
        connection.execute(ENTER)
        connection.execute(
            "SELECT ledger.open_accounts(jsonb_agg(jsonb_build_object('code', code, 'currency',"
            " 'JMD', 'type', 'asset', 'normal_side', 'debit', 'shards', shards))) FROM ("
            " SELECT 'a:' || n AS code, 1 AS shards FROM generate_series(1, %s) n UNION ALL"
            " SELECT 'hot:' || n, %s FROM generate_series(1, 2) n UNION ALL"
            " SELECT 'one:' || n, 1 FROM generate_series(1, 2) n) a",
            (ACCOUNTS, HOT_SHARDS),
        )


def copy_rows_per_s(admin: str, rows: int) -> int:
    with psycopg.connect(admin) as connection:
        started = time.monotonic()
        connection.execute("TRUNCATE peer.plain")
        with connection.cursor().copy("COPY peer.plain FROM STDIN") as copy:
            for number in range(rows):
                copy.write(
                    f"bench\t00000000-0000-7000-8000-{number:012d}\t1\t{number % 10000}\t5\tJMD\n"
                )
        connection.commit()
        return round(rows / (time.monotonic() - started))


def sealing(runtime: str, volume: int) -> dict[str, Any]:
    """Sealing by itself, then posting from two clients while a sealer keeps up with them."""
    database = Database(lambda: runtime)
    [(backend,)] = rows_of(database, TENANT, "SELECT pg_backend_pid()")
    cpu_before, started = cpu_s(int(backend)), time.monotonic()
    alone = seal_all(database)
    alone_s, alone_cpu_s = time.monotonic() - started, cpu_s(int(backend)) - cpu_before
    stop = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        sealer = pool.submit(seal_until, database, stop)
        runs = [batches(runtime, clients, 1000, volume) for clients in (1, 2)]
        stop.set()
        sealer.result()
    meanwhile = count_sealed(database) - alone
    left = seal_all(database) - alone - meanwhile
    database.close()
    return {
        "seal_journals_per_s": round(alone / alone_s),
        "seal_cpu_ms_per_1000_journals": round(alone_cpu_s * 1e6 / max(alone, 1), 1),
        "batch_1000_while_sealing_journals_per_s": round(max(run.per_s for run in runs)),
        "sealed_meanwhile_share": round(meanwhile / sum(run.journals for run in runs), 2),
        "sealed_after": left,
    }


def seal_all(database: Database) -> int:
    """Seal what is settled, as the product does each minute; journals in all blocks then."""
    while PostgresUpkeep(database).seal(TENANT, BLOCK_JOURNALS):
        pass
    return count_sealed(database)


def seal_until(database: Database, stop: threading.Event) -> None:
    while not stop.is_set():
        if not PostgresUpkeep(database).seal(TENANT, BLOCK_JOURNALS):
            stop.wait(0.2)


def count_sealed(database: Database) -> int:
    [(found,)] = rows_of(database, TENANT, "SELECT coalesce(sum(journals), 0) FROM ledger.blocks")
    return int(found)


def memory(server: PostgresServer) -> dict[str, Any]:
    """The server's memory, shared pages counted once, in MB; 0 where the system does not tell."""
    total = 0
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children")
    processes = [server.pid, *map(int, children.read_text().split())] if children.exists() else []
    for process in processes:
        try:
            lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return {"server_mb": round(total / 1024), "shared_buffers_mb": SHARED_BUFFERS_MB}


GOALS = {
    "batch_1000_while_sealing_journals_per_s": 12_000,
    "batch_1000_journals_per_s": 15_000,
    "batch_1000_four_over_one": 0.9,
    "single_16_clients_journals_per_s": 800,
    "hot_over_spread": 0.6,
}


def report(found: dict[str, Any]) -> str:
    rows = [
        f"| {name} | {value:,} | {goal(name, value)} |"
        if isinstance(value, int | float) and not isinstance(value, bool)
        else f"| {name} | {value} | |"
        for name, value in sorted(found.items())
        if name != "growth"
    ]
    return "\n".join(
        [
            "# The ledger's speed",
            "",
            "Written by `python -m benchmarks.ledger`. Two-line journals, every guarantee on, fsync",
            "on, clients on the same machine as the server. `load_before` is what else the machine",
            "was doing. `hot` is two accounts split into 16 rows, `hot_unsplit` the same unsplit.",
            "`first` is right after filling, while much of what is asked for is on disk only; the other",
            "times of reading are of a server that has read its indexes and journals once.",
            "",
            *busy(found),
            "| what | value | goal |",
            "|---|---|---|",
            *rows,
            "",
            *grown(found["growth"]),
            "",
            "What limits it: one by one, the commit's fsync (compare `pgbench_insert_per_s`); in",
            "batches, CPU of the backends: indexes of journals and entries first, then the guards.",
            "",
        ]
    )


def grown(points: list[dict[str, Any]]) -> list[str]:
    """The way from the first million to the last, as a table and bars."""
    most = max(point["batch_1000_ms"] for point in points)
    return [
        "| entries | batch of 1,000 ms | CPU ms | log KB | right after a checkpoint ms | |",
        "|---|---|---|---|---|---|",
        *(
            f"| {p['entries']:,} | {p['batch_1000_ms']} | {p['cpu_ms_per_1000']} |"
            f" {p['log_kb_per_1000']:,} | {p['after_checkpoint_ms']} |"
            f" {'█' * round(30 * p['batch_1000_ms'] / most)} |"
            for p in points
        ),
    ]


def busy(found: dict[str, Any]) -> list[str]:
    """A warning where others used the processors meanwhile."""
    if found["load_before"] <= (found["cpus"] or 1) / 2:
        return []
    return [
        f"**The machine was busy** (load {found['load_before']} on {found['cpus']} processors before",
        "it began): read the ratios and the CPU time, not the rates.",
        "",
    ]


LIMITS = {
    "growth_ratio": 1.3,
    "statement_page_p99_ms": 50,
    "statement_deep_page_p99_ms": 50,
    "as_of_p99_ms": 50,
    "as_of_recorded_p99_ms": 50,
    "discrepancies": 0,
}


def goal(name: str, value: float) -> str:
    if name in LIMITS:
        return f"≤ {LIMITS[name]} {'met' if value <= LIMITS[name] else 'missed'}"
    if name not in GOALS:
        return ""
    return f"≥ {GOALS[name]:,} {'met' if value >= GOALS[name] else 'missed'}"


if __name__ == "__main__":
    raise SystemExit(main())
