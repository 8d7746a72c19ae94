"""Errors as HTTP: ``application/problem+json`` (RFC 9457)."""

from __future__ import annotations

import json
from typing import Any

from pardna.runtime.errors import PardnaError

#: Where an error's code is explained; relative, so that it holds in every home.
TYPE_PREFIX = "/problems/"


def to_response(error: PardnaError, correlation_id: str) -> dict[str, Any]:
    """An API Gateway proxy response for an expected error."""
    body = {
        "type": TYPE_PREFIX + error.code,
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
        "correlation_id": correlation_id,
        **error.fields,
    }
    return {
        "statusCode": error.status,
        "headers": {"content-type": "application/problem+json", "cache-control": "no-store"},
        "body": json.dumps(body),
        "isBase64Encoded": False,
    }
