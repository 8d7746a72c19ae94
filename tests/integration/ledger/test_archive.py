"""Months out to Parquet and in again: on a real PostgreSQL and an emulated S3, cut off and attacked."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, LiteralString

import boto3
import duckdb
import psycopg
import pytest
from moto import mock_aws
from psycopg import errors, sql

from pardna.database.migrate import OWNER
from pardna.ledger.anchor import Anchoring
from pardna.ledger.archive import Archivist, months_before
from pardna.ledger.export import export_lines
from pardna.ledger.model import Basis
from pardna.ledger.parquet import DuckParquet
from pardna.ledger.postgres import PostgresBooks
from pardna.ledger.postgres_archive import PostgresArchive
from pardna.ledger.postgres_upkeep import PostgresUpkeep
from pardna.ledger.s3_archive import S3Lake
from pardna.ledger.seal import Sealed
from pardna.ledger.upkeep import close_day, keep_minute
from pardna.ledger.verify import verify_export
from pardna.runtime.clock import utc_now
from pardna.runtime.errors import Conflict, NotFound, RefusedByRule
from tests.support.ledger import (
    TENANT,
    age,
    assert_sound,
    balances,
    document,
    entered,
    open_accounts,
    post,
    rows,
)
from tests.support.postgres import TestDatabase

OTHER = "other"
NOW = datetime.now(UTC)
OLD = months_before(NOW.date(), 2)  # the month that leaves
OLDER = months_before(NOW.date(), 3)
CLOSED = months_before(NOW.date(), 1)


class Nowhere:
    """No anchors."""

    def put_once(self, anchor: Any) -> bool:
        return True

    def get(self, tenant_id: str, day: date) -> None:
        return None


class Old:
    """A ledger with journals of four and five months ago and of today, for two tenants."""

    def __init__(self, database: TestDatabase, s3: Any) -> None:
        self.database = database
        self.runtime = database.runtime_conninfo
        self.s3 = s3
        self.book = PostgresArchive(database.session())
        self.lake = S3Lake(s3, "lake")
        self.parquet = DuckParquet("256MB")
        self.archivist = Archivist(self.book, self.parquet, self.lake, utc_now)
        for tenant in (TENANT, OTHER):
            open_accounts(self.runtime, "a", "b", "clearing:x", tenant=tenant)

    def post_old(self) -> None:
        """Before: two months of journals with everything that text and dates can be."""
        nasty = 'é, "quoted"\nand\r\nlines\\ \'; -- , '
        with entered(self.runtime) as connection:
            batch = [
                document("plain", "a", "b", 100),
                document("text", "a", "b", 7, description=nasty, refs={"z": nasty, "": ""}),
                document("meta", "a", "b", 5, metadata={"n": 1.10, "deep": {"x": [None, True]}}),
                document("item", "clearing:x", "b", 30),
                document("settled", "clearing:x", "b", 40),
            ]
            for number in (3, 4):
                batch[number]["lines"][0]["item"] = f"t-{number}"
            back = (NOW - timedelta(days=9)).isoformat()
            ahead = (NOW + timedelta(days=40)).isoformat()
            batch += [
                document("back", "a", "b", 1000, effective_at=back),
                document("ahead", "a", "b", 2000, effective_at=ahead),
            ]
            assert set(post(connection, batch)) == {"posted"}
        with entered(self.runtime, OTHER) as connection:
            post(connection, [document("plain", "a", "b", 3)])
        age(self.database, days=(NOW.date() - (OLD + timedelta(days=10))).days)
        with psycopg.connect(self.database.superuser_conninfo) as connection:
            connection.execute("SET session_replication_role = replica")
            # As before commitments to texts.
            connection.execute("UPDATE ledger.journals SET salt = NULL WHERE key = 'text'")
        with entered(self.runtime) as connection:
            settle = document("settle", "b", "clearing:x", 40)
            settle["lines"][1]["item"] = "t-4"
            assert post(connection, [settle, document("new", "a", "b", 1)]) == ["posted"] * 2

    def close(self) -> None:
        """Seal, snapshot and close both tenants' books."""
        upkeep = PostgresUpkeep(self.database.session())
        for _ in range(200):
            keep_minute(upkeep, utc_now)
            lags = [rows(self.runtime, "SELECT ledger.seal_lag()", t) for t in (TENANT, OTHER)]
            if lags == [[(None,)], [(None,)]]:
                break
        done = close_day(upkeep, Anchoring(upkeep, Nowhere()), utc_now)
        assert (done.refused, done.accounts_drifted) == (0, 0)
        for tenant in (TENANT, OTHER):
            with entered(self.runtime, tenant) as connection:
                connection.execute("SELECT ledger.close_period(%s)", (CLOSED,))

    def as_owner(self, statement: LiteralString, *parameters: Any) -> None:
        """As an administrator."""
        with psycopg.connect(self.database.superuser_conninfo) as connection:
            connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(OWNER)))
            connection.execute("SELECT app.enter(%s, 'admin')", (TENANT,))
            connection.execute(statement, parameters)

    def first_id(self) -> Any:
        """The first journal that was archived."""
        return rows(self.runtime, "SELECT first_journal FROM ledger.archives")[0][0]

    def attached(self) -> list[date]:
        return self.book.attached_months()

    def objects(self) -> list[str]:
        found = self.s3.list_objects_v2(Bucket="lake").get("Contents", [])
        return [one["Key"] for one in found]

    def answers(self) -> dict[str, Any]:
        """What the ledger says: balances now, and as of every midnight since."""
        said: dict[str, Any] = {
            "now": balances(self.runtime),
            "other": balances(self.runtime, OTHER),
        }
        with entered(self.runtime) as connection:
            for kind in ("recorded", "effective"):
                query: LiteralString = (
                    "SELECT d::date, a.code, ledger.balance_recorded(a.code, 'JMD', d AT TIME ZONE"
                    " 'UTC') FROM ledger.accounts a, generate_series(%s::timestamp, %s::timestamp,"
                    " '1 day') d ORDER BY 1, 2"
                )
                if kind == "effective":
                    query = query.replace("balance_recorded", "balance_effective")
                first, last = OLD - timedelta(days=2), NOW.date() + timedelta(days=2)
                said[kind] = connection.execute(query, (first, last)).fetchall()
        return said


