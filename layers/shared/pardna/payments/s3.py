"""Payment files in S3, written once under their name."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from pardna.runtime.errors import Conflict, NotFound, Unavailable


class S3PaymentFiles:
    """`PaymentFiles` in a bucket."""

    def __init__(self, client: Any, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def put(self, key: str, content: bytes) -> bool:
        """See `PaymentFiles`. The condition is S3's own, so a race has one winner."""
        try:
            self._client.put_object(
                Bucket=self._bucket,
                Key=key,
                Body=content,
                ContentType="application/xml",
                IfNoneMatch="*",
            )
        except ClientError as error:
            if error.response["Error"]["Code"] not in (
                "PreconditionFailed",
                "ConditionalRequestConflict",
            ):
                raise Unavailable("payment.store", "the file could not be stored") from error
            if self.read(key) != content:
                raise Conflict("payment.file_differs", "another file has this name") from None
            return False
        except BotoCoreError as error:
            raise Unavailable("payment.store", "the file could not be stored") from error
        return True

    def read(self, key: str) -> bytes:
        """See `PaymentFiles`."""
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=key)
            return bytes(answer["Body"].read())
        except ClientError as error:
            if error.response["Error"]["Code"] in ("NoSuchKey", "404"):
                raise NotFound("payment.no_file", "there is no such payment file") from None
            raise Unavailable("payment.store", "the file could not be read") from error
        except BotoCoreError as error:
            raise Unavailable("payment.store", "the file could not be read") from error
