"""Handlers in-process: a context, and an API Gateway proxy event."""

from __future__ import annotations

from typing import Any


class Context:
    """What Lambda gives a function."""

    aws_request_id = "r-1"
    function_name = "test"
    memory_limit_in_mb = 256
    invoked_function_arn = "arn:aws:lambda:us-east-1:000000000000:function:test"

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


def a_request(
    body: str = "",
    *,
    path: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
    base64: bool = False,
    principal: str = "",
) -> dict[str, Any]:
    """A REST proxy event, version 1.0."""
    claims = {"sub": principal, "token_use": "id"} if principal else {}
    return {
        "pathParameters": path or {},
        "queryStringParameters": None,
        "headers": headers or {},
        "body": body,
        "isBase64Encoded": base64,
        "requestContext": {"requestId": "c-1", "authorizer": {"claims": claims}},
    }
