"""``python -m benchmarks.ledger``: measure, write results.json and RESULTS.md beside this file.

QUICK=1 takes under a minute. Otherwise ENTRIES (default 2,000,000) says how far the ledger grows.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import psycopg

from benchmarks.ledger.clients import (
    ACCOUNTS,
    ENTER,
    INSERT_SCRIPT,
    batches,
    peer_script,
    pgbench,
    single_script,
)
from local.postgres_server import SUPERUSER, PostgresServer
from local.serving import free_port
from pardna.database import migrate

HERE = Path(__file__).parent
HOT_SHARDS = 16


def main() -> int:
    quick = bool(os.environ.get("QUICK"))
    entries = int(os.environ.get("ENTRIES", "400000" if quick else "2000000"))
    folder = Path(tempfile.mkdtemp(prefix="pardna-bench-"))
    folder.chmod(0o755)
    tuned = ("shared_buffers=1GB", "max_wal_size=8GB", "checkpoint_timeout=30min")
    server = PostgresServer(folder / "data", free_port(), "only-for-benchmarks", tuned)
    try:
        server.start()
        server.create_database("bench")
        migrate.apply(server.conninfo("bench", SUPERUSER), runtime_password=server.password)
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
    seconds = 2 if quick else 10
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
    say("batches")
    volume = 20_000 if quick else 100_000
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
    found |= growth(admin, runtime, entries)
    say("reading and sealing")
    found |= reading(runtime)
    return found


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


def growth(admin: str, runtime: str, entries: int) -> dict[str, Any]:
    """Median time of a batch of 1,000 from one client, near the start and at the end."""
    first = batches(runtime, 1, 1000, 20_000)
    while (now := count(admin)) < entries:
        batches(runtime, 2, 1000, min(200_000, max(20_000, (entries - now) // 2)))
    last = batches(runtime, 1, 1000, 20_000)
    early, late = first.batches_ms, last.batches_ms
    return {
        "entries_max": count(admin),
        "batch_1000_ms_early": round(median(early), 1),
        "batch_1000_ms_late": round(median(late), 1),
        "growth_ratio": round(median(late) / median(early), 2),
        "growth_ratio_cpu": round(last.cpu_ms_per_1000 / first.cpu_ms_per_1000, 2)
        if first.cpu_ms_per_1000
        else 0.0,
    }


def count(admin: str) -> int:
    with psycopg.connect(admin) as connection:
        row = connection.execute("SELECT sum(entries)::bigint FROM ledger.balances").fetchone()
    return int(row[0]) if row else 0


def reading(runtime: str) -> dict[str, Any]:
    """p99 of a statement's page and of a balance as of some moment; sealing's rate."""
    pages, balances = [], []
    with psycopg.connect(runtime, autocommit=True, prepare_threshold=None) as connection:
        for number in range(200):
            with connection.transaction():
                connection.execute(ENTER)
                started = time.monotonic()
                connection.execute(
                    "SELECT * FROM ledger.statement(%s, 'JMD', NULL, NULL, 100)",
                    (f"a:{number + 1}",),
                ).fetchall()
                pages.append(time.monotonic() - started)
                started = time.monotonic()
                connection.execute(
                    "SELECT ledger.balance_effective(%s, 'JMD', %s)",
                    (f"a:{number + 1}", datetime.now(UTC) - timedelta(seconds=number)),
                ).fetchall()
                balances.append(time.monotonic() - started)
        started, sealed = time.monotonic(), 0
        for _ in range(5):
            with connection.transaction():
                connection.execute(ENTER)
                connection.execute("SELECT ledger.seal(4096)")
                sealed += 4096
    return {
        "statement_page_p99_ms": round(sorted(pages)[197] * 1000, 1),
        "as_of_p99_ms": round(sorted(balances)[197] * 1000, 1),
        "seal_journals_per_s": round(sealed / (time.monotonic() - started)),
    }


def say(what: str) -> None:
    print(f"measuring {what} ...", file=sys.stderr, flush=True)


GOALS = {
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
    ]
    return "\n".join(
        [
            "# The ledger's speed",
            "",
            "Written by `python -m benchmarks.ledger`. Two-line journals, every guarantee on, fsync",
            "on, clients on the same machine as the server. `load_before` is what else the machine",
            "was doing. `hot` is two accounts split into 16 rows, `hot_unsplit` the same unsplit.",
            "",
            *busy(found),
            "| what | value | goal |",
            "|---|---|---|",
            *rows,
            "",
            "What limits it: one by one, the commit's fsync (compare `pgbench_insert_per_s`); in",
            "batches, CPU of the backends: indexes of journals and entries first, then the guards.",
            "",
        ]
    )


def busy(found: dict[str, Any]) -> list[str]:
    """A warning where others used the processors meanwhile."""
    if found["load_before"] <= (found["cpus"] or 1) / 2:
        return []
    return [
        f"**The machine was busy** (load {found['load_before']} on {found['cpus']} processors before",
        "it began): read the ratios and the CPU time, not the rates.",
        "",
    ]


def goal(name: str, value: float) -> str:
    if name == "growth_ratio":
        return f"≤ 1.3 {'met' if value <= 1.3 else 'missed'}"
    if name not in GOALS:
        return ""
    return f"≥ {GOALS[name]:,} {'met' if value >= GOALS[name] else 'missed'}"


if __name__ == "__main__":
    raise SystemExit(main())
