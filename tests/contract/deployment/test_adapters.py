"""A real PostgreSQL is migrated, and a real HTTP server takes the answers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from psycopg.conninfo import conninfo_to_dict

from pardna.deployment.cloudformation import SignedUrlAnswers
from pardna.deployment.postgres import PostgresSchema, from_settings
from pardna.runtime.errors import Unavailable
from pardna.runtime.settings import parse
from tests.support.postgres import TestDatabase


class Bucket(HTTPServer):
    """Answers with the statuses it was given, then 200; keeps what arrived."""

    def __init__(self, *statuses: int) -> None:
        super().__init__(("127.0.0.1", 0), Request)
        self.statuses = list(statuses)
        self.taken: list[tuple[str, str, bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/signed?Signature=secret"


class Request(BaseHTTPRequestHandler):
    server: Bucket

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        status = self.server.statuses.pop(0) if self.server.statuses else 200
        if status == 200:
            self.server.taken.append((self.path, self.headers["content-type"], body))
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@pytest.fixture
def bucket(request: pytest.FixtureRequest) -> Iterator[Bucket]:
    server = Bucket(*getattr(request, "param", ()))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_answer_is_put_with_the_content_type_that_was_signed(bucket: Bucket) -> None:
    SignedUrlAnswers().send(bucket.url, b"{}")

    assert bucket.taken == [("/signed?Signature=secret", "", b"{}")]


@pytest.mark.parametrize("bucket", [(500, 503)], indirect=True)
def test_an_answer_is_repeated_until_it_is_taken(bucket: Bucket) -> None:
    SignedUrlAnswers(pause_seconds=0).send(bucket.url, b"{}")

    assert len(bucket.taken) == 1


@pytest.mark.parametrize("bucket", [(403,) * 9], indirect=True)
def test_an_answer_that_nobody_takes_is_an_error_without_the_signature(bucket: Bucket) -> None:
    with pytest.raises(Unavailable, match="403") as failed:
        SignedUrlAnswers(pause_seconds=0).send(bucket.url, b"{}")

    assert "Signature" not in str(failed.value)


def test_a_database_is_migrated_once(database: TestDatabase) -> None:
    schema = PostgresSchema(lambda: database.admin_conninfo)

    assert schema.migrate() == []


def test_a_database_that_is_not_there_is_unavailable_and_unnamed() -> None:
    nowhere = "host=127.0.0.1 port=1 user=pardna_admin password=hunter2 connect_timeout=2"
    with pytest.raises(Unavailable) as failed:
        PostgresSchema(lambda: nowhere).migrate()

    assert "pardna_admin" not in str(failed.value)


def test_in_aws_the_administrator_signs_in_by_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    in_aws = parse({"DATABASE_HOST": "cluster.example", "DATABASE_ADMIN_USER": "pardna_admin"})
    said = conninfo_to_dict(from_settings(in_aws)._admin_conninfo())

    assert (said["host"], said["user"], said["sslmode"]) == (
        "cluster.example",
        "pardna_admin",
        "require",
    )
    assert "X-Amz-Signature" in str(said["password"])


def test_on_a_laptop_the_runtime_role_gets_the_password_of_its_own_url() -> None:
    urls = {
        "DATABASE_URL": "postgresql://pardna_runtime:p%40ss@127.0.0.1:1/pardna",
        "DATABASE_ADMIN_URL": "postgresql://admin:other@127.0.0.1:1/pardna",
    }
    schema = from_settings(parse(urls))

    assert schema._runtime_password == "p@ss"
    assert schema._admin_conninfo() == urls["DATABASE_ADMIN_URL"]
