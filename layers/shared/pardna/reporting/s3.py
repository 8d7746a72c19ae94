"""Finished reports in S3."""

from __future__ import annotations

import hashlib
from typing import Any

from pardna.runtime.errors import NotFound


class S3Shelf:
    """`Shelf` in a bucket. A report's metadata carries the hash of its bytes."""

    def __init__(self, client: Any, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def put(self, key: str, body: bytes, content_type: str) -> bool:
        """See `Shelf`. A versioned bucket would keep each equal copy: so none is made."""
        digest = hashlib.sha256(body).hexdigest()
        if self._digest(key) == digest:
            return False
        self._client.put_object(
            Bucket=self._bucket,
            Key=key,
            Body=body,
            ContentType=content_type,
            CacheControl="private, no-store",
            Metadata={"sha256": digest},
        )
        return True

    def link(self, key: str, seconds: int) -> str:
        """See `Shelf`. Whoever holds the link may read this one object, until it expires."""
        if self._digest(key) is None:
            raise NotFound("report.not_written", "this report has not been written yet")
        return str(
            self._client.generate_presigned_url(
                "get_object", Params={"Bucket": self._bucket, "Key": key}, ExpiresIn=seconds
            )
        )

    def _digest(self, key: str) -> str | None:
        """The hash of what lies there; None when nothing does."""
        try:
            head = self._client.head_object(Bucket=self._bucket, Key=key)
        except self._client.exceptions.ClientError as error:
            if error.response["Error"]["Code"] in ("404", "NoSuchKey", "NotFound"):
                return None
            raise
        return str(head.get("Metadata", {}).get("sha256", ""))