@pytest.fixture
def old(database: TestDatabase) -> Iterator[Old]:
    with mock_aws():
        s3 = boto3.client("s3")
        s3.create_bucket(Bucket="lake")
        made = Old(database, s3)
        made.post_old()
        yield made


@pytest.fixture
def closed(old: Old) -> Old:
    old.close()
    old.as_owner(
        "SELECT ledger.erase_texts(journal_id, 'asked') FROM ledger.journals WHERE key = 'meta'"
    )
    return old


def test_a_month_leaves_and_nothing_that_is_asked_changes(closed: Old) -> None:
    before = closed.answers()
    assert closed.archivist.run(0).months_detached == 0
    done = closed.archivist.run(1)
    assert (done.months_detached, done.tenants_archived, done.waiting) == (1, 2, 0)
    assert OLD not in closed.attached()
    assert closed.answers() == before
    for tenant in (TENANT, OTHER):
        assert_sound(closed.runtime, tenant)
    assert [k.split("-")[0] for k in closed.objects()][:1] == [f"ledger/{TENANT}/{OLD:%Y}"]
    assert len(closed.objects()) == 6
    # Again, nothing is left to do; and the month is not made anew by whoever asks for months.
    assert closed.archivist.run(1).months_detached == 0
    with entered(closed.runtime) as connection:
        connection.execute("SELECT ledger.ensure_partitions(%s, 60)", (OLDER,))
    assert OLD not in closed.attached()
    assert OLDER not in closed.attached()


