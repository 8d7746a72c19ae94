"""Guarantees of the ledger's tables, attacked with raw SQL by every role there is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg import errors, sql
from psycopg.types.json import Jsonb

from pardna.database.migrate import OWNER
from tests.support.ledger import (
    TENANT,
    WHO,
    assert_sound,
    balances,
    document,
    entered,
    open_accounts,
    post,
    rows,
)
from tests.support.postgres import Cluster, TestDatabase

TABLES = (
    "accounts",
    "balances",
    "journals",
    "entries",
    "once",
    "closings",
    "matched_legs",
    "holds",
    "hold_ends",
    "open_holds",
    "open_amounts",
    "shifts",
    "snapshots",
    "snapshot_days",
    "drains",
    "blocks",
    "tenants",
    "archives",
    "carried_days",
    "carried_items",
)
APPEND_ONLY = ("journals", "entries", "once", "closings")


@pytest.fixture(scope="module")
def database(cluster: Cluster) -> Iterator[TestDatabase]:
    """One database for the whole module: attacks fail or are rolled back."""
    made = cluster.clone("attacked")
    yield made
    cluster.drop(made)


@pytest.fixture(scope="module")
def runtime(database: TestDatabase) -> str:
    """The database with two accounts and one journal, as the product connects to it."""
    open_accounts(database.runtime_conninfo, "a", "b")
    with entered(database.runtime_conninfo) as connection:
        assert post(connection, [document("first", "a", "b", 100)]) == ["posted"]
    return database.runtime_conninfo


@pytest.fixture
def owner(database: TestDatabase, runtime: str) -> Iterator[psycopg.Connection[Any]]:
    """The role that owns every table, inside the tenant: what the guards themselves must stop."""
    with psycopg.connect(database.superuser_conninfo) as connection:
        connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(OWNER)))
        connection.execute("SELECT app.enter(%s, %s)", (TENANT, WHO))
        yield connection
        connection.rollback()


def partition_of(runtime: str, table: str) -> str:
    """The partition that holds the first journal."""
    with entered(runtime) as connection:
        query = "SELECT DISTINCT tableoid::regclass::text FROM ledger.{}"
        found = connection.execute(sql.SQL(query).format(sql.Identifier(table))).fetchone()
    assert found is not None
    return str(found[0])


NEW_JOURNAL: LiteralString = (
    "INSERT INTO {} (tenant_id, journal_id, key, kind, effective_at, recorded_at, line_count,"
    " posted_by) SELECT 'acme', ledger.uuid7(clock_timestamp(), 0), 'raw', 'raw', now(), now(), 2,"
    " 'me'"
)
NEW_ENTRIES: LiteralString = (
    "INSERT INTO {} (tenant_id, journal_id, line, account_id, amount_minor, currency)"
    " SELECT 'acme', journal_id, 2 + row_number() OVER (), account_id, amount, 'JMD'"
    " FROM ledger.journals, (SELECT account_id, CASE code WHEN 'a' THEN 5 ELSE -5 END AS amount"
    " FROM ledger.accounts) a"
)


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO {} (tenant_id) VALUES ('acme')",
        "UPDATE {} SET tenant_id = 'other'",
        "DELETE FROM {}",
        "TRUNCATE {}",
        "ALTER TABLE {} DISABLE ROW LEVEL SECURITY",
        "DROP TABLE {}",
    ],
)
def test_the_runtime_role_cannot_write(runtime: str, table: str, statement: LiteralString) -> None:
    name = sql.Identifier("ledger", table)
    with (
        pytest.raises(errors.InsufficientPrivilege),
        entered(runtime) as connection,
    ):
        connection.execute(sql.SQL(statement).format(*[name] * statement.count("{}")))


@pytest.mark.parametrize("table", ["journals", "entries"])
@pytest.mark.parametrize("statement", ["SELECT * FROM {}", "DELETE FROM {}", "TRUNCATE {}"])
def test_the_runtime_role_cannot_name_a_partition(
    runtime: str, table: str, statement: LiteralString
) -> None:
    name = sql.Identifier(*partition_of(runtime, table).split("."))
    with pytest.raises(errors.InsufficientPrivilege), entered(runtime) as connection:
        connection.execute(sql.SQL(statement).format(name))


@pytest.mark.parametrize("table", APPEND_ONLY)
@pytest.mark.parametrize("by_name", [False, True])
@pytest.mark.parametrize(
    "statement", ["UPDATE {} SET tenant_id = tenant_id", "DELETE FROM {}", "TRUNCATE {}"]
)
def test_even_the_owner_cannot_change_what_was_posted(
    owner: psycopg.Connection[Any],
    runtime: str,
    table: str,
    by_name: bool,
    statement: LiteralString,
) -> None:
    if table == "closings":
        with entered(runtime) as connection:
            connection.execute("SELECT ledger.close_period('2020-01-01Z')")
    where = f"ledger.{table}"
    if by_name and table in ("journals", "entries"):
        where = partition_of(runtime, table)
    with pytest.raises(errors.RestrictViolation):
        owner.execute(sql.SQL(statement).format(sql.Identifier(*where.split("."))))


@pytest.mark.parametrize("by_name", [False, True])
def test_even_the_owner_cannot_write_a_journal_without_lines(
    owner: psycopg.Connection[Any], runtime: str, by_name: bool
) -> None:
    where = partition_of(runtime, "journals") if by_name else "ledger.journals"
    with pytest.raises(errors.CheckViolation, match="no lines"):
        owner.execute(sql.SQL(NEW_JOURNAL).format(sql.Identifier(*where.split("."))))


@pytest.mark.parametrize("by_name", [False, True])
def test_even_the_owner_cannot_add_balanced_lines_to_an_old_journal(
    owner: psycopg.Connection[Any], runtime: str, by_name: bool
) -> None:
    where = partition_of(runtime, "entries") if by_name else "ledger.entries"
    with pytest.raises(errors.CheckViolation, match="only be written with their journal"):
        owner.execute(sql.SQL(NEW_ENTRIES).format(sql.Identifier(*where.split("."))))


@pytest.mark.parametrize(
    ("amounts", "currency", "declared"),
    [
        ((5, -4), "JMD", 2),  # not zero
        ((5, -5), "USD", 2),  # not the accounts' currency
        ((5, -5), "JMD", 3),  # a line fewer than declared
    ],
)
def test_even_the_owner_cannot_write_a_broken_journal(
    owner: psycopg.Connection[Any], amounts: tuple[int, int], currency: str, declared: int
) -> None:
    with pytest.raises(errors.CheckViolation):
        owner.execute(
            "WITH id AS MATERIALIZED (SELECT ledger.uuid7(clock_timestamp(), 0) AS id), j AS ("
            "  INSERT INTO ledger.journals (tenant_id, journal_id, key, kind, effective_at,"
            "    recorded_at, line_count, posted_by)"
            "  SELECT 'acme', id, 'raw', 'raw', now(), now(), %s, 'me' FROM id)"
            " INSERT INTO ledger.entries"
            " SELECT 'acme', id, row_number() OVER (), account_id,"
            "  CASE code WHEN 'a' THEN %s ELSE %s END, %s FROM id, ledger.accounts",
            (declared, *amounts, currency),
        )


#: Two new journals on both sides of the old one, and lines for any of the three.
AROUND: LiteralString = (
    "WITH new (id) AS MATERIALIZED (SELECT ledger.uuid7_floor(j.recorded_at - interval '1 second')"
    "  FROM ledger.journals j WHERE j.key = 'first' UNION ALL"
    "  SELECT ledger.uuid7(clock_timestamp(), 0)),"
    " known (number, id) AS (SELECT 2, journal_id FROM ledger.journals WHERE key = 'first' UNION ALL"
    "  SELECT 2 * row_number() OVER (ORDER BY id) - 1, id"
    "  FROM new),"
    " j AS (INSERT INTO ledger.journals (tenant_id, journal_id, key, kind, effective_at, recorded_at,"
    "  line_count, posted_by) SELECT 'acme', id, 'raw', 'raw', now(), now(), 2, 'me' FROM new)"
    " INSERT INTO ledger.entries (tenant_id, journal_id, line, account_id, amount_minor, currency)"
    " SELECT 'acme', k.id, l.line, a.account_id, l.amount, 'JMD'"
    " FROM jsonb_to_recordset(%s::jsonb) l (journal integer, line smallint, account text,"
    "  amount bigint) JOIN known k ON k.number = l.journal JOIN ledger.accounts a ON a.code = l.account"
)


def lines(journal: int, *amounts: int, first: int = 1) -> list[dict[str, Any]]:
    """Lines of journal 1 (below the old one), 2 (the old one) or 3 (above it)."""
    return [
        {"journal": journal, "line": first + place, "account": "ab"[place % 2], "amount": amount}
        for place, amount in enumerate(amounts)
    ]


@pytest.mark.parametrize(
    ("written", "refused"),
    [
        (lines(1, 5, -5) + lines(3, 7, -7), ""),  # what lies between is none of theirs
        (lines(1, 5, -5) + lines(3, 7, -7) + lines(2, 1, -1, first=3), "with their journal"),
        (lines(1, 5, -5), "no lines"),
        (lines(1, 5, -4) + lines(3, 7, -8), "sum to zero"),  # only together
        (lines(1, 5, -5) + lines(3, 7, -8, 1), "sum to zero"),  # one more than declared
        (lines(1, 5, -5) + lines(3, 7, -7, first=2), "sum to zero"),
    ],
)
def test_journals_of_one_statement_are_each_checked_whatever_lies_between_them(
    owner: psycopg.Connection[Any], written: list[dict[str, Any]], refused: str
) -> None:
    if not refused:
        owner.execute(AROUND, (Jsonb(written),))
        return
    with pytest.raises(errors.CheckViolation, match=refused):
        owner.execute(AROUND, (Jsonb(written),))


def test_a_late_line_in_the_same_transaction_is_refused_too(
    owner: psycopg.Connection[Any],
) -> None:
    post(owner, [document("second", "a", "b", 1)])
    with pytest.raises(errors.CheckViolation):
        owner.execute(
            sql.SQL(NEW_ENTRIES + " WHERE key = 'second'").format(
                sql.Identifier("ledger", "entries")
            )
        )


def test_lines_without_a_journal_are_refused(owner: psycopg.Connection[Any]) -> None:
    with pytest.raises(errors.CheckViolation):
        owner.execute(
            "INSERT INTO ledger.entries SELECT 'acme', ledger.uuid7(clock_timestamp(), 0),"
            " row_number() OVER (), account_id, CASE code WHEN 'a' THEN 5 ELSE -5 END, 'JMD'"
            " FROM ledger.accounts"
        )


# ---------------------------------------------------------------- other tenants


@pytest.mark.parametrize("table", [t for t in TABLES if t not in ("once", "tenants")])
def test_another_tenant_sees_no_row(runtime: str, table: str) -> None:
    with entered(runtime, "hostile") as connection:
        query = sql.SQL("SELECT count(*) FROM ledger.{}").format(sql.Identifier(table))
        assert connection.execute(query).fetchone() == (0,)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM ledger.account_balances",
        "SELECT * FROM ledger.trial_balance",
        "SELECT * FROM ledger.open_items",
        "SELECT * FROM ledger.discrepancies",
        "SELECT * FROM ledger.open_discrepancies",
        "SELECT * FROM ledger.block_journals(1)",
        "SELECT * FROM ledger.statement('a', 'JMD', null, null, 10)",
    ],
)
def test_another_tenant_reads_nothing(runtime: str, query: LiteralString) -> None:
    assert rows(runtime, query, "hostile") == []


def test_another_tenant_cannot_move_reverse_or_learn(runtime: str) -> None:
    with entered(runtime, "thief") as connection:
        assert post(
            connection,
            [
                document("first", "a", "b", 100),
                {"key": "x", "kind": "test", "reverses": "first"},
                document("first2", "a", "b", 100, tenant_id=TENANT),
            ],
        ) == ["unknown_account", "unknown_journal", "unknown_account"]
    open_accounts(runtime, "a", "b", tenant="thief")
    with entered(runtime, "thief") as connection:
        assert post(connection, [document("first", "a", "b", 7)]) == ["posted"]
        connection.execute("SELECT ledger.close_period(now())")
    assert balances(runtime) == {"a": 100, "b": -100}
    with entered(runtime) as connection:
        assert post(connection, [document("second", "a", "b", 1)]) == ["posted"]


def test_forged_rows_of_another_tenant_are_refused_even_to_the_owner(
    owner: psycopg.Connection[Any],
) -> None:
    with pytest.raises(errors.InsufficientPrivilege, match="row-level security"):
        owner.execute(
            "INSERT INTO ledger.accounts (tenant_id, code, currency, type, normal_side)"
            " VALUES ('hostile', 'x', 'JMD', 'asset', 'debit')"
        )


@pytest.mark.parametrize("context", ["never", "empty", "left"])
def test_without_a_tenant_there_is_nothing(runtime: str, context: str) -> None:
    """Never entered, emptied, or left over from a transaction that is done: a reused connection."""
    with psycopg.connect(runtime, autocommit=True) as connection:
        if context == "left":
            with connection.transaction():
                connection.execute("SELECT app.enter('acme', 'me')")
        if context == "empty":
            connection.execute("SELECT set_config('app.tenant', '', false)")
        for table in ("accounts", "balances", "journals", "entries"):
            query = sql.SQL("SELECT count(*) FROM ledger.{}").format(sql.Identifier(table))
            assert connection.execute(query).fetchone() == (0,)
        with pytest.raises(errors.InsufficientPrivilege, match="no tenant"):
            post(connection, [document("x", "a", "b", 1)])
        for statement in (
            'SELECT ledger.open_accounts(\'[{"code": "x", "currency": "JMD",'
            ' "type": "asset", "normal_side": "debit"}]\')',
            'SELECT ledger.mark_legs(\'[{"pair": "p", "transaction_id": "t",'
            ' "match_id": "m", "version": 1, "status": "committed", "matched_at": "2026-01-01Z"}]\')',
            "SELECT ledger.close_period('2020-01-01Z')",
        ):
            with pytest.raises(
                (errors.InsufficientPrivilege, errors.NotNullViolation, errors.RaiseException)
            ):
                connection.execute(statement)


def test_a_month_that_nobody_made_ahead_is_made_by_its_first_posting(cluster: Cluster) -> None:
    database = cluster.clone("no_months")
    open_accounts(database.runtime_conninfo, "a", "b")
    with psycopg.connect(database.superuser_conninfo) as connection:
        for (name,) in connection.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits"
            " WHERE inhparent IN ('ledger.journals'::regclass, 'ledger.entries'::regclass)"
        ).fetchall():
            connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(*name.split("."))))
    with entered(database.runtime_conninfo) as connection:
        assert post(connection, [document("first", "a", "b", 100)]) == ["posted"]
        found = connection.execute(
            "SELECT count(*) FROM pg_inherits WHERE inhparent = 'ledger.entries'::regclass"
        ).fetchone()
    assert found == (3,)
    assert_sound(database.runtime_conninfo)
    cluster.drop(database)


def test_every_function_of_the_owners_has_a_fixed_search_path(runtime: str) -> None:
    loose = rows(
        runtime,
        "SELECT proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace"
        " WHERE nspname = 'ledger' AND prosecdef"
        " AND NOT 'search_path=pg_catalog, pg_temp' = ANY (coalesce(proconfig, '{}'))",
    )
    assert loose == []


def test_every_table_and_partition_forces_row_level_security(runtime: str) -> None:
    loose = rows(
        runtime,
        "SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE nspname = 'ledger' AND relkind IN ('r', 'p')"
        " AND NOT (relrowsecurity AND relforcerowsecurity)",
    )
    assert loose == []


def test_the_owner_is_neither_superuser_nor_above_row_level_security(runtime: str) -> None:
    found = rows(
        runtime,
        "SELECT rolsuper, rolbypassrls, rolcanlogin FROM pg_roles WHERE rolname = 'pardna_owner'",
    )
    assert found == [(False, False, False)]
    assert_sound(runtime)
