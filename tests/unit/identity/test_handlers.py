"""The handlers on their sample events, wired to a table in moto."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from moto import mock_aws

from functions.identity import add_member, create_tenant
from pardna.identity import wiring
from pardna.runtime import clients, settings
from tests.contract.identity.test_directory import table

EVENTS = Path(__file__).parents[3] / "events" / "identity"
CONTEXT = SimpleNamespace(aws_request_id="a-request", function_name="test")


@pytest.fixture(autouse=True)
def directory(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    cached = (settings.settings, clients.client, wiring.access, wiring.tenancy, wiring._directory)
    with mock_aws():
        table()
        monkeypatch.setenv("DIRECTORY_TABLE", "directory")
        for function in cached:
            function.cache_clear()
        yield
    for function in cached:
        function.cache_clear()


def sample(name: str, **changes: Any) -> dict[str, Any]:
    event: dict[str, Any] = json.loads((EVENTS / f"{name}.request.json").read_text())
    return event | changes


def answered(response: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    return response["statusCode"], json.loads(response["body"])


def test_a_tenant_is_opened_and_a_member_added() -> None:
    opened = answered(create_tenant.handler(sample("create_tenant"), CONTEXT))
    added = answered(add_member.handler(sample("add_member"), CONTEXT))

    assert opened == (
        201,
        {"tenant_id": "kingston", "admin_principal": "1f0a8c1e-0000-4000-8000-0000000000aa"},
    )
    assert added == (
        201,
        {
            "tenant_id": "kingston",
            "principal": "1f0a8c1e-0000-4000-8000-0000000000bb",
            "roles": ["banker"],
        },
    )


def test_an_access_token_is_no_id_token() -> None:
    claims = {"sub": "x", "token_use": "access", "cognito:groups": "platform"}
    event = sample("create_tenant", requestContext={"authorizer": {"claims": claims}})

    status, body = answered(create_tenant.handler(event, CONTEXT))
    assert (status, body["code"]) == (401, "auth.wrong_token")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ('{"tenant_id": "kingston"}', "request.body"),
        ('{"tenant_id": "Kingston!", "name": "K"}', "identity.tenant_id"),
        ('{"tenant_id": "kingston", "name": "K", "free": true}', "request.body"),
        ("no json", "request.body"),
    ],
)
def test_a_body_that_cannot_be_read_is_named(body: str, code: str) -> None:
    status, said = answered(create_tenant.handler(sample("create_tenant", body=body), CONTEXT))

    assert (status, said["code"]) == (400, code)


def test_nobody_is_added_where_the_caller_is_unknown() -> None:
    status, said = answered(add_member.handler(sample("add_member"), CONTEXT))

    assert (status, said["code"]) == (403, "auth.not_permitted")
