"""The home's PostgreSQL: a server on a loopback port, with the database that the product uses."""

from __future__ import annotations

import signal

from local.console import HomeError
from local.postgres_server import ADMIN, SUPERUSER, PostgresServer
from local.processes import Child, adopt
from local.state import Paths, State

DATABASE = "pardna"
#: Durability against power loss is worth nothing here and costs a sync for each commit.
SETTINGS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "shared_buffers=64MB")
#: How PostgreSQL is asked to stop at once, cutting its clients off.
STOP_SIGNAL = signal.SIGINT


def start(paths: Paths, state: State) -> Child:
    """Make the data folder and start the server; HomeError with its log's end if it cannot."""
    folder = paths.run / "postgres"
    server = PostgresServer(folder, state.ports["postgres"], state.secrets["postgres"], SETTINGS)
    try:
        server.start()
    except (OSError, RuntimeError) as error:
        raise HomeError(f"PostgreSQL did not start: {error}") from None
    return adopt("postgres", server.pid, mark=str(folder), log=server.log)


def create_database(paths: Paths, state: State) -> None:
    """The database and its administrator: like RDS's master user, it is no superuser."""
    folder = paths.run / "postgres"
    server = PostgresServer(folder, state.ports["postgres"], state.secrets["postgres"])
    server.create_database(DATABASE)


def runtime_url(state: State) -> str:
    """As the product connects."""
    return _url(state, "pardna_runtime", state.secrets["runtime"])


def admin_url(state: State) -> str:
    """As migrations connect."""
    return _url(state, ADMIN, state.secrets["postgres"])


def superuser_url(state: State) -> str:
    """As somebody who sees every tenant."""
    return _url(state, SUPERUSER, state.secrets["postgres"])


def _url(state: State, user: str, password: str) -> str:
    # The passwords are URL-safe by construction.
    return f"postgresql://{user}:{password}@127.0.0.1:{state.ports['postgres']}/{DATABASE}"
