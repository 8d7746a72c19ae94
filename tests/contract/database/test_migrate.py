"""The migration runner against a real PostgreSQL."""

from __future__ import annotations

import json
from pathlib import Path

import psycopg
import pytest

from pardna.database import migrate
from pardna.runtime.errors import Conflict
from tests.support.postgres import Cluster, TestDatabase


def write(folder: Path, name: str, up: str, check: str = "") -> None:
    (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / name / "up.sql").write_text(up)
    if check:
        (folder / name / "check.sql").write_text(check)


@pytest.fixture
def empty(cluster: Cluster, request: pytest.FixtureRequest) -> TestDatabase:
    cluster.server.create_database(name := f"empty_{abs(hash(request.node.name)) % 10**8}")
    return TestDatabase(cluster.server, name)


def test_a_second_run_applies_nothing(database: TestDatabase) -> None:
    assert migrate.apply(database.admin_conninfo) == []


def test_only_the_runtime_may_connect_and_copy_into_temporary_tables(
    database: TestDatabase,
) -> None:
    migrate.apply(database.admin_conninfo)  # a clone has none of its template's privileges
    with psycopg.connect(database.superuser_conninfo) as connection:
        may = {
            (role, what)
            for role in ("public", migrate.RUNTIME)
            for what in ("CONNECT", "TEMPORARY", "CREATE")
            if connection.execute(
                "SELECT has_database_privilege(%s, current_database(), %s)", (role, what)
            ).fetchone()
            == (True,)
        }
    assert may == {(migrate.RUNTIME, "CONNECT"), (migrate.RUNTIME, "TEMPORARY")}


def test_climbs_one_migration_at_a_time(empty: TestDatabase, tmp_path: Path) -> None:
    for migration in migrate.load():
        write(tmp_path, migration.name, migration.up, migration.check)
        assert migrate.apply(empty.admin_conninfo, folder=tmp_path) == [migration.name]


def test_a_changed_migration_is_refused(empty: TestDatabase, tmp_path: Path) -> None:
    write(tmp_path, "0001_first", "CREATE TABLE app.one ()")
    migrate.apply(empty.admin_conninfo, folder=tmp_path)
    write(tmp_path, "0001_first", "CREATE TABLE app.other ()")
    with pytest.raises(Conflict, match=r"migration\.changed"):
        migrate.apply(empty.admin_conninfo, folder=tmp_path)


def test_a_failing_migration_leaves_nothing(empty: TestDatabase, tmp_path: Path) -> None:
    write(tmp_path, "0001_first", "CREATE TABLE app.one (); SELECT 1/0")
    with pytest.raises(migrate.MigrationFailed, match="division by zero"):
        migrate.apply(empty.admin_conninfo, folder=tmp_path)
    with psycopg.connect(empty.superuser_conninfo) as connection:
        assert connection.execute("SELECT to_regclass('app.one')").fetchone() == (None,)
        assert connection.execute("SELECT count(*) FROM app.migrations").fetchone() == (0,)


def test_a_check_that_finds_something_rolls_back(empty: TestDatabase, tmp_path: Path) -> None:
    write(tmp_path, "0001_first", "CREATE TABLE app.one ()", "SELECT 'wrong'")
    with pytest.raises(migrate.MigrationFailed, match="wrong"):
        migrate.apply(empty.admin_conninfo, folder=tmp_path)


def test_a_migration_out_of_order_is_refused(empty: TestDatabase, tmp_path: Path) -> None:
    write(tmp_path, "0002_second", "SELECT 1")
    migrate.apply(empty.admin_conninfo, folder=tmp_path)
    write(tmp_path, "0001_first", "SELECT 1")
    with pytest.raises(Conflict, match=r"migration\.order"):
        migrate.apply(empty.admin_conninfo, folder=tmp_path)


