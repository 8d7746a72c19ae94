"""Calls to DynamoDB whose bodies are written already: signed, sent, and tried again.

A client of boto3 walks through its model, its parsers and some sixty events for every call; for many
calls of 100 items each that is most of what they cost. Credentials, signature, address, connections
and the events of sending stay botocore's.
"""

from __future__ import annotations

import json
import random
import time
from typing import Any, cast

from pardna.runtime.errors import Unavailable

ATTEMPTS = 8
#: Codes that say "later"; so does every status from 500 on. Credentials are asked for again with
#: every attempt, so expired ones may be replaced by then.
_LATER = frozenset(
    {"ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded",
     "ExpiredTokenException"}
)  # fmt: skip


class Refusal(Exception):
    """DynamoDB said no: `code` without its namespace, and the whole answer."""

    def __init__(self, code: str, answer: dict[str, Any]) -> None:
        super().__init__(f"{code}: {answer.get('message') or answer.get('Message') or ''}")
        self.code = code
        self.answer = answer


class SignedCalls:
    """DynamoDB in one region, by bodies as text."""

    def __init__(self, region: str, connections: int) -> None:
        import boto3
        from botocore.httpsession import URLLib3Session

        session = boto3.Session()
        client = cast(Any, session.client)("dynamodb", region_name=region)
        self._url: str = client.meta.endpoint_url
        self._events: Any = client.meta.events
        self._credentials: Any = session.get_credentials()
        self._region = region
        self._http = URLLib3Session(timeout=cast(Any, (3, 20)), max_pool_connections=connections)

    def call(self, operation: str, body: str) -> dict[str, Any]:
        """The answer. Raises Refusal for what repeating would not change, Unavailable."""
        from botocore.exceptions import ConnectionError as NoConnection
        from botocore.exceptions import CredentialRetrievalError, HTTPClientError

        silent = (NoConnection, HTTPClientError, CredentialRetrievalError)
        data = body.encode()
        for attempt in range(ATTEMPTS):
            try:
                status, content = self._send(operation, data)
            except silent:  # nobody there, or it broke: conditions make repeating harmless
                status, content = 599, b""
            answer = _readable(content)
            if status == 200 and answer is not None:
                return answer
            code = str((answer or {}).get("__type", "")).rpartition("#")[2]
            if 200 < status < 500 and code not in _LATER:
                raise Refusal(code, answer or {})
            time.sleep(random.uniform(0, 0.05 * 2**attempt))  # noqa: S311  (spreads contention)
        raise Unavailable("matching.unreachable", "the match table does not answer; try again")

    def _send(self, operation: str, data: bytes) -> tuple[int, bytes]:
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest

        request: Any = cast(Any, AWSRequest)(
            "POST",
            self._url,
            headers={
                "Content-Type": "application/x-amz-json-1.0",
                "X-Amz-Target": f"DynamoDB_20120810.{operation}",
            },
            data=data,
        )
        frozen = self._credentials.get_frozen_credentials()
        cast(Any, SigV4Auth)(frozen, "dynamodb", self._region).add_auth(request)
        prepared = request.prepare()
        told = self._events.emit_until_response(
            f"before-send.dynamodb.{operation}", request=prepared
        )[1]
        answer = told if told is not None else self._http.send(prepared)
        return answer.status_code, answer.content


def _readable(content: bytes) -> dict[str, Any] | None:
    """An answer's document; None when there is none, or not all of it."""
    try:
        found = json.loads(content)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
