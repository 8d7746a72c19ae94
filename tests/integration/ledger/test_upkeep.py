"""The schedule's work: twice, by two at once, beside writers, cut off, and past a tenant that is ill."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from pardna.ledger.anchor import Anchor, Anchoring
from pardna.ledger.export import export_lines
from pardna.ledger.postgres_upkeep import PostgresUpkeep, rows_of
from pardna.ledger.upkeep import DayKept, MinuteKept, close_day, keep_minute
from pardna.ledger.verify import verify_export
from pardna.runtime.clock import utc_now
from pardna.runtime.errors import Conflict, Unavailable
from tests.fakes.anchors import Shelf
from tests.support.ledger import (
    TENANT,
    age,
    assert_sound,
    document,
    entered,
    open_accounts,
    post,
    rows,
)
from tests.support.postgres import TestDatabase

OTHER = "other"
HOLD = (
    "SELECT ledger.hold(jsonb_build_array(jsonb_build_object('key', %s::text, 'debit', 'a',"
    " 'credit', 'b', 'currency', 'JMD', 'amount_minor', 5,"
    " 'expires_at', clock_timestamp() + interval '1 second')))"
)


@pytest.fixture
def upkeep(database: TestDatabase) -> PostgresUpkeep:
    for tenant in (TENANT, OTHER):
        open_accounts(database.runtime_conninfo, "a", "b", tenant=tenant)
    return PostgresUpkeep(database.session())


def at_once(times: int, work: Callable[[], Any]) -> list[Any]:
    """Run `work` in so many threads that begin together."""
    start = threading.Barrier(times)

    def run(_: int) -> Any:
        start.wait()
        return work()

    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(run, range(times)))


def settle(upkeep: PostgresUpkeep, kept: MinuteKept) -> int:
    """Blocks sealed, going on a little: the server's own housekeeping may hold sealing back."""
    blocks = kept.blocks_sealed
    for _ in range(100):
        if not any(upkeep.unsealed_s(t) or _unsealed(upkeep, t) for t in upkeep.tenants()):
            break
        time.sleep(0.05)
        blocks += keep_minute(upkeep, utc_now).blocks_sealed
    return blocks


def _unsealed(upkeep: PostgresUpkeep, tenant: str) -> bool:
    return bool(rows_of(upkeep._database, tenant, "SELECT ledger.seal_lag()")[0][0] is not None)


def test_a_minute_is_kept_for_every_tenant_once_however_often(
    database: TestDatabase, upkeep: PostgresUpkeep
) -> None:
    runtime = database.runtime_conninfo
    for tenant in (TENANT, OTHER):
        with entered(runtime, tenant) as connection:
            post(connection, [document("1", "a", "b", 5)])
            for key in range(3):
                connection.execute(HOLD, (f"h{key}",))
    time.sleep(1.1)

    done = at_once(3, lambda: keep_minute(PostgresUpkeep(database.session()), utc_now))
    assert sum(d.holds_expired for d in done) == 6
    assert [d.refused for d in done] == [0, 0, 0]
    blocks = sum(d.blocks_sealed for d in done)
    assert settle(upkeep, MinuteKept(blocks_sealed=blocks)) == 2
    assert keep_minute(upkeep, utc_now) == MinuteKept(tenants=2)
    for tenant in (TENANT, OTHER):
        with entered(runtime, tenant) as connection:
            assert verify_export(export_lines(connection, tenant)) is None
        assert_sound(runtime, tenant)


def test_upkeep_and_writers_do_not_disturb_each_other(
    database: TestDatabase, upkeep: PostgresUpkeep
) -> None:
    runtime = database.runtime_conninfo
    open_accounts(runtime, "m", minimum_minor=-1_000_000)
    over = threading.Event()

    def write(number: int) -> int:
        posted = 0
        while not over.is_set():
            with entered(runtime) as connection:
                connection.execute(HOLD, (f"h{number}.{posted}",))
                keys = [f"{number}.{posted}.{i}" for i in range(2)]
                pair = [document(keys[0], "m", "a", 1), document(keys[1], "b", "m", 1)]
                assert set(post(connection, pair)) == {"posted"}
            posted += 2
        return posted

    with ThreadPoolExecutor(4) as pool:
        writers = [pool.submit(write, number) for number in range(2)]
        keepers = [
            pool.submit(_keep_for, PostgresUpkeep(database.session()), 2.5) for _ in range(2)
        ]
        kept = [k.result() for k in keepers]
        over.set()
        posted = sum(w.result() for w in writers)
    assert posted > 0
    assert sum(k.refused for k in kept) == 0
    assert sum(k.holds_expired for k in kept) > 0
    settle(upkeep, MinuteKept())
    with entered(runtime) as connection:
        lines = list(export_lines(connection, TENANT))
    assert verify_export(lines) is None
    assert sum('"journal":' in line for line in lines) == posted
    assert upkeep.drifted(TENANT) == 0
    assert_sound(runtime)


def _keep_for(upkeep: PostgresUpkeep, seconds: float) -> MinuteKept:
    end = time.monotonic() + seconds
    total = MinuteKept()
    while time.monotonic() < end:
        done = keep_minute(upkeep, utc_now)
        total = MinuteKept(
            holds_expired=total.holds_expired + done.holds_expired,
            refused=total.refused + done.refused,
        )
    return total


