"""Raw bytes in S3: one object per content, written once, named by its SHA-256.

Key ``raw/{tenant}/{sha256}``. Metadata says how the bytes came the first time. The same bytes under
another name leave an empty object ``.../receipts/{...}`` beside them, so that each receipt of a
file is known and the bytes are kept once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO, cast
from urllib.parse import quote, unquote

from botocore.exceptions import BotoCoreError, ClientError

from pardna.ingestion.model import Captured, RawKey, Receipt, receipt_id, sha256
from pardna.ingestion.ports import RawPage
from pardna.runtime.clock import iso
from pardna.runtime.errors import Conflict, NotFound, Unavailable

_NAME_MAX = 300
_BLOCK = 1024 * 1024
_IN_MEMORY_MAX = 16 * 1024 * 1024
_RACES_MAX = 5
_EXISTS = frozenset({"PreconditionFailed", "412"})
_RACING = frozenset({"ConditionalRequestConflict", "409"})
_MISSING = frozenset({"NoSuchKey", "404", "NotFound"})


class S3RawObject:
    """`RawObject` of an answer whose body waits to be read."""

    def __init__(self, key: RawKey, answer: dict[str, Any]) -> None:
        self.size = int(answer["ContentLength"])
        self.receipt = receipt_of(answer.get("Metadata", {}), answer["LastModified"])
        self._key = key
        self._body = answer["Body"]
        self._file: BinaryIO | None = None

    def file(self) -> BinaryIO:
        """See `RawObject`. Hashed as it comes, so that it is read once."""
        if self._file is not None:
            return self._file
        kept = cast(BinaryIO, SpooledTemporaryFile(max_size=_IN_MEMORY_MAX))  # noqa: SIM115
        self._file = kept
        digest = hashlib.sha256()
        try:
            while block := self._body.read(_BLOCK):
                digest.update(block)
                kept.write(block)
        except (BotoCoreError, OSError) as error:
            raise Unavailable("raw.unavailable", "the raw object broke off") from error
        if not self._key.receipt and digest.hexdigest() != self._key.raw_sha256:
            raise Conflict("raw.hash_differs", "the bytes are not those of the key")
        kept.seek(0)
        return kept

    def close(self) -> None:
        """Let go of the connection and of the disk."""
        self._body.close()
        if self._file is not None:
            self._file.close()


class S3RawStore:
    """`RawStore` on a bucket."""

    def __init__(self, client: Any, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def put_once(self, tenant_id: str, data: bytes, receipt: Receipt) -> Captured:
        """See `RawStore`."""
        digest = sha256(data)
        created = self._put(RawKey(tenant_id, digest), data, receipt)
        return Captured(digest, created)

    def put_named(self, tenant_id: str, data: bytes, receipt: Receipt) -> Captured:
        """See `RawStore`."""
        captured = self.put_once(tenant_id, data, receipt)
        if not captured.created:
            self.received_again(RawKey(tenant_id, captured.raw_sha256), receipt)
        return captured

    def received_again(self, key: RawKey, receipt: Receipt) -> None:
        """Leave a receipt beside bytes that are there, unless they came under this name before.

        At most one write. Raises NotFound when there are no such bytes, Unavailable.
        """
        first = self._call("head_object", key)
        known = receipt_of(first.get("Metadata", {}), first["LastModified"])
        if (known.source_id, known.name) != (receipt.source_id, _name(receipt.name)):
            other = receipt_id(receipt.source_id, receipt.name)
            self._put(RawKey(key.tenant_id, key.raw_sha256, other), b"", receipt)

    def get(self, key: RawKey) -> tuple[bytes, Receipt]:
        """See `RawStore`."""
        answer = self._call("get_object", key)
        try:
            data = answer["Body"].read()
        except (BotoCoreError, OSError) as error:
            raise Unavailable("raw.unavailable", "the raw object broke off") from error
        if not key.receipt and sha256(data) != key.raw_sha256:
            raise Conflict("raw.hash_differs", "the bytes are not those of the key")
        return data, receipt_of(answer.get("Metadata", {}), answer["LastModified"])

    @contextmanager
    def open(self, key: RawKey) -> Iterator[S3RawObject]:
        """See `RawStore`."""
        answer = self._call("get_object", key)
        found = S3RawObject(key, answer)
        try:
            yield found
        finally:
            found.close()

    def page(self, tenant_id: str, after: str, before: datetime, limit: int) -> RawPage:
        """See `RawStore`."""
        try:
            answer = self._client.list_objects_v2(
                Bucket=self._bucket, Prefix=f"raw/{tenant_id}/", StartAfter=after, MaxKeys=limit
            )
        except (ClientError, BotoCoreError) as error:
            raise Unavailable("raw.unavailable", "the raw bucket did not answer") from error
        found = answer.get("Contents", ())
        keys = tuple(RawKey.parse(one["Key"]) for one in found if one["LastModified"] < before)
        return RawPage(keys, found[-1]["Key"] if answer.get("IsTruncated") else "")

    def _put(self, key: RawKey, data: bytes, receipt: Receipt) -> bool:
        """Write unless it is there; True when it was written now.

        While another writer writes these very bytes S3 answers 409: theirs or ours, one will
        stand, so it is asked again.
        """
        code = ""
        for _ in range(_RACES_MAX):
            try:
                self._client.put_object(
                    Bucket=self._bucket,
                    Key=str(key),
                    Body=data,
                    IfNoneMatch="*",
                    Metadata=metadata_of(receipt),
                )
                return True
            except ClientError as error:
                code = error.response.get("Error", {}).get("Code", "")
                if code in _EXISTS:
                    return False
                if code not in _RACING:
                    raise Unavailable("raw.unavailable", "the raw bucket refused") from error
            except BotoCoreError as error:
                raise Unavailable("raw.unavailable", "the raw bucket did not answer") from error
        raise Unavailable("raw.unavailable", "the raw object is being written by another")

    def _call(self, operation: str, key: RawKey) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = getattr(self._client, operation)(
                Bucket=self._bucket, Key=str(key)
            )
        except ClientError as error:
            if error.response.get("Error", {}).get("Code", "") in _MISSING:
                raise NotFound("raw.not_found", "there are no such bytes") from None
            raise Unavailable("raw.unavailable", "the raw bucket did not answer") from error
        except BotoCoreError as error:
            raise Unavailable("raw.unavailable", "the raw bucket did not answer") from error
        return answer


def _name(name: str) -> str:
    return name[:_NAME_MAX]


def metadata_of(receipt: Receipt) -> dict[str, str]:
    """S3 takes 2 KB of ASCII: names are percent-encoded and bounded, headers are JSON."""
    return {
        "source": receipt.source_id,
        "channel": receipt.channel,
        "name": quote(_name(receipt.name), safe=" /")[:900],
        "content-type": quote(receipt.content_type[:100], safe=" /;="),
        "received-at": iso(receipt.received_at),
        "headers": json.dumps(dict(receipt.headers))[:800],
    }


def receipt_of(metadata: dict[str, str], written_at: datetime) -> Receipt:
    """What the metadata says; an object that others put there says little, and is read all the same."""
    try:
        headers = json.loads(metadata.get("headers", "{}"))
    except ValueError:
        headers = {}
    try:
        received_at = datetime.fromisoformat(metadata["received-at"])
    except (KeyError, ValueError):
        received_at = written_at
    return Receipt(
        source_id=metadata.get("source", ""),
        channel=metadata.get("channel", "upload"),
        name=unquote(metadata.get("name", "")),
        received_at=received_at,
        content_type=unquote(metadata.get("content-type", "")),
        headers=headers if isinstance(headers, dict) else {},
    )
