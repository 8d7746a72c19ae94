"""A hostile tenant calls every function and reads every table and view that the runtime role can.

The lists are compared with the catalogue: whoever adds a function or a table adds its attack here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from psycopg import sql

from tests.support.ledger import document, entered, open_accounts, post
from tests.support.postgres import Cluster, TestDatabase

HOSTILE = "hostile"
#: What one tenant shares with all: structure of months, and who there is. Nothing of these is a secret
#: between tenants that they could use, and none of it is theirs to change.
SHARED_TABLES = {"archives", "archived_months", "tenants"}

#: Every function with arguments that name the victim's things; {journal} is a journal of the victim's.
CALLS: dict[str, str] = {
    "all_tenants": "SELECT ledger.all_tenants() LIMIT 0",
    "archive_obstacle": "SELECT ledger.archive_obstacle(date_trunc('month', now())::date)",
    "archived_until": "SELECT ledger.archived_until()",
    "attach_month": "SELECT ledger.attach_month(date_trunc('month', now())::date)",
    "attached_months": "SELECT * FROM ledger.attached_months() LIMIT 0",
    "balance_effective": "SELECT ledger.balance_effective('wallet-of-the-victim', 'JMD', now())",
    "balance_recorded": "SELECT ledger.balance_recorded('wallet-of-the-victim', 'JMD', now())",
    "begin_restore": "SELECT ledger.begin_restore(date_trunc('month', now())::date)",
    "block_journals": "SELECT * FROM ledger.block_journals(1)",
    "block_of": "SELECT ledger.block_of('{journal}')",
    "close_period": "SELECT ledger.close_period(now())",
    "detach_month": "SELECT ledger.detach_month(date_trunc('month', now())::date)",
    "drain": "SELECT ledger.drain() IS NULL",
    "drifted": "SELECT nullif(ledger.drifted(), 0)",
    "end_hold": "SELECT ledger.end_hold('hold-of-the-victim', 'captured')",
    "ensure_partitions": "SELECT ledger.ensure_partitions(current_date, 1)",
    "expire_holds": "SELECT nullif(ledger.expire_holds(1000), 0)",
    "hold": 'SELECT ledger.hold(\'[{"key": "hold-of-the-victim", "debit": "b", "credit":'
    ' "wallet-of-the-victim", "currency": "JMD", "amount_minor": 1, "tenant_id": "acme"}]\')',
    "load_restored": "SELECT ledger.load_restored(date_trunc('month', now())::date, '[]', '[]')",
    "mark_legs": 'SELECT ledger.mark_legs(\'[{"pair": "p", "transaction_id": "t", "match_id":'
    ' "match-of-the-victim", "version": 9, "status": "unmatched", "matched_at": "2026-01-01Z",'
    ' "tenant_id": "acme"}]\')',
    "months_ahead": "SELECT nullif(ledger.months_ahead(current_date), ledger.months_ahead(current_date))",
    "next_snapshot_day": "SELECT ledger.next_snapshot_day()",
    "next_to_restore": "SELECT * FROM ledger.next_to_restore()",
    "open_accounts": 'SELECT ledger.open_accounts(\'[{"code": "wallet-of-the-victim", "currency":'
    ' "JMD", "type": "liability", "normal_side": "credit", "minimum_minor": 5, "tenant_id":'
    ' "acme"}]\')',
    "post": 'SELECT ledger.post(\'[{"key": "first-of-the-victim", "kind": "x", "lines":'
    ' [{"account": "wallet-of-the-victim", "currency": "JMD", "amount_minor": 5, "tenant_id": "acme"},'
    ' {"account": "b", "currency": "JMD", "amount_minor": -5}]}, {"key": "y", "kind": "x",'
    ' "reverses": "first-of-the-victim"}]\')',
    "register_archive": "SELECT ledger.register_archive(date_trunc('month', now())::date, '{{}}')",
    "seal": "SELECT ledger.seal(1)",
    "seal_lag": "SELECT ledger.seal_lag()",
    "statement": "SELECT * FROM ledger.statement('wallet-of-the-victim', 'JMD', '{journal}', 1::smallint,"
    " 10)",
    "take_snapshot": "SELECT ledger.take_snapshot(current_date - 1)",
    "uuid7": "SELECT ledger.uuid7(now(), 1) IS NULL",
    "uuid7_floor": "SELECT ledger.uuid7_floor(now()) IS NULL",
}
TRIGGERS = {"check_entries", "check_journals"}


@pytest.fixture(scope="module")
def database(cluster: Cluster) -> Iterator[TestDatabase]:
    made = cluster.clone("hostile")
    yield made
    cluster.drop(made)


@pytest.fixture(scope="module")
def journal(database: TestDatabase) -> str:
    """The victim: accounts, a journal, a hold, a match, a snapshot, a block."""
    runtime = database.runtime_conninfo
    open_accounts(runtime, "wallet-of-the-victim", "b")
    with entered(runtime) as connection:
        first = document("first-of-the-victim", "wallet-of-the-victim", "b", 100)
        assert post(connection, [first]) == ["posted"]
        soon = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
        connection.execute(
            "SELECT ledger.hold(jsonb_build_array(jsonb_build_object('key', 'hold-of-the-victim',"
            " 'debit', 'b', 'credit', 'wallet-of-the-victim', 'currency', 'JMD', 'amount_minor', 7,"
            " 'expires_at', %s::text)))",
            (soon,),
        )
        connection.execute(
            'SELECT ledger.mark_legs(\'[{"pair": "p", "transaction_id": "t", "match_id":'
            ' "match-of-the-victim", "version": 1, "status": "committed", "matched_at":'
            ' "2026-01-01Z"}]\')'
        )
    with entered(runtime) as connection:
        connection.execute("SELECT ledger.seal(10)")
        row = connection.execute("SELECT journal_id FROM ledger.journals").fetchone()
    open_accounts(runtime, "b", "mine", tenant=HOSTILE)
    assert row is not None
    return str(row[0])


def tables(database: TestDatabase) -> list[str]:
    with psycopg.connect(database.superuser_conninfo) as connection:
        found = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'ledger'::regnamespace"
            " AND relkind IN ('r', 'p') AND NOT relispartition ORDER BY 1"
        ).fetchall()
    return [name for (name,) in found]


def state(database: TestDatabase) -> dict[str, str]:
    """A digest of each table's rows of the victim, and of what all share."""
    digests = {}
    with psycopg.connect(database.superuser_conninfo) as connection:
        for table in tables(database):
            own = sql.SQL("" if table in SHARED_TABLES else "WHERE t.tenant_id = 'acme'")
            query = sql.SQL("SELECT t::text FROM ledger.{} t {} ORDER BY 1")
            found = connection.execute(query.format(sql.Identifier(table), own)).fetchall()
            digests[table] = hashlib.sha256(repr(found).encode()).hexdigest()
        months = connection.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent IN"
            " ('ledger.journals'::regclass, 'ledger.entries'::regclass) ORDER BY 1"
        ).fetchall()
    return digests | {"months": repr(months)}


