"""Bytes on their way to the raw bucket, in a bucket of their own that forgets.

Keys: ``pieces/{tenant}/{arrival}/{00001}`` of large files, ``fetched/{tenant}/{source}/{arrival}``
(empty) for what is done with, ``uploads/...`` and ``mail/...`` as people and mail servers put them
(`pardna.ingestion.upload`, `pardna.ingestion.mail`). Nothing here is the truth of anything: what
counts is copied to the raw bucket, inside of S3 and all at once (a multipart upload appears when it
is completed, and only if nothing is there yet).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from pardna.ingestion.model import Captured, RawKey, Receipt
from pardna.ingestion.ports import StoredPart
from pardna.ingestion.s3 import S3RawStore, metadata_of
from pardna.ingestion.s3_answers import arrivals_answers
from pardna.runtime.errors import NotFound, Unavailable

#: What is small enough to be read and written whole. S3 joins parts of 5 MB or more.
_SMALL = 8 * 1024 * 1024
#: Bytes that S3 copies in one request; it takes up to 5 GB, and answers large ones late.
_COPIED = 128 * 1024 * 1024
_BLOCK = 1024 * 1024
_EXISTS = frozenset({"PreconditionFailed", "412"})
_RACING = frozenset({"ConditionalRequestConflict", "409"})
_NUMBER = re.compile(r".*/(\d{5})")


class S3Arrivals:
    """`Arrivals` and `Fetched` on a bucket, handing over to the raw bucket."""

    def __init__(self, client: Any, bucket: str, raw_bucket: str) -> None:
        self._client = client
        self._bucket = bucket
        self._raw_bucket = raw_bucket
        self._raw = S3RawStore(client, raw_bucket)

    def pieces(self, tenant_id: str, arrival: str) -> list[StoredPart]:
        """See `Arrivals`."""
        found: list[StoredPart] = []
        for item in self._listed(f"pieces/{tenant_id}/{arrival}/"):
            number = _NUMBER.fullmatch(item["Key"])
            if number is None or int(number[1]) != len(found) + 1:
                break
            found.append(StoredPart(item["Key"], item["Size"], item["ETag"]))
        return found

    def keep(self, tenant_id: str, arrival: str, number: int, data: bytes) -> StoredPart:
        """See `Arrivals`."""
        key = f"pieces/{tenant_id}/{arrival}/{number:05d}"
        with _answers():
            answer = self._client.put_object(Bucket=self._bucket, Key=key, Body=data)
        return StoredPart(key, len(data), answer["ETag"])

    def find(self, key: str) -> StoredPart:
        """See `Arrivals`."""
        with _answers():
            answer = self._client.head_object(Bucket=self._bucket, Key=key)
        return StoredPart(key, answer["ContentLength"], answer["ETag"])

    def read(self, part: StoredPart) -> Iterator[bytes]:
        """See `Arrivals`."""
        with _answers():
            answer = self._client.get_object(Bucket=self._bucket, Key=part.key, IfMatch=part.etag)
            yield from answer["Body"].iter_chunks(_BLOCK)

    def hand_over(
        self, tenant_id: str, raw_sha256: str, parts: Sequence[StoredPart], receipt: Receipt
    ) -> Captured:
        """See `Arrivals`. Parts but the last have 5 MB or more, as S3 demands."""
        if sum(p.size for p in parts) <= _SMALL:
            data = b"".join(block for part in parts for block in self.read(part))
            return self._raw.put_named(tenant_id, data, receipt)
        key = RawKey(tenant_id, raw_sha256)
        try:
            self._raw.received_again(key, receipt)
        except NotFound:
            if self._joined(key, parts, receipt):
                return Captured(raw_sha256, created=True)
            self._raw.received_again(key, receipt)
        return Captured(raw_sha256, created=False)

    def fetched(self, tenant_id: str, source_id: str) -> set[str]:
        """See `Fetched`."""
        prefix = f"fetched/{tenant_id}/{source_id}/"
        return {item["Key"].removeprefix(prefix) for item in self._listed(prefix)}

    def mark_fetched(self, tenant_id: str, source_id: str, arrival: str) -> None:
        """See `Fetched`."""
        key = f"fetched/{tenant_id}/{source_id}/{arrival}"
        with _answers():
            self._client.put_object(Bucket=self._bucket, Key=key, Body=b"")

    def _joined(self, key: RawKey, parts: Sequence[StoredPart], receipt: Receipt) -> bool:
        """Copy parts, inside of S3, to one raw object; False when it is there by now.

        An upload that is not completed leaves nothing that anybody sees; the bucket forgets it.
        """
        target = {"Bucket": self._raw_bucket, "Key": str(key)}
        with _answers():
            upload = self._client.create_multipart_upload(**target, Metadata=metadata_of(receipt))
            target["UploadId"] = upload["UploadId"]
            copied = []
            for number, source in enumerate(_sources(self._bucket, parts), start=1):
                answer = self._client.upload_part_copy(**target, PartNumber=number, **source)
                copied.append({"PartNumber": number, "ETag": answer["CopyPartResult"]["ETag"]})
        try:
            self._client.complete_multipart_upload(
                **target, MultipartUpload={"Parts": copied}, IfNoneMatch="*"
            )
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            if code in _EXISTS:
                return False
            reason = "is being written by another" if code in _RACING else "was refused"
            raise Unavailable("raw.unavailable", f"the raw object {reason}") from error
        except BotoCoreError as error:
            raise Unavailable("raw.unavailable", "the raw bucket did not answer") from error
        return True

    def _listed(self, prefix: str) -> Iterator[dict[str, Any]]:
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=prefix
        )
        with _answers():
            for page in pages:
                yield from page.get("Contents", ())


def _sources(bucket: str, parts: Sequence[StoredPart]) -> Iterator[Mapping[str, Any]]:
    """What each request copies: a part, or 128 MB of it; only while it is what was hashed."""
    for part in parts:
        for start in range(0, part.size, _COPIED):
            end = min(start + _COPIED, part.size) - 1
            yield {
                "CopySource": {"Bucket": bucket, "Key": part.key},
                "CopySourceIfMatch": part.etag,
                "CopySourceRange": f"bytes={start}-{end}",
            }


def _answers() -> AbstractContextManager[None]:
    return arrivals_answers("arrival.not_found", "there are no such bytes, or others by now")
