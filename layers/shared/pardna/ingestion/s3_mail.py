"""Mail that Amazon SES has put into the arrivals bucket."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from pardna.ingestion.s3_answers import arrivals_answers
from pardna.runtime.errors import TooLarge


class S3MailShelf:
    """`MailShelf` on a bucket."""

    def __init__(self, client: Any, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def read(self, key: str, size_max: int) -> bytes:
        """See `MailShelf`."""
        with _answers():
            answer = self._client.get_object(Bucket=self._bucket, Key=key)
            if answer["ContentLength"] > size_max:
                raise TooLarge("mail.too_large", "a mail has at most 40 MB")
            return bytes(answer["Body"].read())

    def move(self, key: str, new_key: str) -> None:
        """See `MailShelf`. The copy stands before the original goes."""
        with _answers():
            self._client.copy_object(
                Bucket=self._bucket,
                Key=new_key,
                CopySource={"Bucket": self._bucket, "Key": key},
            )
            self._client.delete_object(Bucket=self._bucket, Key=key)


def _answers() -> AbstractContextManager[None]:
    return arrivals_answers("mail.not_found", "there is no such mail")