def test_every_function_has_its_attack(database: TestDatabase) -> None:
    with psycopg.connect(database.superuser_conninfo) as connection:
        found = connection.execute(
            "SELECT DISTINCT proname FROM pg_proc WHERE pronamespace = 'ledger'::regnamespace"
            " AND has_function_privilege('pardna_runtime', oid, 'execute')"
        ).fetchall()
    assert {name for (name,) in found} == set(CALLS) | TRIGGERS


@pytest.mark.parametrize("name", sorted(CALLS))
@pytest.mark.parametrize("tenant", [HOSTILE, None])
def test_a_call_changes_nothing_and_learns_nothing(
    database: TestDatabase, journal: str, name: str, tenant: str | None
) -> None:
    """As another tenant, and as nobody: a connection that entered no tenant."""
    before = state(database)
    answers: object = []
    try:
        with psycopg.connect(database.runtime_conninfo) as connection:
            if tenant:
                connection.execute("SELECT app.enter(%s, 'thief')", (tenant,))
            call = CALLS[name].replace("{journal}", journal).replace("{{}}", "{}")
            answers = connection.execute(call.encode()).fetchall()
    except psycopg.Error as refused:
        answers = str(refused)
    assert state(database) == before
    told = repr(answers)
    assert journal not in told
    if "refused" not in told and not isinstance(answers, str):
        assert "acme" not in told


@pytest.mark.parametrize("tenant", [HOSTILE, None])
def test_every_table_and_view_shows_another_tenant_nothing(
    database: TestDatabase, journal: str, tenant: str | None
) -> None:
    with psycopg.connect(database.superuser_conninfo) as connection:
        views = connection.execute(
            "SELECT viewname FROM pg_views WHERE schemaname = 'ledger'"
        ).fetchall()
    for name in [*tables(database), *(view for (view,) in views)]:
        with psycopg.connect(database.runtime_conninfo) as connection:
            if tenant:
                connection.execute("SELECT app.enter(%s, 'thief')", (tenant,))
            query = sql.SQL("SELECT t::text FROM ledger.{} t").format(sql.Identifier(name))
            try:
                shown = repr(connection.execute(query).fetchall())
            except psycopg.errors.InsufficientPrivilege:
                continue
        assert journal not in shown, name
        assert "acme" not in shown, name
