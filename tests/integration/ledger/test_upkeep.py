"""The schedule's work, twice and by two at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from pardna.ledger.export import export_lines
from pardna.ledger.postgres_upkeep import PostgresUpkeep
from pardna.ledger.upkeep import Kept, keep
from pardna.ledger.verify import verify_export
from pardna.runtime.clock import utc_now
from tests.support.ledger import TENANT, assert_sound, document, entered, open_accounts, post, rows
from tests.support.postgres import TestDatabase

HOLD = (
    'SELECT ledger.hold(\'[{"key": "h", "debit": "a", "credit": "b", "currency": "JMD",'
    ' "amount_minor": 5, "expires_at": "%s"}]\')'
)


def test_upkeep_is_done_once_however_often(database: TestDatabase) -> None:
    runtime = database.runtime_conninfo
    open_accounts(runtime, "a", "b")
    soon = datetime.now(UTC) + timedelta(seconds=2)
    with entered(runtime) as connection:
        post(connection, [document("1", "a", "b", 5)])
        connection.execute(HOLD.replace("%s", soon.isoformat()).encode())
    with entered(runtime) as connection:
        connection.execute("SELECT pg_sleep(2.1)")

    def run(_: int) -> Kept:
        session = database.session()
        done = keep(PostgresUpkeep(session), TENANT, utc_now)
        session.close()
        return done

    with ThreadPoolExecutor(3) as pool:
        first = list(pool.map(run, range(3)))
    assert sum(done.holds_expired for done in first) == 1
    again = run(0)
    assert (again.months, again.holds_expired, again.accounts_moved) == (0, 0, 0)
    blocks = sum(done.blocks_sealed for done in [*first, again])
    while not blocks:  # the server's own housekeeping may hold sealing back for a moment
        blocks += run(0).blocks_sealed
    assert blocks == 1
    assert rows(runtime, "SELECT count(*) FROM ledger.snapshot_days") == [(1,)]
    with entered(runtime) as connection:
        assert verify_export(export_lines(connection, TENANT)) is None
    assert_sound(runtime)
