"""Closes raw objects that carry card numbers: a tag, on which the bucket's policy and rules act."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from pardna.ingestion.model import RawKey
from pardna.runtime.errors import Unavailable

#: The template's bucket policy and lifecycle rule name it too.
TAG = {"Key": "card-numbers", "Value": "yes"}


class S3RawRestriction:
    """`RawRestriction` by object tags."""

    def __init__(self, client: Any, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def restrict(self, key: RawKey) -> None:
        """See `RawRestriction`."""
        try:
            self._client.put_object_tagging(
                Bucket=self._bucket, Key=str(key.object), Tagging={"TagSet": [TAG]}
            )
        except (ClientError, BotoCoreError) as error:
            raise Unavailable("raw.unavailable", "the raw object could not be closed") from error