def test_a_dropped_month_comes_back_exactly(closed: Old) -> None:
    query: LiteralString = (
        "SELECT j.*, e.* FROM ledger.journals j JOIN ledger.entries e USING (tenant_id, journal_id)"
        " ORDER BY j.journal_id, e.line"
    )
    before = closed.answers(), rows(closed.runtime, query), rows(closed.runtime, query, OTHER)
    closed.archivist.run(1)
    closed.as_owner("SELECT ledger.drop_month(%s)", OLD)
    with entered(closed.runtime) as connection:
        gone = connection.execute("SELECT to_regclass(%s)", (f"ledger.journals_{OLD:%Y_%m}",))
        assert gone.fetchone() == (None,)
    assert closed.answers() == before[0]
    closed.archivist.restore(closed.book, OLD)
    assert OLD in closed.attached()
    after = closed.answers(), rows(closed.runtime, query), rows(closed.runtime, query, OTHER)
    assert after == before
    assert_sound(closed.runtime)
    with entered(closed.runtime) as connection:
        assert verify_export(export_lines(connection, TENANT)) is None
    with pytest.raises(errors.ObjectNotInPrerequisiteState):  # a copy of the text is in the lake
        closed.as_owner(
            "SELECT ledger.erase_texts(journal_id, 'late') FROM ledger.journals WHERE key = 'plain'"
        )
    # It leaves once more, with the facts that were registered the first time.
    assert closed.archivist.run(1).months_detached == 1
    assert closed.answers() == before[0]
    with pytest.raises(Conflict, match="archive_order"):
        closed.archivist.restore(closed.book, OLDER)


def test_what_needs_archived_journals_says_so(closed: Old) -> None:
    closed.archivist.run(1)
    inside = datetime(OLD.year, OLD.month, 11, tzinfo=UTC) + timedelta(days=1, microseconds=-1)
    for kind in ("recorded", "effective"):
        with (
            entered(closed.runtime) as connection,
            pytest.raises(errors.ObjectNotInPrerequisiteState, match="archived"),
        ):
            connection.execute(
                sql.SQL("SELECT ledger.{}('a', 'JMD', %s)").format(
                    sql.Identifier(f"balance_{kind}")
                ),
                (inside,),
            )
    with (
        entered(closed.runtime) as connection,
        pytest.raises(errors.ObjectNotInPrerequisiteState, match="archived"),
    ):
        connection.execute(
            "SELECT * FROM ledger.statement('a', 'JMD', ledger.uuid7_floor(%s), 1::smallint, 9)",
            (inside - timedelta(days=1),),
        )
    books = PostgresBooks(closed.database.session())
    with pytest.raises(RefusedByRule, match=r"ledger\.archived"), books.open(TENANT, "me") as book:
        book.past_balances(inside, Basis.RECORDED)
    cursor = (str(closed.first_id()), 1)
    with pytest.raises(RefusedByRule, match=r"ledger\.archived"), books.open(TENANT, "me") as book:
        book.statement("a", "JMD", cursor)
    # From the beginning: what is archived is carried forward.
    found = rows(
        closed.runtime, "SELECT key, balance_minor FROM ledger.statement('a','JMD',null,null,9)"
    )
    assert found == [("new", 3113)]
    with entered(closed.runtime) as connection:
        assert post(
            connection,
            [
                {"key": "r1", "kind": "test", "reverses": "plain"},
                {"key": "r2", "kind": "test", "reverses": "never"},
                {"key": "r3", "kind": "test", "reverses": "new"},
                document("plain", "a", "b", 100),
            ],
        ) == ["archived", "unknown_journal", "posted", "already_posted"]
    assert_sound(closed.runtime)


def test_an_export_reaches_into_the_archive(closed: Old, tmp_path: Path) -> None:
    with entered(closed.runtime) as connection:
        whole = list(export_lines(connection, TENANT))
    closed.archivist.run(1)
    with entered(closed.runtime) as connection, pytest.raises(Conflict, match="archived"):
        list(export_lines(connection, TENANT))
    manifest = closed.book.registered(TENANT, OLD)
    assert manifest is not None
    assert closed.archivist.read_back(manifest, tmp_path) == manifest.facts
    journals, entries = tmp_path / "back-journals.parquet", tmp_path / "back-entries.parquet"

    def archived(from_xid: int, to_xid: int) -> list[Sealed]:
        return closed.parquet.sealed(journals, entries, from_xid, to_xid)

    # Any reader of Parquet answers without the database, as docs/ledger.md shows.
    with duckdb.connect() as offline:
        added = "SELECT account, currency, sum(amount_minor) FROM '{}' GROUP BY ALL"
        found = offline.execute(added.format(tmp_path / "back-entries*.parquet")).fetchall()
        assert {account: int(total) for account, _, total in found} == {
            "a": 3112,
            "b": -3182,
            "clearing:x": 70,
        }
    with entered(closed.runtime) as connection:
        again = list(export_lines(connection, TENANT, archived))
    assert again == whole
    assert verify_export(again) is None


