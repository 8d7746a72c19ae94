"""Balances as of any moment, closed periods, and snapshots: against adding everything up."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg import errors, sql

from pardna.database import migrate
from pardna.database.migrate import OWNER
from tests.support.ledger import (
    TENANT,
    WHO,
    assert_sound,
    document,
    entered,
    open_accounts,
    post,
    rows,
)
from tests.support.postgres import Cluster, TestDatabase

TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)

# Journals that were recorded on earlier days: only the owner can make them, and only whole.
PAST_JOURNAL = """
WITH id AS MATERIALIZED (SELECT ledger.uuid7(%(recorded)s, %(number)s) AS id), j AS (
    INSERT INTO ledger.journals (tenant_id, journal_id, key, kind, effective_at, recorded_at,
        line_count, posted_by)
    SELECT 'acme', id, %(number)s, 'test', %(effective)s, %(recorded)s, 2, 'me' FROM id)
INSERT INTO ledger.entries
    (tenant_id, journal_id, line, account_id, amount_minor, currency, effective_day, effective_at)
SELECT 'acme', id, row_number() OVER (ORDER BY code), account_id,
    CASE code WHEN 'a' THEN %(amount)s ELSE -%(amount)s END, 'JMD',
    nullif((%(effective)s AT TIME ZONE 'UTC')::date, (%(recorded)s AT TIME ZONE 'UTC')::date),
    CASE WHEN %(told)s THEN %(effective)s END
