"""The schema in PostgreSQL, signed in to as the administrator."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pardna.database import migrate
from pardna.runtime.errors import Unavailable
from pardna.runtime.settings import Settings


class PostgresSchema:
    """`Schema` over the migration runner."""

    def __init__(self, admin_conninfo: Callable[[], str], runtime_password: str = "") -> None:
        self._admin_conninfo = admin_conninfo
        self._runtime_password = runtime_password

    def migrate(self) -> list[str]:
        """See `Schema`."""
        try:
            return migrate.apply(self._admin_conninfo(), self._runtime_password)
        except psycopg.OperationalError as error:
            # psycopg names host and user in its text, so the text stays here.
            raise Unavailable("database.unavailable", "the database did not answer") from error


def from_settings(settings: Settings) -> PostgresSchema:
    """The administrator's way in: a URL on a laptop, an IAM token in AWS."""
    if settings.database_admin_url:
        password = conninfo_to_dict(settings.database_url).get("password") or ""
        return PostgresSchema(lambda: settings.database_admin_url, str(password))
    return PostgresSchema(lambda: _aws_conninfo(settings))


def _aws_conninfo(settings: Settings) -> str:
    from pardna.runtime.clients import client

    user = settings.need("database_admin_user")
    token = client("rds").generate_db_auth_token(
        DBHostname=settings.need("database_host"),
        Port=settings.database_port,
        DBUsername=user,
        Region=settings.aws_region,
    )
    return make_conninfo(
        host=settings.need("database_host"),
        port=settings.database_port,
        dbname=settings.database_name,
        user=user,
        password=token,
        sslmode="require",
        connect_timeout=30,  # Aurora at capacity 0 takes its time to wake
    )
