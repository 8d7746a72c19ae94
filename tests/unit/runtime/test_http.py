"""Requests in, responses out, errors as problems."""

from __future__ import annotations

import base64
import json
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from pardna.runtime.errors import Conflict, InvalidInput, TooLarge
from pardna.runtime.http import Request, Response, api, parse_request, raw_body, respond

CONTEXT = SimpleNamespace(
    aws_request_id="r1", function_name="f", memory_limit_in_mb=128, invoked_function_arn="arn"
)


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    amount_minor: int


def an_event(**changes: Any) -> dict[str, Any]:
    return {"headers": {}, "body": "{}", "isBase64Encoded": False, **changes}


def test_bytes_arrive_as_they_were_sent() -> None:
    raw = b"\xff\x00caf\xc3\xa9"
    encoded = an_event(body=base64.b64encode(raw).decode(), isBase64Encoded=True)
    assert raw_body(encoded) == raw
    assert raw_body(an_event(body="café")) == "café".encode()
    assert raw_body(an_event(body=None)) == b""


def test_a_body_that_is_not_the_base64_it_claims_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"request\.base64"):
        raw_body(an_event(body="***", isBase64Encoded=True))


def test_a_nul_that_json_can_spell_is_refused() -> None:
    class Named(BaseModel):
        name: str

    request = parse_request(an_event(body=json.dumps({"name": "a\x00b"})), CONTEXT)
    with pytest.raises(InvalidInput, match=r"request\.body"):
        request.parse(Named)


def test_half_a_surrogate_pair_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"request\.text"):
        raw_body(an_event(body="\ud800"))


@pytest.mark.parametrize("value", ["", "a\x00b", "a\nb", "\x7f", "\u2028", "x" * 201])
def test_a_path_that_no_store_takes_is_refused(value: str) -> None:
    request = parse_request(an_event(pathParameters={"circle_id": value}), CONTEXT)
    with pytest.raises(InvalidInput, match=r"request\.path"):
        request.path_value("circle_id")


def test_a_body_over_ten_megabytes_is_refused() -> None:
    with pytest.raises(TooLarge):
        raw_body(an_event(body="x" * (10 * 2**20 + 1)))


@pytest.mark.parametrize("use", [{"token_use": "access"}, {"token_use": ""}, {}])
def test_an_access_token_is_not_an_id_token(use: dict[str, str]) -> None:
    claims = {"sub": "u1", **use}
    event = an_event(requestContext={"authorizer": {"claims": claims}})
    response = api(lambda request: respond(200, {"who": request.principal}))(event, CONTEXT)
    assert response["statusCode"] == 401


@pytest.mark.parametrize("groups", ["[ops platform]", "ops,platform", ["ops", "platform"]])
def test_groups_are_read_however_they_are_printed(groups: object) -> None:
    claims = {"sub": "u1", "token_use": "id", "cognito:groups": groups}
    event = an_event(requestContext={"authorizer": {"claims": claims}})
    assert parse_request(event, CONTEXT).groups == {"ops", "platform"}


def test_wrong_fields_are_named() -> None:
    def route(request: Request) -> Response:
        request.parse(Body)
        return respond(200)

    answer = api(route)(an_event(body='{"amount_minor": "5", "x": 1}'), CONTEXT)
    assert answer["statusCode"] == 400
    problem = json.loads(answer["body"])
    assert problem["code"] == "request.body"
    assert "amount_minor" in problem["detail"]
    assert answer["headers"]["content-type"] == "application/problem+json"


def test_expected_errors_are_problems_with_their_code() -> None:
    def route(_: Request) -> Response:
        raise Conflict("payout.already_paid", "It was paid.", payout_id="p1")

    answer = api(route)(an_event(headers={"X-Correlation-Id": "abc"}), CONTEXT)
    assert answer["statusCode"] == 409
    problem = json.loads(answer["body"])
    assert (problem["code"], problem["payout_id"]) == ("payout.already_paid", "p1")
    assert problem["correlation_id"] == "abc"


def test_unknown_errors_say_nothing_of_their_cause() -> None:
    def route(_: Request) -> Response:
        raise RuntimeError("password=hunter2")

    answer = api(route)(an_event(), CONTEXT)
    assert answer["statusCode"] == 500
    assert "hunter2" not in answer["body"]


@pytest.mark.parametrize("given", ["x" * 65, "a\nb", ""])
def test_a_correlation_id_that_could_forge_log_lines_is_not_taken(given: str) -> None:
    request = parse_request(an_event(headers={"x-correlation-id": given}), CONTEXT)
    assert request.correlation_id == "r1"


def test_headers_that_come_twice_are_known_and_the_address_is_the_gateways() -> None:
    event: dict[str, Any] = {
        "headers": {"X-Sig": "b", "X-One": "1", "x-ONE": "2", "X-Forwarded-For": "192.0.2.1"},
        "multiValueHeaders": {"X-Sig": ["a", "b"], "X-Once": ["1"], "X-None": None},
        "requestContext": {"requestId": "c-1", "identity": {"sourceIp": "198.51.100.1"}},
    }
    request = parse_request(event, SimpleNamespace())
    assert request.repeated == {"x-sig", "x-one"}
    assert request.address == "198.51.100.1"
    bare = parse_request({"requestContext": {"identity": None}}, SimpleNamespace())
    assert (bare.repeated, bare.address) == (frozenset(), "")
