"""Finished reports in S3: of reporting, and of whoever else writes some."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from pardna.runtime.errors import NotFound, Unavailable

_MISSING = frozenset({"404", "NoSuchKey", "NotFound"})


class S3Shelf:
    """Reports in a bucket, by key. A report's metadata carries the hash of its bytes.

    All raise Unavailable ``packs.unavailable``.
    """

    def __init__(self, client: Any, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def put(self, key: str, body: bytes, content_type: str) -> bool:
        """Store a report; False, and nothing is written, when these very bytes lie there.

        A versioned bucket would keep each equal copy: so none is made.
        """
        digest = hashlib.sha256(body).hexdigest()
        if self._digest(key) == digest:
            return False
        with _answers():
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
        """A link that opens this one report for `seconds`, for whoever holds it.

        Raises NotFound ``report.not_written``.
        """
        if self._digest(key) is None:
            raise NotFound("report.not_written", "this report has not been written yet")
        return str(
            self._client.generate_presigned_url(
                "get_object", Params={"Bucket": self._bucket, "Key": key}, ExpiresIn=seconds
            )
        )

    def _digest(self, key: str) -> str | None:
        """The hash of what lies there; None when nothing does."""
        with _answers():
            try:
                head = self._client.head_object(Bucket=self._bucket, Key=key)
            except ClientError as error:
                if error.response["Error"]["Code"] in _MISSING:
                    return None
                raise
        return str(head.get("Metadata", {}).get("sha256", ""))


@contextmanager
def _answers() -> Iterator[None]:
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise Unavailable("packs.unavailable", "the reports' bucket did not answer") from error
