"""What the ledger costs as it grows: filled to tens of millions of entries, measured on the way.

Posting fifty million entries one batch after the other takes hours that say nothing. The filling
writes the same rows into the same tables by set, as a superuser and without triggers, while the index
by account and that of keys are away; they are built again, that of keys as full as it is when it
grows key by key. Whatever is measured is posted and read as always, and the filled ledger is
checked to be sound.
"""

from __future__ import annotations

import random
import re
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from statistics import median
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from benchmarks.ledger.clients import ACCOUNTS, ENTER, TENANT, batches

#: Journals of one statement of the filling.
_CHUNK = 250_000
#: Days over which the filled journals were recorded, so that there are months and snapshots.
_DAYS = 28
#: How full, in percent, a B-tree's leaves are whose entries came in no order (ln 2).
_FULL_RANDOM = 69
#: How often each question is asked; and of how many answers the pages are counted.
_ASKED, _COUNTED = 300, 30
#: How often right after the filling, when much of what is asked for is on disk only.
_ASKED_FIRST = 100


def growth(admin: str, runtime: str, entries: int) -> dict[str, Any]:
    """Median time of a batch of 1,000 from one client at the start, on the way and at `entries`."""
    while count(admin) < min(1_000_000, entries // 2):
        batches(runtime, 2, 1000, 100_000)
    steps = [s for s in (2, 5, 10, 25, 50, 100) if s * 1_000_000 < entries]
    wanted = [count(admin), *(s * 1_000_000 for s in steps), entries]
    points = []
    for target in wanted:
        fill(admin, target)
        point = _measure(admin, runtime)
        points.append(point)
        say(f"growth: {point}")
    first, last = points[0], points[-1]
    return {
        "entries_max": last["entries"],
        "growth": points,
        "growth_ratio": round(last["batch_1000_ms"] / first["batch_1000_ms"], 2),
        "growth_ratio_after_checkpoint": round(
            last["after_checkpoint_ms"] / first["after_checkpoint_ms"], 2
        ),
        "growth_ratio_cpu": round(last["cpu_ms_per_1000"] / max(first["cpu_ms_per_1000"], 0.1), 2),
    }


def _measure(admin: str, runtime: str) -> dict[str, Any]:
    """A point of the curve: twenty batches right after a checkpoint, then twenty in the middle between
    two.

    After a checkpoint the first change of each page puts the whole page into the log. Keys come in no
    order, so each key of the first batches finds such a page, the more surely the larger the index;
    posting goes on until most pages of that index were touched, and is measured again. Checkpoints
    come every half an hour. An index that was just built splits the last page of every account at
    about the same time: ten entries each, which is over by then too.
    """
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute("CHECKPOINT")
        row = connection.execute(
            "SELECT pg_relation_size('ledger.once_pkey') / current_setting('block_size')::bigint"
        ).fetchone()
    fresh = batches(runtime, 1, 1000, 20_000)
    least = 100_000 if count(admin) >= 1_000_000 else 0
    batches(runtime, 2, 1000, min(400_000, max(least, 2 * (int(row[0]) if row else 0))))
    before = _log_position(admin)
    run = batches(runtime, 1, 1000, 20_000)
    return {
        "entries": count(admin),
        "batch_1000_ms": round(median(run.batches_ms), 1),
        "cpu_ms_per_1000": round(run.cpu_ms_per_1000, 1),
        "log_kb_per_1000": round((_log_position(admin) - before) / 1024 / 20),
        "after_checkpoint_ms": round(median(fresh.batches_ms), 1),
    }


def _log_position(admin: str) -> int:
    with psycopg.connect(admin) as connection:
        row = connection.execute("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn").fetchone()
    return int(row[0]) if row else 0


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
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute("SET maintenance_work_mem = '512MB'")
        connection.execute(
            "CREATE UNLOGGED TABLE IF NOT EXISTS peer.filled (account_id bigint, entries bigint,"
            " debits bigint, credits bigint)"
        )
        with _without_unordered_indexes(connection), ThreadPoolExecutor(2) as pool:
            for size in pool.map(lambda size: _fill_chunk(admin, size), chunks):
                done += size
                rate = done / (time.monotonic() - started)
                say(f"filling: {2 * done:,} of {2 * missing:,} entries, {2 * rate:,.0f} a second")
        say(f"filling: indexed after {time.monotonic() - started:,.0f} s")
        _add_up(connection)
        for table in ("journals", "entries", "once", "balances"):
            connection.execute(f"VACUUM (ANALYZE) ledger.{table}")
    say(f"filling: ready after {time.monotonic() - started:,.0f} s")


@contextmanager
def _without_unordered_indexes(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """Take the indexes away whose entries come in no order, and build them again as they were."""
    named: LiteralString = "SELECT pg_get_indexdef('ledger.{}'::regclass)"
    row = connection.execute(sql.SQL(named).format(sql.SQL("entries_of_account"))).fetchone()
    by_account = re.sub(r" ON ONLY ", " ON ", row[0]) if row else ""
    keys = connection.execute(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'once_pkey'"
    ).fetchone()
    connection.execute("DROP INDEX ledger.entries_of_account")
    connection.execute("ALTER TABLE ledger.once DROP CONSTRAINT once_pkey")
    yield
    connection.execute(by_account.encode())
    connection.execute(
        f"ALTER TABLE ledger.once ADD CONSTRAINT once_pkey {keys[0] if keys else ''}"
        f" WITH (fillfactor = {_FULL_RANDOM})".encode()
    )


def _fill_chunk(admin: str, size: int) -> int:
    chance = random.Random()
    start = datetime.now(UTC) - timedelta(days=chance.random() * _DAYS)
    with psycopg.connect(admin) as connection:
        connection.execute("SET session_replication_role = replica")
        for statement in _FILLING:
            connection.execute(statement, {"t": TENANT, "start": start, "size": size})
    return size


#: A chunk: what is made up once, and the rows of each table. Ids as ledger.uuid7 makes them.
_FILLING: tuple[LiteralString, ...] = (
    """
    CREATE TEMPORARY TABLE made ON COMMIT DROP AS
    SELECT (lpad(to_hex(floor(extract(epoch FROM moment) * 1000)::bigint), 12, '0') || '7'
            || lpad(to_hex(n & 4095), 3, '0') || right(random, 16))::uuid AS journal_id, random AS key,
           moment, ids[1 + floor(random() * cardinality(ids))::int] AS debit,
           ids[1 + floor(random() * cardinality(ids))::int] AS credit
    FROM (
        SELECT n, %(start)s + n * interval '10 ms' AS moment,
               replace(gen_random_uuid()::text, '-', '') AS random
        FROM generate_series(1, %(size)s) n OFFSET 0
    ) r, (SELECT array_agg(account_id) AS ids FROM ledger.accounts WHERE code LIKE 'a:%%') a
    """,
    """
    INSERT INTO ledger.once (tenant_id, key_digest, journal_id, request_hash)
    SELECT %(t)s, sha256(convert_to('key:' || key, 'UTF8')), journal_id,
           sha256(convert_to(key, 'UTF8')) FROM made
    """,
    """
    INSERT INTO ledger.journals (tenant_id, journal_id, key, kind, effective_at, recorded_at,
                                 line_count, posted_by, salt)
    SELECT %(t)s, journal_id, key, 'bench', moment, moment, 2, 'bench', uuid_send(key::uuid) FROM made
    """,
    """
    INSERT INTO ledger.entries (tenant_id, journal_id, line, account_id, amount_minor, currency,
                                effective_at)
    SELECT %(t)s, m.journal_id, l.line, CASE l.line WHEN 1 THEN m.debit ELSE m.credit END,
           CASE l.line WHEN 1 THEN 5 ELSE -5 END, 'JMD', m.moment
    FROM made m CROSS JOIN (VALUES (1), (2)) l (line)
    """,
    """
    INSERT INTO peer.filled
    SELECT account, count(*), 5 * count(*) FILTER (WHERE line = 1), 5 * count(*) FILTER (WHERE line = 2)
    FROM (SELECT debit AS account, 1 AS line FROM made UNION ALL SELECT credit, 2 FROM made) l
    GROUP BY account
    """,
)


def _add_up(connection: psycopg.Connection[Any]) -> None:
    """Balances follow; `ledger.discrepancies` compares them with all entries in the end."""
    with connection.transaction():
        connection.execute(
            """
            UPDATE ledger.balances b SET debits_minor = b.debits_minor + e.debits,
                   credits_minor = b.credits_minor + e.credits, entries = b.entries + e.entries
            FROM (SELECT account_id, sum(entries) AS entries, sum(debits) AS debits,
                         sum(credits) AS credits FROM peer.filled GROUP BY account_id) e
            WHERE b.account_id = e.account_id AND b.shard = 0
            """
        )
        connection.execute("TRUNCATE peer.filled")


#: The questions, each with the times of an account and a moment of its own.
_QUESTIONS: dict[str, LiteralString] = {
    "statement_page": "SELECT * FROM ledger.statement(%(code)s, 'JMD', NULL, NULL, 100)",
    "statement_deep_page": "SELECT * FROM ledger.statement(%(code)s, 'JMD',"
    " ledger.uuid7_floor(%(moment)s), 1::smallint, 100)",
    "as_of_recorded": "SELECT ledger.balance_recorded(%(code)s, 'JMD', %(moment)s)",
    "as_of": "SELECT ledger.balance_effective(%(code)s, 'JMD', %(moment)s)",
}


def reading(admin: str, runtime: str) -> dict[str, Any]:
    """p99 of a statement's page and of balances as of moments spread over the ledger's days: the first
    answers after the filling, then those of a server that has been up (`_warm`).

    No question is asked of an account that another one was just asked of. `pages` are the median of
    the pages of 8 KB that an answer looks at, in memory or not.
    """
    found: dict[str, Any] = {"snapshot_days_s": _take_snapshots(runtime)}
    chance = random.Random(7)
    with psycopg.connect(runtime, autocommit=True, prepare_threshold=None) as connection:

        def asked(question: LiteralString, times: int) -> list[float]:
            return [_timed(partial(_ask, connection, question, chance)) for _ in range(times)]

        for name, question in _QUESTIONS.items():
            found[f"{name}_first_p99_ms"] = _p99(asked(question, _ASKED_FIRST))
        found["warm_s"], found["warm_gb"] = _warm(admin)
        for name, question in _QUESTIONS.items():
            took = asked(question, _ASKED)
            found[f"{name}_p50_ms"] = round(median(took) * 1000, 1)
            found[f"{name}_p99_ms"] = _p99(took)
            found[f"{name}_pages"] = median(
                _pages(_ask(connection, "EXPLAIN (ANALYZE, BUFFERS) " + question, chance))
                for _ in range(_COUNTED)
            )
    with psycopg.connect(admin) as connection:
        row = connection.execute("SELECT count(*) FROM ledger.discrepancies").fetchone()
        size = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    found["discrepancies"] = int(row[0]) if row else -1
    found["database_gb"] = round(size[0] / 2**30, 1) if size else 0
    return found


def _warm(admin: str) -> tuple[float, float]:
    """Read what answers are made of once, as a server does that has been up for a while: the index by
    account, the journals and their primary key. Seconds, and gigabytes."""
    started = time.monotonic()
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS pg_prewarm")
        row = connection.execute(
            """
            SELECT sum(pg_prewarm(relid, 'read')) * current_setting('block_size')::bigint
            FROM (VALUES ('ledger.entries_of_account'::regclass), ('ledger.journals'),
                         ('ledger.journals_pkey')) read (root)
            CROSS JOIN LATERAL pg_partition_tree(root) WHERE isleaf
            """
        ).fetchone()
    return round(time.monotonic() - started, 1), round(float(row[0]) / 2**30, 1) if row else 0.0


def _ask(
    connection: psycopg.Connection[Any], question: LiteralString, chance: random.Random
) -> list[Any]:
    asked = {
        "code": f"a:{chance.randint(1, ACCOUNTS)}",
        "moment": datetime.now(UTC) - timedelta(days=chance.random() * _DAYS),
    }
    with connection.transaction():
        connection.execute(ENTER)
        return connection.execute(question, asked).fetchall()


def _pages(plan: list[Any]) -> int:
    """Pages that a plan's topmost node counted."""
    found = next(line for (line,) in plan if "Buffers: shared" in line)
    return sum(int(pages) for pages in re.findall(r"(?:hit|read)=(\d+)", found))


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


def _timed(work: Callable[[], Any]) -> float:
    """Seconds."""
    started = time.monotonic()
    work()
    return time.monotonic() - started


def _p99(took: list[float]) -> float:
    ordered = sorted(took)
    return round(ordered[int(len(ordered) * 0.99)] * 1000, 1)


def say(what: str) -> None:
    """Progress, for whoever waits."""
    print(what, file=sys.stderr, flush=True)
