"""Quality reports in S3, beside the other reports."""

from __future__ import annotations

import hashlib
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from pardna.runtime.errors import Unavailable

_MISSING = frozenset({"404", "NoSuchKey", "NotFound"})


class S3ReportShelf:
    """`ReportShelf` in a bucket. A versioned bucket would keep equal copies: so none is made."""

    def __init__(self, client: Any, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def put(self, key: str, body: bytes, content_type: str) -> None:
        """See `ReportShelf`."""
        digest = hashlib.sha256(body).hexdigest()
        try:
            if self._digest(key) != digest:
                self._client.put_object(
                    Bucket=self._bucket,
                    Key=key,
                    Body=body,
                    ContentType=content_type,
                    CacheControl="private, no-store",
                    Metadata={"sha256": digest},
                )
        except (ClientError, BotoCoreError) as error:
            raise Unavailable("packs.unavailable", "the reports' bucket did not answer") from error

    def _digest(self, key: str) -> str:
        try:
            head = self._client.head_object(Bucket=self._bucket, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] in _MISSING:
                return ""
            raise
        return str(head.get("Metadata", {}).get("sha256", ""))
