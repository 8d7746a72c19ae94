"""Archived months in the lake's bucket, below ``ledger/``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from pardna.ledger.archive import sha256_of
from pardna.runtime.errors import NotFound, Unavailable

_MISSING = frozenset({"NoSuchKey", "404", "NotFound"})
_CHUNK_BYTES = 1024 * 1024


class S3Lake:
    """`Lake` on a bucket."""

    def __init__(self, client: Any, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def put(self, key: str, path: Path) -> None:
        """See Lake. One call, at most 5 GiB, as a month of one tenant is."""
        with path.open("rb") as body:
            self._put(key, body, "application/vnd.apache.parquet")

    def put_text(self, key: str, text: str) -> None:
        """See Lake."""
        self._put(key, text.encode(), "application/json")

    def fetch(self, key: str, path: Path) -> str:
        """See Lake."""
        try:
            body = self._client.get_object(Bucket=self._bucket, Key=key)["Body"]
            with path.open("wb") as file:
                for chunk in iter(lambda: body.read(_CHUNK_BYTES), b""):
                    file.write(chunk)
        except ClientError as error:
            if error.response["Error"]["Code"] in _MISSING:
                raise NotFound("ledger.archive_missing", "a file of an archive is gone") from error
            raise Unavailable("lake.unavailable", "the lake did not answer") from error
        except BotoCoreError as error:
            raise Unavailable("lake.unavailable", "the lake did not answer") from error
        return sha256_of(path)

    def _put(self, key: str, body: Any, content_type: str) -> None:
        try:
            self._client.put_object(
                Bucket=self._bucket, Key=key, Body=body, ContentType=content_type
            )
        except (ClientError, BotoCoreError) as error:
            raise Unavailable("lake.unavailable", "the lake did not answer") from error
