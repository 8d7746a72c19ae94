"""Anchors in the bucket of raw objects: versions are kept, and locked in production.

Key ``anchors/{tenant}/{day}.json``; beside ``raw/``, where no rule or sweep looks.
"""

from __future__ import annotations

from datetime import date
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from pardna.ledger.anchor import Anchor
from pardna.runtime.errors import InvalidInput, Unavailable

_EXISTS = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412", "409"})
_MISSING = frozenset({"NoSuchKey", "404", "NotFound"})


class S3Anchors:
    """`AnchorStore` on a bucket."""

    def __init__(self, client: Any, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def put_once(self, anchor: Anchor) -> bool:
        """See AnchorStore."""
        try:
            self._client.put_object(
                Bucket=self._bucket,
                Key=_key(anchor.tenant_id, anchor.day),
                Body=anchor.to_json().encode(),
                ContentType="application/json",
                IfNoneMatch="*",
            )
        except ClientError as error:
            if error.response["Error"]["Code"] in _EXISTS:
                return False
            raise Unavailable("anchors.unavailable", "the anchor was not kept") from error
        except BotoCoreError as error:
            raise Unavailable("anchors.unavailable", "the anchor was not kept") from error
        return True

    def get(self, tenant_id: str, day: date) -> Anchor | None:
        """See AnchorStore."""
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=_key(tenant_id, day))
            text = answer["Body"].read().decode("utf-8", "replace")
        except ClientError as error:
            if error.response["Error"]["Code"] in _MISSING:
                return None
            raise Unavailable("anchors.unavailable", "the anchor was not read") from error
        except BotoCoreError as error:
            raise Unavailable("anchors.unavailable", "the anchor was not read") from error
        try:
            return Anchor.from_json(text)
        except ValueError as error:
            raise InvalidInput("anchors.unreadable", f"the anchor of {day}: {error}") from error


def _key(tenant_id: str, day: date) -> str:
    return f"anchors/{tenant_id}/{day.isoformat()}.json"
