"""Parts of large deliveries in the lake bucket."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from pardna.runtime.errors import NotFound, Unavailable

_MISSING = frozenset({"NoSuchKey", "404", "NotFound"})


class S3PartFiles:
    """`PartFiles` on a bucket."""

    def __init__(self, client: Any, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def put(self, key: str, body: bytes) -> None:
        """See `PartFiles`."""
        try:
            self._client.put_object(Bucket=self._bucket, Key=key, Body=body)
        except (ClientError, BotoCoreError) as error:
            raise Unavailable("lake.unavailable", "the lake bucket did not answer") from error

    def get(self, key: str) -> bytes:
        """See `PartFiles`."""
        try:
            body: bytes = self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        except ClientError as error:
            if error.response.get("Error", {}).get("Code", "") in _MISSING:
                raise NotFound("part.not_found", "there is no such part") from None
            raise Unavailable("lake.unavailable", "the lake bucket did not answer") from error
        except (BotoCoreError, OSError) as error:
            raise Unavailable("lake.unavailable", "the part broke off") from error
        return body
