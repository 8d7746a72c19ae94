"""What runs write to the lake: manifests and plans."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

_EXISTS = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412"})


class S3RunFiles:
    """`ports.RunFiles` on a bucket."""

    def __init__(self, client: Any, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def put_once(self, key: str, body: bytes) -> bool:
        """See `RunFiles`."""
        try:
            self._client.put_object(
                Bucket=self._bucket,
                Key=key,
                Body=body,
                ContentType="application/json",
                IfNoneMatch="*",
            )
        except ClientError as error:
            if error.response["Error"]["Code"] in _EXISTS:
                return False
            raise
        return True

    def get(self, key: str) -> bytes | None:
        """See `RunFiles`."""
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] in ("NoSuchKey", "404"):
                return None
            raise
        body: bytes = answer["Body"].read()
        return body