FROM id, ledger.accounts
"""
# The same from before lines said when they take effect.
OLDER_JOURNAL = PAST_JOURNAL.replace(", effective_at)", ")").replace(
    ",\n    CASE WHEN %(told)s THEN %(effective)s END", ""
)


@pytest.fixture
def runtime(database: TestDatabase) -> str:
    open_accounts(database.runtime_conninfo, "a", "b")
    return database.runtime_conninfo


@pytest.fixture(params=["told", "older"])
def past(
    database: TestDatabase, runtime: str, request: pytest.FixtureRequest
) -> list[tuple[datetime, datetime, int]]:
    """Forty journals (recorded, effective, amount) of the last twenty days; `older` ones are from
    before lines said when they take effect."""
    return make_past(database, PAST_JOURNAL, {"told": request.param == "told"})


def make_past(
    database: TestDatabase, statement: LiteralString, also: dict[str, bool]
) -> list[tuple[datetime, datetime, int]]:
    chance = random.Random(7)
    made = []
    with psycopg.connect(database.superuser_conninfo) as connection:
        connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(OWNER)))
        connection.execute("SELECT app.enter(%s, %s)", (TENANT, WHO))
        for number in range(40):
            recorded = TODAY - timedelta(minutes=chance.randrange(1, 20 * 24 * 60))
            shift = chance.choice([0, 0, 0, chance.randrange(-9000, 4000)])
            effective = recorded + timedelta(minutes=shift)
            amount = chance.randrange(1, 1000)
            connection.execute(
                statement,
                {
                    "number": number,
                    "recorded": recorded,
                    "effective": effective,
                    "amount": amount,
                    **also,
                },
            )
            made.append((recorded, effective, amount))
    return made


def as_of(runtime: str, kind: str, moment: datetime) -> int:
    with entered(runtime) as connection:
        row = connection.execute(
            sql.SQL("SELECT ledger.{}('a', 'JMD', %s)").format(sql.Identifier(f"balance_{kind}")),
            (moment,),
        ).fetchone()
    assert row is not None
    return int(row[0])


def take(runtime: str, day: date) -> int:
    with entered(runtime) as connection:
        connection.execute("SELECT ledger.drain()")
    with entered(runtime) as connection:
        row = connection.execute("SELECT ledger.take_snapshot(%s)", (day,)).fetchone()
    assert row is not None
    return int(row[0])


def moments() -> Iterator[datetime]:
    chance = random.Random(11)
    for days in range(0, 24, 3):
        yield TODAY - timedelta(days=days)
        yield TODAY - timedelta(days=days, minutes=chance.randrange(1440))
    yield TODAY + timedelta(days=5)


@pytest.mark.parametrize("snapshots", [(), (12,), (15, 9, 8, 1)])
def test_balances_as_of_any_moment(
    runtime: str, past: list[tuple[datetime, datetime, int]], snapshots: tuple[int, ...]
) -> None:
    for days in snapshots:
        assert take(runtime, (TODAY - timedelta(days=days)).date()) >= 0
    for moment in moments():
        assert as_of(runtime, "recorded", moment) == sum(a for r, _, a in past if r < moment)
        assert as_of(runtime, "effective", moment) == sum(a for _, e, a in past if e < moment)


def test_books_of_an_older_release_climb(cluster: Cluster, tmp_path: Path) -> None:
    """Balances and statements are the same before and after, and stay right with the next snapshot."""
    cluster.server.create_database("older_books")
    database = TestDatabase(cluster.server, "older_books")
    for folder in sorted(migrate.MIGRATIONS.glob("????_*")):
        if folder.name < "0047":
            shutil.copytree(folder, tmp_path / folder.name)
    migrate.apply(database.admin_conninfo, cluster.server.password, tmp_path)
    runtime = database.runtime_conninfo
    open_accounts(runtime, "a", "b")
    past = make_past(database, OLDER_JOURNAL, {})
    for days in (15, 9, 8):
        take(runtime, (TODAY - timedelta(days=days)).date())

    def answers() -> list[Any]:
        kinds = [(kind, moment) for kind in ("recorded", "effective") for moment in moments()]
        lines = rows(runtime, "SELECT * FROM ledger.statement('a', 'JMD', NULL, NULL, 1000)")
        return [as_of(runtime, kind, moment) for kind, moment in kinds] + lines

    before = answers()
    assert migrate.apply(database.admin_conninfo)
    assert answers() == before
    take(runtime, (TODAY - timedelta(days=2)).date())
    assert answers() == before
    for moment in moments():
        assert as_of(runtime, "effective", moment) == sum(a for _, e, a in past if e < moment)
    assert rows(runtime, "SELECT * FROM ledger.misdated") == []


def test_a_statement_runs_on_over_snapshots(
    runtime: str, past: list[tuple[datetime, datetime, int]]
) -> None:
    take(runtime, (TODAY - timedelta(days=8)).date())
    seen: list[tuple[Any, ...]] = []
    cursor: tuple[Any, ...] = (None, None)
    with entered(runtime) as connection:
        while page := connection.execute(
            "SELECT journal_id, line, amount_minor, balance_minor"
            " FROM ledger.statement('a', 'JMD', %s, %s::smallint, 7)",
            cursor,
        ).fetchall():
            seen += page
            cursor = page[-1][:2]
    amounts = [amount for _, _, amount in sorted(past, key=lambda j: j[0].replace(microsecond=0))]
    assert [row[2] for row in seen] == amounts
    assert [row[3] for row in seen] == [sum(amounts[: n + 1]) for n in range(len(amounts))]


def test_a_snapshot_is_taken_once_and_of_days_that_are_over(runtime: str) -> None:
    yesterday = (TODAY - timedelta(days=1)).date()
    with pytest.raises(errors.ObjectNotInPrerequisiteState), entered(runtime) as connection:
        connection.execute("SELECT ledger.take_snapshot(%s)", (yesterday,))
    with entered(runtime) as connection:
        assert post(connection, [document("1", "a", "b", 5)]) == ["posted"]
    assert take(runtime, yesterday) == 0
    assert take(runtime, yesterday) == 0
    with pytest.raises(errors.ObjectNotInPrerequisiteState), entered(runtime) as connection:
        connection.execute("SELECT ledger.take_snapshot(%s)", (TODAY.date(),))
    assert rows(runtime, "SELECT day FROM ledger.snapshot_days") == [(yesterday,)]


def test_a_drain_waits_for_postings_under_way(runtime: str) -> None:
    with entered(runtime) as posting:
        post(posting, [document("1", "a", "b", 5)])
        with entered(runtime) as draining:
            draining.execute("SET LOCAL lock_timeout = '200ms'")
            with pytest.raises(errors.LockNotAvailable):
                draining.execute("SELECT ledger.drain()")
            draining.rollback()
    with entered(runtime) as draining:
        draining.execute("SELECT ledger.drain()")


def test_a_closed_period_refuses_or_moves_what_comes_late(runtime: str) -> None:
    closed = TODAY - timedelta(days=3)
    late = {"effective_at": (closed - timedelta(days=2)).isoformat()}
    with entered(runtime) as connection:
        assert post(connection, [document("before", "a", "b", 1, **late)]) == ["posted"]
        connection.execute("SELECT ledger.close_period(%s)", (closed,))
    with entered(runtime) as connection:
        assert post(
            connection,
            [
                document("before", "a", "b", 1, **late),
                document("late", "a", "b", 2, **late),
                document("moved", "a", "b", 4, late="move", **late),
                document("open", "a", "b", 8, effective_at=closed.isoformat()),
            ],
        ) == ["already_posted", "closed_period", "posted", "posted"]
        found = connection.execute(
            "SELECT effective_at, original_at FROM ledger.journals WHERE key = 'moved'"
        ).fetchone()
    assert found == (closed, closed - timedelta(days=2))
    assert as_of(runtime, "effective", closed) == 1
    assert_sound(runtime)


def test_a_period_is_closed_forwards_and_only_when_it_is_over(runtime: str) -> None:
    for until in (TODAY - timedelta(days=3), TODAY - timedelta(days=1)):
        with entered(runtime) as connection:
            connection.execute("SELECT ledger.close_period(%s)", (until,))
    for until in (TODAY - timedelta(days=2), TODAY + timedelta(days=2)):
        with pytest.raises(errors.InvalidParameterValue), entered(runtime) as connection:
            connection.execute("SELECT ledger.close_period(%s)", (until,))
