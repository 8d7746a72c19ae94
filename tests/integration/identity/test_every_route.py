"""Every route of the deployed API, found in the template: nobody looks into another's tenant.

A route that is added later is asked here without being listed here.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from pardna.identity.model import Role
from tests.support.deployed import deployed, join
from tests.support.handlers import Context
from tests.support.postgres import TestDatabase
from tests.template.reading import functions, handler_of

OURS, THEIRS = "harbour", "rival-union"
#: Without a login: the signature is the credential.
OPEN = {"/webhooks/{tenant_id}/{source_id}"}
VALUES = {
    "circle_id": "cir-0123456789abcdef0123",
    "round_number": "1",
    "approval_id": "apr-0123456789abcdef0123",
    "run_id": f"{OURS}-0123456789abcdef0123456789abcdef",
}
#: What routes read before they ask who is there.
BODIES: dict[str, dict[str, Any]] = {
    "POST /tenants": {"tenant_id": "new-one", "name": "New", "admin_principal": "eve"},
    "POST /tenants/{tenant_id}/memberships": {"principal": "ann", "roles": ["admin"]},
}


def routes() -> dict[str, tuple[str, str]]:
    """``METHOD /path`` -> area and module of its handler, for every route that needs a login."""
    found = {}
    for properties in functions().values():
        for event in properties.get("Events", {}).values():
            if event["Type"] == "Api" and event["Properties"]["Path"] not in OPEN:
                asked = event["Properties"]
                found[f"{asked['Method']} {asked['Path']}"] = handler_of(properties)
    return found


ROUTES = routes()
IN_A_TENANT = sorted(r for r in ROUTES if "{tenant_id}" in r)


def call(route: str, claims: dict[str, str], tenant_id: str = OURS) -> tuple[int, dict[str, Any]]:
    """Ask a route, with a body that says no more than it must."""
    area, name = ROUTES[route]
    handler = importlib.import_module(f"functions.{area}.{name}").handler
    method = route.partition(" ")[0]
    event = {
        "httpMethod": method,
        "pathParameters": {"tenant_id": tenant_id, **VALUES},
        "queryStringParameters": None,
        "headers": {},
        "body": json.dumps(BODIES.get(route, {})) if method == "POST" else None,
        "isBase64Encoded": False,
        "requestContext": {"requestId": "c-1", "authorizer": {"claims": claims}},
    }
    answer = handler(event, Context())
    return answer["statusCode"], json.loads(answer["body"])


@pytest.fixture
def town(database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two tenants; eve may do everything in theirs, and nothing in ours."""
    with deployed(database, monkeypatch):
        join("ann", "banker")
        join("eve", *(role.value for role in Role), tenant_id=THEIRS)
        yield


def test_routes_are_found() -> None:
    assert len(ROUTES) >= 15


def test_who_may_do_everything_elsewhere_may_do_nothing_here(town: None) -> None:
    for route in IN_A_TENANT:
        status, said = call(route, {"sub": "eve", "token_use": "id"})
        assert (status, said["code"]) == (403, "auth.not_permitted"), route
        assert set(said) == {"type", "title", "status", "detail", "code", "correlation_id"}, route


def test_a_tenant_that_does_not_exist_answers_like_one_that_does(town: None) -> None:
    for route in IN_A_TENANT:
        eve = {"sub": "eve", "token_use": "id"}
        assert call(route, eve, "no-such-tenant") == call(route, eve), route


def test_nobody_comes_in_without_an_id_token(town: None) -> None:
    for route in sorted(ROUTES):
        assert call(route, {})[0] == 401, route
        assert call(route, {"sub": "ann", "token_use": "access"})[0] == 401, route


@pytest.mark.parametrize("tenant_id", ["a\x00b", "harbour#", "T#harbour", "../harbour", "x" * 300])
def test_odd_tenants_are_refused_and_never_a_failure_of_ours(town: None, tenant_id: str) -> None:
    for route in IN_A_TENANT:
        assert call(route, {"sub": "eve", "token_use": "id"}, tenant_id)[0] in (400, 403), route
