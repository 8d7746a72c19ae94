"""What the ledger costs as it grows: filled to tens of millions of entries, measured on the way.

Posting fifty million entries one batch after the other takes hours that say nothing. The filling
writes the same rows into the same tables and indexes by set, as a superuser and without triggers;
whatever is measured is posted and read as always, and the filled ledger is checked to be sound.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from statistics import median
from typing import Any

import psycopg

from benchmarks.ledger.clients import ACCOUNTS, ENTER, TENANT, batches

#: Journals of one statement of the filling.
_CHUNK = 250_000
#: Days over which the filled journals were recorded, so that there are months and snapshots.
_DAYS = 28


def growth(admin: str, runtime: str, entries: int) -> dict[str, Any]:
    """Median time of a batch of 1,000 from one client at the start, on the way and at `entries`."""
    while count(admin) < min(1_000_000, entries // 2):
        batches(runtime, 2, 1000, 100_000)
    steps = [s for s in (2, 5, 10, 25, 50, 100) if s * 1_000_000 < entries]
    wanted = [count(admin), *(s * 1_000_000 for s in steps), entries]
    points = []
    for target in wanted:
        fill(admin, target)
        run = batches(runtime, 1, 1000, 20_000)
        point = {
            "entries": count(admin),
            "batch_1000_ms": round(median(run.batches_ms), 1),
            "cpu_ms_per_1000": round(run.cpu_ms_per_1000, 1),
        }
        points.append(point)
        say(f"growth: {point}")
    first, last = points[0], points[-1]
    return {
        "entries_max": last["entries"],
        "growth": points,
        "growth_ratio": round(last["batch_1000_ms"] / first["batch_1000_ms"], 2),
        "growth_ratio_cpu": round(last["cpu_ms_per_1000"] / max(first["cpu_ms_per_1000"], 0.1), 2),
    }


def count(admin: str) -> int:
    """Entries in the ledger."""
    with psycopg.connect(admin) as connection:
        row = connection.execute("SELECT sum(entries)::bigint FROM ledger.balances").fetchone()
    return int(row[0]) if row else 0


def fill(admin: str, entries: int) -> None:
    """Fill with two-line journals between random accounts until there are `entries`."""
    missing = (entries - count(admin)) // 2
    if missing <= 0:
        return
    chunks = [min(_CHUNK, missing - done) for done in range(0, missing, _CHUNK)]
    done, started = 0, time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        for size in pool.map(lambda size: _fill_chunk(admin, size), chunks):
            done += size
            rate = done / (time.monotonic() - started)
            say(f"filling: {2 * done:,} of {2 * missing:,} entries, {2 * rate:,.0f} a second")
    with psycopg.connect(admin, autocommit=True) as connection:
        _add_up(connection)
        for table in ("journals", "entries", "once", "balances"):
            connection.execute(f"VACUUM (ANALYZE) ledger.{table}")
        connection.execute("CHECKPOINT")


def _fill_chunk(admin: str, size: int) -> int:
    chance = random.Random()
    start = datetime.now(UTC) - timedelta(days=chance.random() * _DAYS)
    with psycopg.connect(admin) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(
            """
            CREATE TEMPORARY TABLE made ON COMMIT DROP AS
            SELECT n, ledger.uuid7(%(start)s + n * interval '10 ms', n) AS journal_id,
                   gen_random_uuid()::text AS key, %(start)s + n * interval '10 ms' AS moment,
                   ids[1 + floor(random() * cardinality(ids))::int] AS debit,
                   ids[1 + floor(random() * cardinality(ids))::int] AS credit
            FROM generate_series(1, %(size)s) n,
                 (SELECT array_agg(account_id) AS ids FROM ledger.accounts WHERE code LIKE 'a:%%') a
            """,
            {"start": start, "size": size},
        )
        connection.execute(
            """
            INSERT INTO ledger.once (tenant_id, key_digest, journal_id, request_hash)
            SELECT %(t)s, sha256(convert_to('key:' || key, 'UTF8')), journal_id,
                   sha256(convert_to(key, 'UTF8')) FROM made
            """,
            {"t": TENANT},
        )
        connection.execute(
            """
            INSERT INTO ledger.journals (tenant_id, journal_id, key, kind, effective_at, recorded_at,
                                         line_count, posted_by)
            SELECT %(t)s, journal_id, key, 'bench', moment, moment, 2, 'bench' FROM made
            """,
            {"t": TENANT},
        )
        connection.execute(
            """
            INSERT INTO ledger.entries (tenant_id, journal_id, line, account_id, amount_minor, currency)
            SELECT %(t)s, m.journal_id, l.line, CASE l.line WHEN 1 THEN m.debit ELSE m.credit END,
                   CASE l.line WHEN 1 THEN 5 ELSE -5 END, 'JMD'
            FROM made m CROSS JOIN (VALUES (1), (2)) l (line)
            """,
            {"t": TENANT},
        )
    return size


def _add_up(connection: psycopg.Connection[Any]) -> None:
    connection.execute(
        """
        UPDATE ledger.balances b SET debits_minor = e.debits, credits_minor = e.credits,
               entries = e.entries
        FROM (SELECT account_id, count(*) AS entries,
                     coalesce(sum(amount_minor) FILTER (WHERE amount_minor > 0), 0) AS debits,
                     coalesce(-sum(amount_minor) FILTER (WHERE amount_minor < 0), 0) AS credits
              FROM ledger.entries GROUP BY account_id) e
        WHERE b.account_id = e.account_id AND b.shard = 0
          AND (SELECT shards FROM ledger.accounts a WHERE a.account_id = b.account_id) = 1
        """
    )


def reading(admin: str, runtime: str) -> dict[str, Any]:
    """p99 of a statement's page and of balances as of moments spread over the ledger's days."""
    snapshots_s = _take_snapshots(runtime)
    chance = random.Random(7)
    pages: list[float] = []
    deep: list[float] = []
    recorded: list[float] = []
    effective: list[float] = []
    with psycopg.connect(runtime, autocommit=True, prepare_threshold=None) as connection:
        for _ in range(300):
            code = f"a:{chance.randint(1, ACCOUNTS)}"
            moment = datetime.now(UTC) - timedelta(days=chance.random() * _DAYS)
            with connection.transaction():
                connection.execute(ENTER)
                _timed(pages, partial(_page, connection, code, None))
                _timed(deep, partial(_page, connection, code, moment))
                for basis, took in (("recorded", recorded), ("effective", effective)):
                    _timed(took, partial(_as_of, connection, code, moment, basis))
    with psycopg.connect(admin) as connection:
        row = connection.execute("SELECT count(*) FROM ledger.discrepancies").fetchone()
        size = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    return {
        "statement_page_p99_ms": _p99(pages),
        "statement_deep_page_p99_ms": _p99(deep),
        "as_of_recorded_p99_ms": _p99(recorded),
        "as_of_p99_ms": _p99(effective),
        "snapshot_days_s": snapshots_s,
        "discrepancies": int(row[0]) if row else -1,
        "database_gb": round(size[0] / 2**30, 1) if size else 0,
    }


def _take_snapshots(runtime: str) -> float:
    """Snapshots of all days that are over; seconds a day."""
    first = datetime.now(UTC).date() - timedelta(days=_DAYS + 1)
    days = [first + timedelta(days=n) for n in range(_DAYS + 1)]
    with psycopg.connect(runtime, autocommit=True) as connection:
        with connection.transaction():
            connection.execute(ENTER)
            connection.execute("SELECT ledger.drain()")
        started = time.monotonic()
        for day in days:
            with connection.transaction():
                connection.execute(ENTER)
                connection.execute("SELECT ledger.take_snapshot(%s)", (day,))
    return round((time.monotonic() - started) / len(days), 2)


def _page(connection: psycopg.Connection[Any], code: str, after: datetime | None) -> list[Any]:
    return connection.execute(
        "SELECT * FROM ledger.statement(%s, 'JMD', ledger.uuid7_floor(%s), 1::smallint, 100)",
        (code, after),
    ).fetchall()


def _as_of(connection: psycopg.Connection[Any], code: str, moment: datetime, basis: str) -> Any:
    if basis == "recorded":
        statement = "SELECT ledger.balance_recorded(%s, 'JMD', %s)"
    else:
        statement = "SELECT ledger.balance_effective(%s, 'JMD', %s)"
    return connection.execute(statement, (code, moment)).fetchall()


def _timed(took: list[float], work: Callable[[], Any]) -> Any:
    started = time.monotonic()
    found = work()
    took.append(time.monotonic() - started)
    return found


def _p99(took: list[float]) -> float:
    ordered = sorted(took)
    return round(ordered[int(len(ordered) * 0.99)] * 1000, 1)


def say(what: str) -> None:
    """Progress, for whoever waits."""
    print(what, file=sys.stderr, flush=True)