def test_the_runtime_role_owns_nothing(database: TestDatabase) -> None:
    with psycopg.connect(database.superuser_conninfo) as connection:
        owned = connection.execute(
            "SELECT relname FROM pg_class JOIN pg_roles r ON r.oid = relowner"
            " WHERE r.rolname = 'pardna_runtime'"
        ).fetchall()
        powers = connection.execute(
            "SELECT rolname FROM pg_roles WHERE rolname LIKE 'pardna%' AND (rolsuper OR rolbypassrls)"
        ).fetchall()
    assert owned == []
    assert powers == []


def test_every_tenant_table_is_protected_and_no_partition_is_open(database: TestDatabase) -> None:
    with psycopg.connect(database.superuser_conninfo) as connection:
        unprotected = connection.execute(
            "SELECT c.oid::regclass FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
            " WHERE c.relkind IN ('r', 'p') AND a.attname = 'tenant_id' AND NOT c.relispartition"
            " AND NOT (c.relrowsecurity AND c.relforcerowsecurity)"
        ).fetchall()
        open_partitions = connection.execute(
            "SELECT c.oid::regclass FROM pg_class c WHERE c.relispartition AND c.relkind = 'r'"
            " AND has_table_privilege('pardna_runtime', c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE')"
        ).fetchall()
    assert unprotected == []
    assert open_partitions == []


def test_no_tenant_means_no_rows(database: TestDatabase) -> None:
    insert = "INSERT INTO app.audit_log (tenant_id, action, subject) VALUES (%s, 'test.done', 'x')"
    with database.session().transaction("kgn-one", "tester") as connection:
        connection.execute(insert, ("kgn-one",))
    with psycopg.connect(database.runtime_conninfo, autocommit=True) as raw:
        assert raw.execute("SELECT count(*) FROM app.audit_log").fetchone() == (0,)
        with pytest.raises(psycopg.errors.Error):
            raw.execute(insert, ("kgn-one",))
    with database.session().transaction("kgn-two", "tester") as connection:
        assert connection.execute("SELECT count(*) FROM app.audit_log").fetchone() == (0,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(insert, ("kgn-one",))


@pytest.mark.parametrize("tenant", ["", "x", "UPPER", "a b", "-abc"])
def test_a_wrong_tenant_cannot_enter(database: TestDatabase, tenant: str) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        with database.session().transaction(tenant, "tester"):
            pass


def test_rows_that_were_there_before_are_found_by_the_ledgers_upkeep(
    empty: TestDatabase, tmp_path: Path
) -> None:
    """Row-level security binds the role that migrates: a backfill that forgets it finds nothing."""
    before = [m for m in migrate.load() if m.name < "0035"]
    after = [m for m in migrate.load() if "0035" <= m.name < "0037"]
    for migration in before:
        write(tmp_path, migration.name, migration.up, migration.check)
    migrate.apply(empty.admin_conninfo, "only-for-tests", folder=tmp_path)
    with psycopg.connect(empty.runtime_conninfo) as connection:
        connection.execute("SELECT app.enter('acme', 'me')")
        account = {"currency": "JMD", "type": "asset", "normal_side": "debit"}
        accounts = [{"code": code, **account} for code in ("clearing:x", "bank")]
        connection.execute("SELECT ledger.open_accounts(%s)", (json.dumps(accounts),))
        lines = [
            {"account": "clearing:x", "currency": "JMD", "amount_minor": 5, "item": "t-1"},
            {"account": "bank", "currency": "JMD", "amount_minor": -5},
        ]
        journals = [{"key": "1", "kind": "test", "lines": lines}]
        connection.execute("SELECT ledger.post(%s)", (json.dumps(journals),))
    for migration in after:
        write(tmp_path, migration.name, migration.up, migration.check)
    migrate.apply(empty.admin_conninfo, folder=tmp_path)
    with psycopg.connect(empty.runtime_conninfo) as connection:
        assert connection.execute("SELECT ledger.all_tenants()").fetchall() == [("acme",)]
        connection.execute("SELECT app.enter('acme', 'me')")
        open_items = "SELECT item, amount_minor FROM ledger.open_items"
        assert connection.execute(open_items).fetchall() == [("t-1", 5)]
        assert connection.execute("SELECT * FROM ledger.open_discrepancies").fetchall() == []
