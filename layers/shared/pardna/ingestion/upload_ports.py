"""What uploads need of the world, besides what all of ingestion does."""

from __future__ import annotations

from typing import Protocol

from pardna.ingestion.upload_model import Upload, UploadLink
from pardna.transactions.ports import Delivery


class Uploads(Protocol):
    """What was announced, and what came. All raise Unavailable."""

    def announce(self, upload: Upload) -> None:
        """Write a new upload down. Raises Conflict ``upload.exists``."""
        ...

    def get(self, tenant_id: str, upload_id: str) -> Upload:
        """Raises NotFound, also for another tenant's."""
        ...

    def settle(self, upload: Upload) -> Upload:
        """Write what came, once; returns what was written first. Raises NotFound."""
        ...


class UploadLinks(Protocol):
    """Links that let a person send a file to the object store."""

    def link(self, key: str, size: int, seconds: int) -> UploadLink:
        """For exactly `size` bytes under `key`, for so many seconds from now."""
        ...


class Deliveries(Protocol):
    """What was made of bytes; see `TransactionStore`."""

    def deliveries(self, tenant_id: str, raw_sha256: str) -> list[Delivery]:
        """Every receipt of these bytes, first received first."""
        ...
