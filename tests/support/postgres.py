"""A real PostgreSQL for tests: embedded, on a loopback port, with a migrated template to clone."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg import sql

from local.postgres_server import ADMIN, SUPERUSER, PostgresServer
from local.serving import free_port
from pardna.database import migrate
from pardna.database.session import Database

TEMPLATE = "pardna_template"
PASSWORD = "only-for-tests"


@dataclass
class TestDatabase:
    """One migrated database: as the product sees it, and as attackers and administrators do."""

    __test__ = False

    server: PostgresServer
    name: str
    sessions: list[Database] = field(default_factory=list)

    @property
    def runtime_conninfo(self) -> str:
        """As the product connects."""
        return self.server.conninfo(self.name, migrate.RUNTIME)

    @property
    def admin_conninfo(self) -> str:
        """As the migration runner connects."""
        return self.server.conninfo(self.name, ADMIN)

    @property
    def superuser_conninfo(self) -> str:
        """For looking behind row-level security in assertions only."""
        return self.server.conninfo(self.name, SUPERUSER)

    def session(self) -> Database:
        """The product's own door, as the runtime role."""
        self.sessions.append(Database(lambda: self.runtime_conninfo))
        return self.sessions[-1]


class Cluster:
    """One server; `clone` gives each test a database of its own."""

    def __init__(self, server: PostgresServer) -> None:
        self.server = server

    def make_template(self) -> None:
        """Migrate once; every test clones the result."""
        self.server.create_database(TEMPLATE)
        migrate.apply(self.server.conninfo(TEMPLATE, ADMIN), runtime_password=PASSWORD)

    def clone(self, name: str) -> TestDatabase:
        """A fresh copy of the migrated template."""
        self.server.create_database(name, template=TEMPLATE)
        return TestDatabase(self.server, name)

    def drop(self, database: TestDatabase) -> None:
        """Remove a clone and whoever is still connected to it."""
        for session in database.sessions:
            session.close()
        with psycopg.connect(
            self.server.conninfo("postgres", SUPERUSER), autocommit=True
        ) as connection:
            connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(
                    sql.Identifier(database.name)
                )
            )


#: Where Linux keeps files in memory, and how much of it must be free.
SHARED_MEMORY, FREE_BYTES_MIN = Path("/dev/shm"), 2 * 1024**3


def in_memory() -> Path | None:
    """A folder in memory, where a clone costs a tenth of what it costs on a disk; None: no room."""
    if not (SHARED_MEMORY.is_dir() and os.access(SHARED_MEMORY, os.W_OK)):
        return None
    return SHARED_MEMORY if shutil.disk_usage(SHARED_MEMORY).free > FREE_BYTES_MIN else None


@contextmanager
def running_server(
    settings: tuple[str, ...] = ("fsync=off",), within: Path | None = None
) -> Iterator[PostgresServer]:
    """A server in a folder of its own, gone afterwards. fsync is off: tests lose power on purpose only."""
    folder = Path(tempfile.mkdtemp(prefix="pardna-pg-", dir=within))
    folder.chmod(0o755)
    server = PostgresServer(folder / "data", free_port(), PASSWORD, settings)
    try:
        server.start()
        yield server
    finally:
        server.stop("immediate")
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running_cluster(within: Path | None = None) -> Iterator[Cluster]:
    """A server with the migrated template, in a folder `within` or where temporary files are."""
    settings = ("fsync=off", *(["max_wal_size=256MB"] if within else []))
    with running_server(settings, within) as server:
        cluster = Cluster(server)
        cluster.make_template()
        yield cluster
