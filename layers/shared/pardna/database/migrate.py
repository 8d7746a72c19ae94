"""The migration runner, shared by the deployment, the laptop home and the tests.

A migration is a numbered folder ``migrations/NNNN_name`` with ``up.sql`` and, optionally,
``check.sql``, a query whose rows are what is wrong afterwards. Each is applied once, in order, in a
transaction of its own, as `pardna_owner`, and its text is remembered: a migration that was applied
and then changed is refused, because two databases would differ without anyone knowing.

Roles. The runner connects as an administrator (RDS's master user, which is no superuser; on a
laptop a role like it). `pardna_owner` owns everything, cannot log in, and neither is superuser nor
bypasses row-level security. `pardna_runtime` logs in and owns nothing.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow

from pardna.runtime.errors import Conflict, PardnaError

MIGRATIONS = Path(__file__).parent / "migrations"
OWNER = "pardna_owner"
RUNTIME = "pardna_runtime"
_NAME = re.compile(r"\d{4}_[a-z0-9_]+")
#: Any number will do, as long as nothing else in the database takes the same one.
_LOCK = 7_273_620


class MigrationFailed(PardnaError):
    """A migration's SQL failed or its check found something; nothing of it was kept."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered folder: its name, its SQL, and the SHA-256 of that SQL."""

    name: str
    up: str
    check: str

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.up.encode()).hexdigest()


def load(folder: Path = MIGRATIONS) -> list[Migration]:
    """All migrations in order; raises ValueError for a folder that does not fit the scheme."""
    found = []
    for path in sorted(p for p in folder.iterdir() if p.is_dir() and p.name != "__pycache__"):
        if not _NAME.fullmatch(path.name):
            raise ValueError(f"{path.name} is not NNNN_name")
        check = path / "check.sql"
        found.append(
            Migration(
                name=path.name,
                up=(path / "up.sql").read_text(encoding="utf-8"),
                check=check.read_text(encoding="utf-8") if check.exists() else "",
            )
        )
    numbers = [m.name[:4] for m in found]
    if len(set(numbers)) != len(numbers):
        raise ValueError("two migrations have the same number")
    return found


def latest(folder: Path = MIGRATIONS) -> str:
    """Name of the last migration: what the deployment passes so that a new one runs the runner."""
    return load(folder)[-1].name


def apply(admin_conninfo: str, runtime_password: str = "", folder: Path = MIGRATIONS) -> list[str]:
    """Bring the database up to date; returns the names applied now, in order.

    `runtime_password` is for homes without IAM; in AWS it stays empty and `rds_iam` is granted.
    Two runners at once wait for each other. Raises MigrationFailed or Conflict
    (``migration.changed``, ``migration.order``).
    """
    migrations = load(folder)
    with psycopg.connect(admin_conninfo, autocommit=True, prepare_threshold=None) as connection:
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
            _prepare(connection, runtime_password)
        return [m.name for m in migrations if _apply_one(connection, m)]


def _prepare(connection: psycopg.Connection[TupleRow], runtime_password: str) -> None:
    """Roles, their membership, and the runner's own table; repeatable."""
    roles = {row[0] for row in connection.execute("SELECT rolname FROM pg_roles")}
    if OWNER not in roles:
        connection.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(OWNER)))
    if RUNTIME not in roles:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(RUNTIME)))
    connection.execute(
        sql.SQL("GRANT {} TO CURRENT_USER WITH SET TRUE, INHERIT FALSE").format(
            sql.Identifier(OWNER)
        )
    )
    if runtime_password:
        connection.execute(
            sql.SQL("ALTER ROLE {} PASSWORD {}").format(
                sql.Identifier(RUNTIME), sql.Literal(runtime_password)
            )
        )
    elif "rds_iam" in roles:
        connection.execute(sql.SQL("GRANT rds_iam TO {}").format(sql.Identifier(RUNTIME)))
    database = connection.info.dbname
    connection.execute(
        sql.SQL("GRANT CREATE, CONNECT, TEMPORARY ON DATABASE {} TO {}").format(
            sql.Identifier(database), sql.Identifier(OWNER)
        )
    )
    connection.execute(
        sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(database))
    )
    # Temporary tables are what large deliveries are copied into; they hold nothing of others.
    connection.execute(
        sql.SQL("GRANT CONNECT, TEMPORARY ON DATABASE {} TO {}").format(
            sql.Identifier(database), sql.Identifier(RUNTIME)
        )
    )
    connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(OWNER)))
    connection.execute("CREATE SCHEMA IF NOT EXISTS app")
    connection.execute(
        "CREATE TABLE IF NOT EXISTS app.migrations ("
        " name text PRIMARY KEY, digest text NOT NULL,"
        " applied_at timestamptz NOT NULL DEFAULT clock_timestamp())"
    )


def _apply_one(connection: psycopg.Connection[TupleRow], migration: Migration) -> bool:
    """Apply one migration unless it was; True when it was applied now."""
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(OWNER)))
        known: dict[str, str] = dict(
            connection.execute("SELECT name, digest FROM app.migrations").fetchall()
        )
        if migration.name in known:
            if known[migration.name] != migration.digest:
                raise Conflict(
                    "migration.changed",
                    f"{migration.name} was applied with other text; write a new migration instead",
                )
            return False
        later = [name for name in known if name > migration.name]
        if later:
            raise Conflict(
                "migration.order", f"{migration.name} comes before {later[0]}, which was applied"
            )
        try:
            connection.execute(migration.up.encode())
            wrong = (
                connection.execute(migration.check.encode()).fetchall() if migration.check else []
            )
        except psycopg.Error as error:
            raise MigrationFailed("migration.failed", f"{migration.name}: {error}") from error
        if wrong:
            raise MigrationFailed("migration.check", f"{migration.name}: {wrong[:5]}")
        connection.execute(
            "INSERT INTO app.migrations (name, digest) VALUES (%s, %s)",
            (migration.name, migration.digest),
        )
    return True
