"""What tests of the ledger on PostgreSQL share: raw calls, and the invariants."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from tests.support.postgres import TestDatabase

TENANT, WHO = "acme", "tester"
Document = dict[str, Any]


@contextmanager
def entered(conninfo: str, tenant: str = TENANT) -> Iterator[psycopg.Connection[Any]]:
    """A connection of its own inside a tenant's transaction; commits at the end."""
    with psycopg.connect(conninfo, prepare_threshold=None) as connection:
        connection.execute("SELECT app.enter(%s, %s)", (tenant, WHO))
        yield connection


def document(key: str, debit: str, credit: str, amount: int, **more: Any) -> Document:
    """A two-line journal in JMD as ``ledger.post`` reads it."""
    lines = [
        {"account": debit, "currency": "JMD", "amount_minor": amount},
        {"account": credit, "currency": "JMD", "amount_minor": -amount},
    ]
    return {"key": key, "kind": "test", "lines": lines, **more}


def post(
    connection: psycopg.Connection[Any], documents: Sequence[Document], whole: bool = False
) -> list[str]:
    """Post; the answers in short."""
    row = connection.execute(
        "SELECT ledger.post(%s::jsonb, %s)", (json.dumps(documents), whole)
    ).fetchone()
    assert row is not None
    return [answer.get("code", answer["outcome"]) for answer in row[0]]


def open_accounts(conninfo: str, *codes: str, tenant: str = TENANT, **more: Any) -> None:
    """Open asset accounts in JMD."""
    rows = [
        {"code": c, "currency": "JMD", "type": "asset", "normal_side": "debit", **more}
        for c in codes
    ]
    with entered(conninfo, tenant) as connection:
        connection.execute("SELECT ledger.open_accounts(%s::jsonb)", (json.dumps(rows),))


def rows(conninfo: str, query: LiteralString, tenant: str = TENANT) -> list[tuple[Any, ...]]:
    """What a tenant sees."""
    with entered(conninfo, tenant) as connection:
        return connection.execute(query).fetchall()


def balances(conninfo: str, tenant: str = TENANT) -> dict[str, int]:
    """Balances that are not zero."""
    found = rows(conninfo, "SELECT code, balance_minor FROM ledger.account_balances", tenant)
    return {code: balance for code, balance in found if balance}


def assert_sound(conninfo: str, tenant: str = TENANT) -> None:
    """The invariants: zero in each currency, balances as entries say, every journal with its lines."""
    for currency, difference in rows(
        conninfo, "SELECT currency, difference_minor FROM ledger.trial_balance", tenant
    ):
        assert difference == 0, currency
    assert rows(conninfo, "SELECT * FROM ledger.discrepancies", tenant) == []
    assert rows(conninfo, "SELECT * FROM ledger.open_discrepancies", tenant) == []
    assert rows(conninfo, "SELECT * FROM ledger.misdated", tenant) == []
    broken = (
        "SELECT j.journal_id FROM ledger.journals j LEFT JOIN ledger.entries e"
        " USING (tenant_id, journal_id) GROUP BY j.tenant_id, j.journal_id, j.line_count"
        " HAVING count(e.line) <> j.line_count OR sum(e.amount_minor) <> 0"
    )
    assert rows(conninfo, broken, tenant) == []


def age(database: TestDatabase, days: int) -> None:
    """Make everything that was posted so far this many days older, as if it had been posted then.

    As a superuser with every guard off, before anything of it is sealed or in a snapshot: ids carry
    their time, so journals, their lines and what refers to them move to the partitions of that time.
    """
    with psycopg.connect(database.superuser_conninfo) as connection:
        shift = timedelta(days=days)
        first = (datetime.now(UTC) - shift).date()
        connection.execute("SELECT ledger.ensure_partitions(%s, 2)", (first,))
        connection.execute("SET session_replication_role = replica")
        connection.execute(
            "CREATE FUNCTION pg_temp.older(id uuid, shift interval) RETURNS uuid LANGUAGE sql AS"
            " $$ SELECT (lpad(to_hex(('x0000' || left(replace(id::text, '-', ''), 12))::bit(64)"
            "::bigint - (extract(epoch FROM shift) * 1000)::bigint), 12, '0')"
            " || substr(replace(id::text, '-', ''), 13))::uuid $$"
        )
        connection.execute(
            "UPDATE ledger.journals SET journal_id = pg_temp.older(journal_id, %(by)s),"
            " reverses = pg_temp.older(reverses, %(by)s), recorded_at = recorded_at - %(by)s,"
            " effective_at = effective_at - %(by)s",
            {"by": shift},
        )
        for table in ("entries", "once"):
            connection.execute(
                sql.SQL("UPDATE ledger.{} SET journal_id = pg_temp.older(journal_id, %s)").format(
                    sql.Identifier(table)
                ),
                (shift,),
            )
        connection.execute(
            "UPDATE ledger.entries SET effective_day = effective_day - %s,"
            " effective_at = effective_at - %s",
            (days, shift),
        )
