"""Raw objects of a tenant, page by page, for lists; their bytes are not read."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from pardna.ingestion.model import RawKey, Receipt
from pardna.ingestion.s3 import receipt_of
from pardna.runtime.errors import InvalidInput, Unavailable

#: Objects that were closed to everybody but who reads them for good (card numbers).
_CLOSED = frozenset({"403", "AccessDenied", "Forbidden"})


class S3RawPages:
    """`RawPages` on the raw bucket."""

    def __init__(self, client: Any, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def page(self, tenant_id: str, after: str, limit: int) -> tuple[list[RawKey], bool]:
        """See `RawPages`."""
        prefix = f"raw/{tenant_id}/"
        if after and not after.startswith(prefix):
            raise InvalidInput("request.cursor", "not a cursor of this list")
        try:
            answer = self._client.list_objects_v2(
                Bucket=self._bucket, Prefix=prefix, StartAfter=after, MaxKeys=limit
            )
        except (ClientError, BotoCoreError) as error:
            raise Unavailable("raw.unavailable", "the raw bucket did not answer") from error
        found = [RawKey.parse(one["Key"]) for one in answer.get("Contents", ())]
        return found, bool(answer.get("IsTruncated"))

    def receipt(self, key: RawKey) -> Receipt | None:
        """See `RawPages`."""
        try:
            head = self._client.head_object(Bucket=self._bucket, Key=str(key))
        except (ClientError, BotoCoreError) as error:
            if getattr(error, "response", {}).get("Error", {}).get("Code") in _CLOSED:
                return None
            raise Unavailable("raw.unavailable", "the raw bucket did not answer") from error
        return receipt_of(head.get("Metadata", {}), head["LastModified"])
