"""Killed in the middle: by the client, by its backend, by the whole server. A retry has one effect."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from local.postgres_server import PostgresServer
from pardna.database import migrate
from tests.support.ledger import assert_sound, balances, document, entered, open_accounts, post
from tests.support.postgres import PASSWORD, TestDatabase, running_server

BATCH = [document(f"k{i}", "a", "b", 1 + i) for i in range(200)]
TOTAL = sum(1 + i for i in range(200))


@pytest.fixture(scope="module")
def durable() -> Iterator[TestDatabase]:
    """A server of the module's own, with fsync on: it is going to be killed."""
    with running_server(settings=()) as server:
        server.create_database("crash")
        database = TestDatabase(server, "crash")
        migrate.apply(database.admin_conninfo, runtime_password=PASSWORD)
        yield database


def restart(server: PostgresServer, killed: int) -> None:
    """Start again once the killed server's processes are gone.

    A postmaster that nobody has reaped still answers to its process id, which its lock file holds:
    the file is removed when that process is gone or a zombie, as an operator would.
    """
    for _ in range(200):
        stat = Path(f"/proc/{killed}/stat")
        if not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z":
            break
        time.sleep(0.05)
    (server.folder / "postmaster.pid").unlink(missing_ok=True)
    for _ in range(50):
        try:
            return server.start()
        except RuntimeError:  # backends of the killed server still hold its shared memory
            time.sleep(0.2)
    return server.start()


def test_a_client_that_dies_before_commit_leaves_nothing(database: TestDatabase) -> None:
    runtime = database.runtime_conninfo
    open_accounts(runtime, "a", "b")
    connection = psycopg.connect(runtime)
    connection.execute("SELECT app.enter('acme', 'me')")
    assert set(post(connection, BATCH)) == {"posted"}
    connection.close()  # no commit was sent
    assert balances(runtime) == {}
    assert_sound(runtime)
    with entered(runtime) as again:
        assert set(post(again, BATCH)) == {"posted"}
    assert balances(runtime) == {"a": TOTAL, "b": -TOTAL}


def test_a_backend_that_is_terminated_leaves_nothing(database: TestDatabase) -> None:
    runtime = database.runtime_conninfo
    open_accounts(runtime, "a", "b")
    connection = psycopg.connect(runtime)
    connection.execute("SELECT app.enter('acme', 'me')")
    post(connection, BATCH)
    with psycopg.connect(database.superuser_conninfo, autocommit=True) as killer:
        killer.execute("SELECT pg_terminate_backend(%s, 10000)", (connection.info.backend_pid,))
    with pytest.raises(psycopg.OperationalError):
        connection.commit()
    connection.close()
    assert_sound(runtime)
    with entered(runtime) as again:
        assert set(post(again, BATCH)) == {"posted"}
    assert_sound(runtime)


def test_a_server_that_is_killed_keeps_what_it_confirmed_and_nothing_else(
    durable: TestDatabase,
) -> None:
    runtime = durable.runtime_conninfo
    open_accounts(runtime, "a", "b")
    with entered(runtime) as confirmed:
        assert set(post(confirmed, BATCH[:50])) == {"posted"}
    connection = psycopg.connect(runtime)
    connection.execute("SELECT app.enter('acme', 'me')")
    assert set(post(connection, BATCH[50:])) == {"posted"}

    killed = durable.server.pid
    os.kill(killed, signal.SIGKILL)
    with pytest.raises(psycopg.OperationalError):
        connection.execute("SELECT pg_sleep(60)")
    connection.close()
    restart(durable.server, killed)

    assert balances(runtime)["a"] == sum(1 + i for i in range(50))
    assert_sound(runtime)
    with entered(runtime) as again:
        answers = post(again, BATCH)
    assert answers == ["already_posted"] * 50 + ["posted"] * 150
    assert balances(runtime) == {"a": TOTAL, "b": -TOTAL}
    assert_sound(runtime)