@pytest.mark.parametrize(
    "obstacle", ["period_open", "open_holds", "unsealed", "no_snapshot", "too_young"]
)
def test_a_month_that_is_not_done_stays(old: Old, obstacle: str) -> None:
    if obstacle != "period_open":
        old.close()
    with psycopg.connect(old.database.superuser_conninfo) as connection:
        connection.execute("SET session_replication_role = replica")
        month_end = months_before(OLD, -1)
        if obstacle == "open_holds":
            connection.execute(
                "INSERT INTO ledger.open_holds (tenant_id, hold_id)"
                " SELECT 'other', ledger.uuid7(%s, 1)",
                (month_end - timedelta(days=2),),
            )
        if obstacle == "unsealed":
            connection.execute("DELETE FROM ledger.blocks WHERE tenant_id = 'other'")
        if obstacle == "no_snapshot":
            connection.execute(
                "DELETE FROM ledger.snapshot_days WHERE tenant_id = 'other' AND day = %s",
                (month_end - timedelta(days=1),),
            )
    if obstacle == "period_open":
        upkeep = PostgresUpkeep(old.database.session())
        close_day(upkeep, Anchoring(upkeep, Nowhere()), utc_now)
    month = months_before(NOW.date(), 1) if obstacle == "too_young" else OLD
    assert old.book.obstacle(OTHER, month) == obstacle
    before = old.attached()
    if obstacle != "too_young":
        done = old.archivist.run(1)
        assert (done.months_detached, done.waiting) == (0, 2 if obstacle == "period_open" else 1)
    with pytest.raises(Conflict):
        old.book.detach(month)
    assert set(before) - set(old.attached()) <= {OLDER}


class CutOff(Exception):
    """The process died here."""


class Dying:
    """Everything that an archivist touches, dying before step number `at`."""

    def __init__(self, at: int) -> None:
        self.left = [at]

    def wrap(self, target: Any) -> Any:
        left = self.left

        class Wrapped:
            def __getattr__(self, name: str) -> Any:
                method = getattr(target, name)

                def call(*arguments: Any) -> Any:
                    if not left[0]:
                        raise CutOff
                    left[0] -= 1
                    return method(*arguments)

                return call

        return Wrapped()


def test_a_run_that_is_cut_off_at_any_step_goes_on_without_loss(closed: Old) -> None:
    before = closed.answers()
    steps = 0
    while True:
        dying = Dying(steps)
        parts = [dying.wrap(p) for p in (closed.book, closed.parquet, closed.lake)]
        try:
            done = Archivist(*parts, utc_now).run(1)
        except CutOff:
            steps += 1
            # Whatever was done: the ledger is whole, and what is registered can be read back.
            assert balances(closed.runtime) == before["now"]
            continue
        break
    assert steps > 10
    assert OLD not in closed.attached()
    assert done.waiting == 0
    assert closed.answers() == before

    closed.as_owner("SELECT ledger.drop_month(%s)", OLD)
    steps = 0
    while True:
        dying = Dying(steps)
        parts = [dying.wrap(p) for p in (closed.book, closed.parquet, closed.lake)]
        try:
            Archivist(*parts, utc_now).restore(dying.wrap(closed.book), OLD)
        except CutOff:
            steps += 1
            assert balances(closed.runtime) == before["now"]
            continue
        break
    assert steps > 8
    assert closed.answers() == before
    assert_sound(closed.runtime)


class OneAtATime(S3Lake):
    """moto closes an object under its reader when the same key is written again; S3 does not."""

    lock = threading.Lock()

    def put(self, key: str, path: Path) -> None:
        with self.lock:
            super().put(key, path)

    def fetch(self, key: str, path: Path) -> str:
        with self.lock:
            return super().fetch(key, path)


def test_two_runs_at_once_do_it_once(closed: Old) -> None:
    from concurrent.futures import ThreadPoolExecutor

    before = closed.answers()

    def run(_: int) -> int:
        book = PostgresArchive(closed.database.session())
        try:
            lake = OneAtATime(closed.s3, "lake")
            return Archivist(book, closed.parquet, lake, utc_now).run(1).months_detached
        except Conflict:  # the other has detached it in between
            return 0

    with ThreadPoolExecutor(2) as pool:
        assert sum(pool.map(run, range(2))) == 1
    assert closed.answers() == before


