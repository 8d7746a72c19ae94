"""A file that a person sends: announced, sent straight to the object store, then read. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pardna.runtime.errors import InvalidInput

#: S3 takes at most this much in one form.
UPLOAD_BYTES_MAX = 5 * 1024**3
#: How long a link lets somebody send.
LINK_SECONDS = 900

_UPLOAD_ID = re.compile(r"[0-9a-f]{32}")
_KEY = re.compile(r"uploads/([^/]+)/([^/]+)/([0-9a-f]{32})")


class UploadState(StrEnum):
    """What is known of an upload by those who receive it."""

    AWAITING = "awaiting"
    RECEIVED = "received"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Upload:
    """One announced file: `size` in bytes, `announced_sha256` empty when the sender gave none.

    `raw_sha256` and `etag` are of the bytes that came; `reason` says why they were refused.
    """

    tenant_id: str
    source_id: str
    upload_id: str
    name: str
    size: int
    principal: str
    expires_at: datetime
    announced_sha256: str = ""
    state: UploadState = UploadState.AWAITING
    raw_sha256: str = ""
    etag: str = ""
    received_at: datetime | None = None
    code: str = ""
    reason: str = ""

    def __post_init__(self) -> None:
        if not _UPLOAD_ID.fullmatch(self.upload_id):
            raise InvalidInput("upload.id", "not an upload's id")

    @property
    def key(self) -> str:
        """Where its bytes arrive."""
        return f"uploads/{self.tenant_id}/{self.source_id}/{self.upload_id}"


@dataclass(frozen=True, slots=True)
class UploadKey:
    """Whose upload lies under a key of the arrivals store."""

    tenant_id: str
    source_id: str
    upload_id: str

    @classmethod
    def parse(cls, key: str) -> UploadKey:
        """Raises InvalidInput ``upload.key`` for a key that is none of ours."""
        match = _KEY.fullmatch(key)
        if match is None:
            raise InvalidInput("upload.key", "not the key of an upload")
        return cls(match[1], match[2], match[3])


@dataclass(frozen=True, slots=True)
class UploadLink:
    """A form that lets anybody who holds it send one file of one size, for a while."""

    url: str
    fields: dict[str, str]