def test_a_day_is_closed_once_also_by_two_at_once(
    database: TestDatabase, upkeep: PostgresUpkeep
) -> None:
    runtime = database.runtime_conninfo
    with entered(runtime) as connection:
        post(connection, [document("old", "a", "b", 5)])
    age(database, days=3)
    with entered(runtime) as connection:
        post(connection, [document("new", "a", "b", 7)])
    settle(upkeep, keep_minute(upkeep, utc_now))
    shelf = Shelf()

    done = at_once(2, lambda: _close(database, shelf))
    assert sum(d.anchors_written for d in done) == 1
    assert sum(d.partitions_made for d in done) == 0  # 12 months ahead stand since the migration
    assert {d.months_ahead for d in done} == {12}
    assert {(d.accounts_drifted, d.anchors_broken, d.refused) for d in done} == {(0, 0, 0)}
    # The three days before today, each once; today is not over.
    days = rows(runtime, "SELECT day FROM ledger.snapshot_days ORDER BY day")
    today = datetime.now(UTC).date()
    assert [d for (d,) in days] == [today - timedelta(days=n) for n in (3, 2, 1)]
    again = _close(database, shelf)
    assert (again.snapshots_taken, again.anchors_written, again.refused) == (0, 0, 0)
    assert upkeep.drifted(TENANT) == 0


def _close(database: TestDatabase, shelf: Shelf) -> DayKept:
    upkeep = PostgresUpkeep(database.session())
    return close_day(upkeep, Anchoring(upkeep, shelf), utc_now)


def test_a_day_that_was_cut_off_between_its_steps_goes_on(
    database: TestDatabase, upkeep: PostgresUpkeep
) -> None:
    with entered(database.runtime_conninfo) as connection:
        post(connection, [document("old", "a", "b", 5)])
    age(database, days=4)
    yesterday = datetime.now(UTC).date() - timedelta(days=1)

    upkeep._ask(TENANT, "SELECT ledger.drain()")  # cut off before the snapshot
    assert upkeep.close_next_day(TENANT, yesterday)  # cut off after the first day of four
    done = _close(database, Shelf())
    assert (done.snapshots_taken, done.refused, done.anchors_written) == (3, 0, 0)
    assert not upkeep.close_next_day(TENANT, yesterday)


def test_months_that_are_missing_are_made_and_counted(
    database: TestDatabase, upkeep: PostgresUpkeep
) -> None:
    today = datetime.now(UTC).date()
    with psycopg.connect(database.superuser_conninfo) as connection:
        third = (today.replace(day=1) + timedelta(days=93)).replace(day=1)
        connection.execute(f"DROP TABLE ledger.entries_{third:%Y_%m}".encode())
    assert upkeep.months_ahead(today) < 3
    assert _close(database, Shelf()).partitions_made == 1
    assert upkeep.months_ahead(today) == 12


def test_a_drifted_balance_is_counted(database: TestDatabase, upkeep: PostgresUpkeep) -> None:
    with entered(database.runtime_conninfo) as connection:
        post(connection, [document("1", "a", "b", 5)])
    assert upkeep.drifted(TENANT) == 0
    with psycopg.connect(database.superuser_conninfo) as connection:
        connection.execute(
            "UPDATE ledger.balances SET debits_minor = debits_minor + 1 WHERE debits_minor = 5"
        )
    assert upkeep.drifted(TENANT) == 1
    assert _close(database, Shelf()).accounts_drifted == 1


def test_a_tenant_whose_step_is_refused_holds_up_nobody(
    database: TestDatabase, upkeep: PostgresUpkeep
) -> None:
    """A chain that lies in the future: a restore into a cluster with lower transaction numbers."""
    runtime = database.runtime_conninfo
    for tenant in (TENANT, OTHER):
        with entered(runtime, tenant) as connection:
            post(connection, [document("1", "a", "b", 5)])
    settle(upkeep, keep_minute(upkeep, utc_now))
    with psycopg.connect(database.superuser_conninfo) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(
            "UPDATE ledger.blocks SET to_xid = '99999999' WHERE tenant_id = %s", (TENANT,)
        )
    with entered(runtime, OTHER) as connection:
        post(connection, [document("2", "a", "b", 5)])
    done = keep_minute(upkeep, utc_now)
    assert (done.tenants, done.refused) == (2, 1)
    with pytest.raises(Conflict, match="gone back"):
        upkeep.seal(TENANT, 10)
    blocks = done.blocks_sealed
    for _ in range(100):
        if blocks:
            break
        time.sleep(0.05)
        blocks += keep_minute(upkeep, utc_now).blocks_sealed
    assert blocks == 1


def test_an_anchor_that_left_the_chain_is_reported_and_not_replaced(
    database: TestDatabase, upkeep: PostgresUpkeep
) -> None:
    with entered(database.runtime_conninfo) as connection:
        post(connection, [document("1", "a", "b", 5)])
    settle(upkeep, keep_minute(upkeep, utc_now))
    shelf = Shelf()
    today = datetime.now(UTC).date()
    forged = Anchor(TENANT, today - timedelta(days=2), 1, "00" * 32)
    shelf.put_once(forged)
    done = _close(database, shelf)
    assert (done.anchors_broken, done.anchors_written) == (1, 0)
    assert list(shelf.kept.values()) == [forged]


def test_nobody_is_told_but_ids_and_a_server_that_is_away_is_said_so(
    database: TestDatabase, upkeep: PostgresUpkeep
) -> None:
    assert rows(database.runtime_conninfo, "SELECT * FROM ledger.all_tenants()", "hostile") == [
        (TENANT,),
        (OTHER,),
    ]
    with psycopg.connect(database.runtime_conninfo) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT * FROM ledger.tenants")
    assert upkeep.tenants() == [TENANT, OTHER]
    with psycopg.connect(database.superuser_conninfo, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'pardna_runtime'"
            " AND datname = current_database()"
        )
    with pytest.raises(Unavailable):
        upkeep.tenants()  # the connection that was cut
    assert upkeep.tenants() == [TENANT, OTHER]
