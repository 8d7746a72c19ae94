"""One way into PostgreSQL: a transaction that has entered a tenant.

Behind RDS Proxy a connection is shared between transactions, so nothing may be set for the
session: no prepared statements, no ``options=``, no ``SET``. `app.enter` sets tenant and principal
for the transaction only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import local

import psycopg
from psycopg.rows import TupleRow

from pardna.runtime.errors import Unavailable
from pardna.runtime.settings import Settings

Connection = psycopg.Connection[TupleRow]


class Database:
    """Connections to one database, one per thread, reopened when they have died.

    `conninfo` is called for every new connection, because an IAM token lives 15 minutes.
    """

    def __init__(self, conninfo: Callable[[], str]) -> None:
        self._conninfo = conninfo
        self._held = local()
        self._opened: list[Connection] = []

    @contextmanager
    def transaction(self, tenant_id: str, principal: str) -> Iterator[Connection]:
        """A transaction that sees `tenant_id`'s rows only; commits at the end, else rolls back.

        Raises Unavailable when the database cannot be reached or went away.
        """
        connection = self._connection()
        try:
            with connection.transaction():
                connection.execute("SELECT app.enter(%s, %s)", (tenant_id, principal))
                yield connection
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            connection.close()
            raise Unavailable("database.unavailable", "the database did not answer") from error

    def close(self) -> None:
        """Close every connection that any thread opened."""
        while self._opened:
            self._opened.pop().close()

    def _connection(self) -> Connection:
        held: Connection | None = getattr(self._held, "connection", None)
        if held is None or held.closed or held.broken:
            dead = held
            try:
                held = psycopg.connect(
                    self._conninfo(), autocommit=True, prepare_threshold=None, connect_timeout=5
                )
            except psycopg.OperationalError as error:
                raise Unavailable("database.unavailable", "the database did not answer") from error
            if dead is not None and dead in self._opened:  # it is not, when `close` was faster
                self._opened.remove(dead)
            self._held.connection = held
            self._opened.append(held)  # one step: other threads open theirs meanwhile
        return held


def from_settings(settings: Settings) -> Database:
    """The database that the settings name: a URL on a laptop, a signed token in AWS."""
    if settings.database_url:
        return Database(lambda: settings.database_url)
    return Database(lambda: _signed_conninfo(settings))


def _signed_conninfo(settings: Settings) -> str:
    """Connection string with an IAM token, signed here without a call to the network."""
    from pardna.runtime.clients import client

    token = client("rds").generate_db_auth_token(
        DBHostname=settings.need("database_host"),
        Port=settings.database_port,
        DBUsername=settings.database_user,
        Region=settings.aws_region,
    )
    return psycopg.conninfo.make_conninfo(
        host=settings.database_host,
        port=settings.database_port,
        dbname=settings.database_name,
        user=settings.database_user,
        password=token,
        sslmode="require",
    )
