"""What was written stays written: no role, the administrator included, changes history."""

from __future__ import annotations

import psycopg
import pytest

from tests.support.postgres import TestDatabase

#: Tables that are history. One that is added protects itself by `app.make_append_only`.
HISTORY = {
    "app.audit_log",
    "platform.transaction_versions",
    "platform.statements",
    "ledger.journals",
    "ledger.entries",
}


def test_history_is_guarded_against_every_change(database: TestDatabase) -> None:
    with psycopg.connect(database.superuser_conninfo) as connection:
        guarded = connection.execute(
            "SELECT format('%s.%s', n.nspname, c.relname), t.tgname::text"
            " FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid"
            " JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE t.tgname IN ('append_only', 'append_only_truncate') AND t.tgenabled <> 'D'"
        ).fetchall()
        may = connection.execute(
            "SELECT t, p FROM unnest(%s::text[]) t, unnest(ARRAY['UPDATE', 'DELETE', 'TRUNCATE']) p"
            " WHERE has_table_privilege('pardna_runtime', t, p)",
            (sorted(HISTORY),),
        ).fetchall()

    wanted = {(t, g) for t in HISTORY for g in ("append_only", "append_only_truncate")}
    assert wanted - set(guarded) == set()
    assert may == []


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE app.audit_log SET principal = 'nobody'",
        "DELETE FROM app.audit_log",
        "TRUNCATE app.audit_log",
    ],
)
def test_the_audit_log_refuses_even_the_superuser(database: TestDatabase, change: str) -> None:
    with psycopg.connect(database.superuser_conninfo, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO app.audit_log (tenant_id, principal, action, subject)"
            " VALUES ('kgn-one', 'ann', 'test.done', 'x')"
        )
        with pytest.raises(psycopg.errors.RestrictViolation, match="append-only"):
            connection.execute(change)
        assert connection.execute("SELECT principal FROM app.audit_log").fetchall() == [("ann",)]
