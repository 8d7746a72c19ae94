"""API Gateway proxy events in, responses out: what every HTTP function shares."""

from __future__ import annotations

import base64
import binascii
import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from pardna.runtime import problem
from pardna.runtime.errors import InvalidInput, NotAuthenticated, PardnaError, TooLarge
from pardna.runtime.limits import API_PAYLOAD_BYTES_MAX
from pardna.runtime.observability import correlation_id, count, logger, observed

B = TypeVar("B", bound=BaseModel)
#: Characters of a path parameter.
PATH_VALUE_MAX = 200
Event = dict[str, Any]
Response = dict[str, Any]

_SECURE = {
    "content-type": "application/json",
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "strict-transport-security": "max-age=31536000",
}


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, read once: exact body bytes, lower-case header names.

    `repeated` are headers that were sent more than once (`headers` has their last value); `address`
    is the caller's, as API Gateway saw it, whatever a header claims.
    """

    path: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    principal: str
    groups: frozenset[str]
    correlation_id: str
    repeated: frozenset[str] = frozenset()
    address: str = ""

    def path_value(self, name: str) -> str:
        """A path parameter; raises InvalidInput when it is absent or cannot be a name of ours.

        No store takes every character (PostgreSQL no NUL), and no id of ours is longer.
        """
        value = self.path.get(name, "")
        if not (value.isprintable() and 1 <= len(value) <= PATH_VALUE_MAX):
            raise InvalidInput("request.path", f"{name} is not in the path, or not readable")
        return value

    def parse(self, model: type[B]) -> B:
        """The JSON body as a pydantic model; raises InvalidInput naming each wrong field.

        A NUL, which JSON can spell and PostgreSQL cannot keep, is refused wherever it stands.
        """
        if b"\\u0000" in self.body:
            raise InvalidInput("request.body", "a text holds a NUL")
        try:
            return model.model_validate_json(self.body or b"{}")
        except ValidationError as error:
            wrong = "; ".join(
                f"{'.'.join(map(str, e['loc'])) or 'body'}: {e['msg']}" for e in error.errors()[:10]
            )
            raise InvalidInput("request.body", wrong) from None


def raw_body(event: Mapping[str, Any]) -> bytes:
    """The exact bytes that were sent, also when API Gateway encoded them.

    Raises InvalidInput for a body that says it is base64 and is not, and for half a surrogate pair;
    TooLarge above 10 MB.
    """
    body = event.get("body") or ""
    if event.get("isBase64Encoded"):
        try:
            data = base64.b64decode(body, validate=True)
        except (binascii.Error, ValueError):
            raise InvalidInput("request.base64", "the body is not the base64 it claims") from None
    else:
        try:
            data = body.encode("utf-8", "surrogateescape") if isinstance(body, str) else bytes(body)
        except UnicodeEncodeError:
            raise InvalidInput("request.text", "the body is not text that was sent") from None
    if len(data) > API_PAYLOAD_BYTES_MAX:
        raise TooLarge("request.too_large", "a body has at most 10 MB")
    return data


def parse_request(event: Mapping[str, Any], context: Any) -> Request:
    """A `Request` from a proxy event; the principal is empty on routes without authorizer."""
    claims = ((event.get("requestContext") or {}).get("authorizer") or {}).get("claims") or {}
    if claims and claims.get("token_use") != "id":
        raise NotAuthenticated("auth.wrong_token", "send the id token, not the access token")
    return Request(
        path=event.get("pathParameters") or {},
        query=event.get("queryStringParameters") or {},
        headers={str(k).lower(): str(v) for k, v in (event.get("headers") or {}).items()},
        body=raw_body(event),
        principal=str(claims.get("sub", "")),
        groups=_groups(claims.get("cognito:groups", "")),
        correlation_id=correlation_id(event, context),
        repeated=_repeated(event),
        address=str(
            ((event.get("requestContext") or {}).get("identity") or {}).get("sourceIp") or ""
        ),
    )


def _repeated(event: Mapping[str, Any]) -> frozenset[str]:
    """Names of headers that stand twice, also in different cases."""
    many = event.get("multiValueHeaders") or {}
    names = [str(n).lower() for n in event.get("headers") or {}]
    twice = {n for n in names if names.count(n) > 1}
    twice |= {str(n).lower() for n, values in many.items() if len(values or ()) > 1}
    return frozenset(twice)


def _groups(claim: object) -> frozenset[str]:
    """Cognito's groups: a list, ``a,b``, or as the proxy prints a list, ``[a b]``."""
    if isinstance(claim, list):
        return frozenset(map(str, claim))
    return frozenset(str(claim).strip("[]").replace(",", " ").split())


def respond(status: int, body: Mapping[str, Any] | None = None, **headers: str) -> Response:
    """A JSON response; header names are given with underscores."""
    return {
        "statusCode": status,
        "headers": _SECURE | {k.replace("_", "-"): v for k, v in headers.items()},
        "body": json.dumps(body if body is not None else {}, sort_keys=True),
        "isBase64Encoded": False,
    }


def api(route: Callable[[Request], Response]) -> Callable[[Event, Any], Response]:
    """Make a Lambda handler of a route: request in, response out, expected errors as problems.

    Unknown errors answer 500 without a word about their cause, and are logged with traceback.
    """

    @functools.wraps(route)
    def handler(event: Event, context: Any) -> Response:
        cause = correlation_id(event, context)
        try:
            return route(parse_request(event, context))
        except PardnaError as error:
            logger.info("Request refused", error_code=error.code)
            count("RequestRefused")
            return problem.to_response(error, cause)
        except Exception:  # noqa: BLE001  (the last door: a caller gets an answer, the log the cause)
            logger.exception("Request failed")
            count("RequestFailed")
            unknown = PardnaError("internal", "Try again; quote the correlation id if it persists.")
            return problem.to_response(unknown, cause)

    return observed(handler)
