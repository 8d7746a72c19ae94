"""What ingestion needs of the world."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from pardna.formats.model import PaymentStatus
from pardna.ingestion.model import Captured, RawKey, Receipt, SourceProfile


class RawStore(Protocol):
    """Every byte received, kept under its own hash and never changed."""

    def put_once(self, tenant_id: str, data: bytes, receipt: Receipt) -> Captured:
        """Keep bytes, unless they are there. One write. Raises Unavailable."""
        ...

    def put_named(self, tenant_id: str, data: bytes, receipt: Receipt) -> Captured:
        """`put_once` for files: bytes that came before under another name leave a receipt.

        The same bytes from the same source under the same name change nothing at all.
        """
        ...

    def get(self, key: RawKey) -> tuple[bytes, Receipt]:
        """The bytes (of a receipt: none) and how they came.

        Raises NotFound ``raw.not_found``, Conflict ``raw.hash_differs`` when the bytes are not the
        key's, Unavailable.
        """
        ...

    def keys(self, tenant_id: str, before: datetime) -> Iterator[RawKey]:
        """Everything of a tenant that was written before an instant, receipts too."""
        ...


class Sources(Protocol):
    """The profiles of sources."""

    def get(self, tenant_id: str, source_id: str) -> SourceProfile:
        """Raises NotFound ``source.not_found``, Unavailable."""
        ...

    def put(self, profile: SourceProfile) -> None:
        """Write a profile; what stood under its name is replaced, its cursor kept."""
        ...

    def by_channel(self, channel: str) -> list[SourceProfile]:
        """All sources of all tenants that use a channel, in order."""
        ...

    def cursor(self, tenant_id: str, source_id: str) -> str:
        """Where polling got to; empty when it never did."""
        ...

    def set_cursor(self, tenant_id: str, source_id: str, cursor: str) -> None:
        """Remember where polling got to."""
        ...


class SecretParts(Protocol):
    """Parts of secrets; see `pardna.runtime.secrets`."""

    def part(self, secret_id: str, name: str) -> str:
        """The part, or empty. Raises NotFound, Unavailable."""
        ...


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file as a server lists it; size in bytes, time in seconds since 1970."""

    name: str
    size: int
    modified: int


class RemoteFolder(Protocol):
    """A folder on a partner's server, in one session."""

    def files(self) -> list[RemoteFile]:
        """Regular files, by name."""
        ...

    def stat(self, name: str) -> RemoteFile:
        """As it is now. Raises NotFound."""
        ...

    def read(self, name: str, size_max: int) -> bytes:
        """The bytes. Raises NotFound, TooLarge, Unavailable."""
        ...


class RemoteFolders(Protocol):
    """How partners' servers are reached."""

    def open(self, profile: SourceProfile) -> AbstractContextManager[RemoteFolder]:
        """A session. Raises Unavailable, and UntrustedHost for a changed host key."""
        ...


class Settlements(Protocol):
    """A card processor's settlement data."""

    def payouts(self, profile: SourceProfile, since: int) -> Iterable[Mapping[str, Any]]:
        """Payouts created at or after `since` (seconds), as its API gives them. Unavailable."""
        ...

    def movements(
        self, profile: SourceProfile, *, since: int | None = None, payout: str = ""
    ) -> Iterable[Mapping[str, Any]]:
        """Balance transactions since an instant, or of one payout, sources expanded."""
        ...


class PaymentAnswers(Protocol):
    """Whoever sent payment files and waits for what banks say of them."""

    def apply(self, tenant_id: str, statuses: Sequence[PaymentStatus], correlation_id: str) -> None:
        """Apply a bank's answer; the same answer again changes nothing. Raises Unavailable."""
        ...


class Drain(Protocol):
    """Lets what was announced leave the database."""

    def drain(self, tenant_id: str, at_most: int | None = None) -> int:
        """See `pardna.outbox.service.Relay`."""
        ...


class Tenants(Protocol):
    """Who there is."""

    def tenant_ids(self) -> Iterable[str]:
        """Every tenant."""
        ...