def test_a_file_that_was_changed_or_lost_is_noticed(closed: Old) -> None:
    closed.archivist.run(1)
    closed.as_owner("SELECT ledger.drop_month(%s)", OLD)
    key = next(k for k in closed.objects() if "journals-" in k and TENANT in k)
    body = closed.s3.get_object(Bucket="lake", Key=key)["Body"].read()
    closed.s3.put_object(Bucket="lake", Key=key, Body=body[:-20] + b"x" * 20)
    with pytest.raises(Conflict, match="archive_damaged"):
        closed.archivist.restore(closed.book, OLD)
    closed.s3.delete_object(Bucket="lake", Key=key)
    with pytest.raises(NotFound, match="archive_missing"):
        closed.archivist.restore(closed.book, OLD)
    closed.s3.put_object(Bucket="lake", Key=key, Body=body)
    closed.archivist.restore(closed.book, OLD)
    assert_sound(closed.runtime)


# ---------------------------------------------------------------- the product's role, turned hostile


def facts_of(old: Old, tenant: str) -> dict[str, Any]:
    found = old.book.registered(tenant, OLD)
    assert found is not None
    return json.loads(
        json.dumps(
            {
                "journals": found.facts.journals,
                "entries": found.facts.entries,
                "debits_minor": str(found.facts.debits_minor),
                "journals_print": str(found.facts.journals_print),
                "entries_print": str(found.facts.entries_print),
                "journals_sha256": found.journals_sha256,
                "entries_sha256": found.entries_sha256,
            }
        )
    )


def test_the_runtime_role_can_remove_nothing(closed: Old) -> None:
    """It may take a month out, when it is archived as the database sees it; never make one vanish."""
    refused = (
        "SELECT ledger.drop_month(%s)",
        "SELECT ledger.check_archived(%s)",
        "SELECT ledger.carry(%s, -1)",
        "SELECT ledger.month_facts(%s)",
        "DELETE FROM ledger.archives WHERE month = %s",
        "UPDATE ledger.archives SET journals = 1 WHERE month = %s",
        "INSERT INTO ledger.archives (tenant_id, month) VALUES ('acme', %s)",
        "DELETE FROM ledger.archived_months WHERE month = %s",
        "INSERT INTO ledger.archived_months (month) VALUES (%s)",
        "DELETE FROM ledger.carried_items WHERE %s::date IS NOT NULL",
        f"DROP TABLE ledger.journals_{OLD:%Y_%m}; SELECT %s",
    )
    for _ in range(2):  # while the month is attached, and after it has left
        for statement in refused:
            with (
                entered(closed.runtime) as connection,
                pytest.raises((errors.InsufficientPrivilege, errors.SyntaxError)),
            ):
                connection.execute(statement.encode(), (OLD,))
        closed.archivist.run(1)
    with entered(closed.runtime) as connection, pytest.raises(errors.InsufficientPrivilege):
        connection.execute(f"SELECT * FROM ledger.journals_{OLD:%Y_%m}".encode())
    for change in (
        "UPDATE ledger.%s SET tenant_id = 'x'",
        "DELETE FROM ledger.%s",
        "TRUNCATE ledger.%s",
    ):
        for table in ("journals", "entries"):
            with pytest.raises(errors.RestrictViolation):
                closed.as_owner(change % f"{table}_{OLD:%Y_%m}")


