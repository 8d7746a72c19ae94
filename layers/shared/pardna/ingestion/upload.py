"""Uploads: announced through the API, sent straight to the object store, received, shown.

Numbered write boundaries of receiving, each of which may be the last thing that a process does:
1. the bytes are handed over to the raw store  2. the upload is marked as received, or as refused
Both may be repeated. What becomes of the bytes then is the delivery's status, as for every channel.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from pardna.ingestion.model import Receipt
from pardna.ingestion.ports import Arrivals, Sources, StoredPart
from pardna.ingestion.upload_model import (
    LINK_SECONDS,
    Upload,
    UploadKey,
    UploadLink,
    UploadState,
)
from pardna.ingestion.upload_ports import Deliveries, UploadLinks, Uploads
from pardna.runtime.clock import Clock, iso
from pardna.runtime.errors import InvalidInput, NotFound
from pardna.runtime.observability import count, logger
from pardna.transactions.ports import Delivery, DeliveryStatus


@dataclass(frozen=True, slots=True)
class StartUpload:
    """The use case; `new_id` makes 32 random hexadecimal digits."""

    sources: Sources
    uploads: Uploads
    links: UploadLinks
    clock: Clock
    new_id: Callable[[], str]

    def start(
        self, tenant_id: str, principal: str, source_id: str, name: str, size: int, sha256: str = ""
    ) -> tuple[Upload, UploadLink]:
        """Announce a file and get a link for it; `size` in bytes, `sha256` if the sender knows it.

        Raises NotFound for a source that is not this tenant's, InvalidInput ``upload.channel`` for
        one that takes no uploads.
        """
        profile = self.sources.get(tenant_id, source_id)
        if "upload" not in profile.channels or not profile.enabled:
            raise InvalidInput("upload.channel", "this source takes no uploads")
        upload = Upload(
            tenant_id,
            source_id,
            self.new_id(),
            name,
            size,
            principal,
            self.clock() + timedelta(seconds=LINK_SECONDS),
            announced_sha256=sha256,
        )
        self.uploads.announce(upload)
        return upload, self.links.link(upload.key, size, LINK_SECONDS)


@dataclass(frozen=True, slots=True)
class ReceiveUpload:
    """The use case."""

    uploads: Uploads
    arrivals: Arrivals
    clock: Clock

    def receive(self, key: str) -> Upload | None:
        """Take what lies under a key of the arrivals store; again changes nothing.

        Bytes of another size or hash than announced are refused, as are other bytes that come by
        the same link later. None when nobody announced them, or they are gone. Raises Unavailable.
        """
        whose = UploadKey.parse(key)
        try:
            upload = self.uploads.get(whose.tenant_id, whose.upload_id)
            part = self.arrivals.find(key)
        except NotFound:
            logger.info("Upload that nobody announced", tenant_id=whose.tenant_id)
            count("UploadUnknown")
            return None
        if upload.source_id != whose.source_id:
            count("UploadUnknown")
            return None
        if upload.state is not UploadState.AWAITING:
            if upload.etag != part.etag:
                logger.info("Other bytes by the same link", tenant_id=whose.tenant_id)
                count("UploadRepeated")
            return upload
        return self._judge(upload, part)

    def _judge(self, upload: Upload, part: StoredPart) -> Upload:
        if part.size != upload.size:
            return self._refuse(upload, part, "upload.size", "its size is not the announced one")
        hashed = hashlib.sha256()
        for block in self.arrivals.read(part):
            hashed.update(block)
        digest = hashed.hexdigest()
        if upload.announced_sha256 not in ("", digest):
            return self._refuse(upload, part, "upload.hash", "its hash is not the announced one")
        receipt = Receipt(upload.source_id, "upload", upload.name, self.clock())
        self.arrivals.hand_over(upload.tenant_id, digest, [part], receipt)  # boundary 1
        count("UploadReceived")
        return self._settle(
            replace(
                upload,
                state=UploadState.RECEIVED,
                raw_sha256=digest,
                etag=part.etag,
                received_at=receipt.received_at,
            )
        )

    def _refuse(self, upload: Upload, part: StoredPart, code: str, reason: str) -> Upload:
        count("UploadRefused")
        return self._settle(
            replace(
                upload,
                state=UploadState.REFUSED,
                etag=part.etag,
                received_at=self.clock(),
                code=code,
                reason=reason,
            )
        )

    def _settle(self, upload: Upload) -> Upload:
        return self.uploads.settle(upload)  # boundary 2


@dataclass(frozen=True, slots=True)
class ShowUpload:
    """The use case."""

    uploads: Uploads
    deliveries: Deliveries
    clock: Clock

    def show(self, tenant_id: str, source_id: str, upload_id: str) -> Mapping[str, Any]:
        """How far an upload has come, and what was made of it, in plain JSON types.

        ``status`` is awaiting, expired, parsing, then the delivery's (accepted,
        accepted_with_warnings, quarantined, refused, duplicate). Raises NotFound.
        """
        upload = self.uploads.get(tenant_id, upload_id)
        if upload.source_id != source_id:
            raise NotFound("upload.not_found", "there is no such upload")
        shown: dict[str, Any] = {
            "upload_id": upload.upload_id,
            "source_id": upload.source_id,
            "name": upload.name,
            "size": upload.size,
            "status": self._before(upload),
            "problems": [],
        }
        if upload.state is UploadState.AWAITING:
            return shown | {"link_expires_at": iso(upload.expires_at)}
        if upload.received_at is not None:
            shown["received_at"] = iso(upload.received_at)
        if upload.state is UploadState.REFUSED:
            problem = {"code": upload.code, "position": "file", "reason": upload.reason}
            return shown | {"problems": [problem | {"severity": "error"}]}
        shown["raw_sha256"] = upload.raw_sha256
        known = self.deliveries.deliveries(tenant_id, upload.raw_sha256)
        ours = [d for d in known if (d.source_id, d.name) == (upload.source_id, upload.name)]
        return shown | _said(ours[-1], known) if ours else shown

    def _before(self, upload: Upload) -> str:
        if upload.state is UploadState.AWAITING:
            return "expired" if self.clock() > upload.expires_at else "awaiting"
        return "parsing" if upload.state is UploadState.RECEIVED else "refused"


def _said(delivery: Delivery, known: list[Delivery]) -> dict[str, Any]:
    """What a delivery says; a duplicate points to the receipt whose bytes counted."""
    said: dict[str, Any] = {
        "status": delivery.status.value,
        "format": delivery.format,
        "entries_count": delivery.entries_count,
        "problems": [dict(p) for p in delivery.problems],
    }
    first = next((d for d in known if d.status is not DeliveryStatus.DUPLICATE), None)
    if delivery.status is DeliveryStatus.DUPLICATE and first is not None:
        said["same_as"] = {
            "source_id": first.source_id,
            "channel": first.channel,
            "name": first.name,
            "status": first.status.value,
            "entries_count": first.entries_count,
        }
    return said