def test_no_month_leaves_on_a_forged_word(closed: Old) -> None:
    truth = {"journals": 1, "entries": 2, "debits_minor": "3"}
    forged: list[dict[str, Any]] = [
        {},
        truth | {"journals_print": "0", "entries_print": "0"},
        truth | {"journals_print": None, "entries_print": None},
    ]
    for facts in forged:
        facts |= {"journals_sha256": "0" * 64, "entries_sha256": "0" * 64}
        with (
            entered(closed.runtime, OTHER) as connection,
            pytest.raises(errors.IntegrityConstraintViolation),
        ):
            connection.execute("SELECT ledger.register_archive(%s, %s)", (OLD, json.dumps(facts)))
    detach_older(closed)
    with pytest.raises(Conflict, match="not_registered"):
        closed.book.detach(OLD)
    # One tenant's word is not enough; a tenant that does not exist says nothing for another.
    closed.archivist._archive(TENANT, OLD)
    with pytest.raises(Conflict, match="not_registered"):
        closed.book.detach(OLD)
    for tenant in ("hostile", OTHER):
        with (
            entered(closed.runtime, tenant) as connection,
            pytest.raises(
                (errors.IntegrityConstraintViolation, errors.ObjectNotInPrerequisiteState)
            ),
        ):
            connection.execute(
                "SELECT ledger.register_archive(%s, %s)",
                (OLD, json.dumps(facts_of(closed, TENANT))),
            )
    for month in (None, OLD + timedelta(days=1), date(1990, 1, 1), NOW.date().replace(day=1)):
        with pytest.raises(Conflict):
            closed.book.detach(month)  # type: ignore[arg-type]
    with psycopg.connect(closed.runtime) as connection:  # no tenant entered
        with pytest.raises(errors.InsufficientPrivilege):
            connection.execute("SELECT ledger.register_archive(%s, '{}')", (OLD,))
    assert OLD in closed.attached()
    assert_sound(closed.runtime)


def detach_older(old: Old) -> None:
    """Months before the one with journals, which are empty."""
    for month in old.attached():
        if month < OLD:
            old.book.detach(month)


def test_forged_rows_do_not_come_back(closed: Old) -> None:
    closed.archivist.run(1)
    closed.as_owner("SELECT ledger.drop_month(%s)", OLD)
    manifest = closed.book.registered(TENANT, OLD)
    assert manifest is not None
    with pytest.raises(Conflict):
        closed.book.attach(OLD)  # nothing was loaded
    closed.book.begin(OLD)
    with pytest.raises(Conflict):
        closed.book.attach(OLD)  # it is empty
    for tenant in (TENANT, OTHER):
        found = closed.book.registered(tenant, OLD)
        assert found is not None
        closed.archivist._load(closed.book, found)
    forged = {
        "journals": [
            {
                "journal_id": "00000000-0000-7000-8000-000000000001",
                "key": "forged",
                "kind": "x",
                "effective_at": "2026-01-01T00:00:00Z",
                "recorded_at": "2026-01-01T00:00:00Z",
                "line_count": 2,
                "description": "",
                "refs": "{}",
                "metadata": "{}",
                "posted_by": "x",
                "xid": "5",
            }
        ],
        "entries": [],
    }
    for tenant in (TENANT, "hostile"):  # of a tenant that has an archive, and of one that has none
        closed.book.load(tenant, OLD, forged)
        with pytest.raises(Conflict):
            closed.book.attach(OLD)
        closed.book.begin(OLD)
        for known in (TENANT, OTHER):
            found = closed.book.registered(known, OLD)
            assert found is not None
            closed.archivist._load(closed.book, found)
    with psycopg.connect(closed.runtime) as connection:  # no tenant entered
        with pytest.raises((errors.NotNullViolation, errors.InsufficientPrivilege)):
            connection.execute(
                "SELECT ledger.load_restored(%s, %s, '[]')", (OLD, json.dumps(forged["journals"]))
            )
    closed.book.attach(OLD)
    assert_sound(closed.runtime)
    with pytest.raises(Conflict):
        closed.book.begin(OLD)
    with pytest.raises(Conflict):
        closed.book.load(TENANT, OLD, forged)


def test_rows_that_a_superuser_changed_after_archiving_are_neither_dropped_nor_attached(
    closed: Old,
) -> None:
    closed.archivist.run(1)
    with psycopg.connect(closed.database.superuser_conninfo) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(
            f"UPDATE ledger.entries_{OLD:%Y_%m} SET amount_minor = amount_minor * 2".encode()
        )
    with pytest.raises(errors.IntegrityConstraintViolation, match="not those that were archived"):
        closed.as_owner("SELECT ledger.drop_month(%s)", OLD)
    with pytest.raises(Conflict, match="not those that were archived"):
        closed.archivist.restore(closed.book, OLD)
