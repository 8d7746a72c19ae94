"""What ingestion needs of the world."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, BinaryIO, Protocol

from pardna.formats.model import PaymentStatus
from pardna.ingestion.model import Captured, RawKey, Receipt, SourceProfile
from pardna.ingestion.quality_history import Facts, Past
from pardna.ingestion.schedules import Schedule


class RawObject(Protocol):
    """A raw object that was found; its bytes are fetched when they are asked for."""

    @property
    def size(self) -> int:
        """Of its bytes."""
        ...

    @property
    def receipt(self) -> Receipt:
        """How it came."""
        ...

    def file(self) -> BinaryIO:
        """The bytes (of a receipt: none) as a seekable file, small ones in memory, large ones on disk.

        Raises Conflict ``raw.hash_differs`` when they are not the key's, Unavailable.
        """
        ...


@dataclass(frozen=True, slots=True)
class RawPage:
    """Keys in their order, and the place after which the next page begins; empty after the last."""

    keys: tuple[RawKey, ...]
    next: str


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

    def open(self, key: RawKey) -> AbstractContextManager[RawObject]:
        """`get` for bytes of any size; what it holds is given back at the end.

        Raises NotFound ``raw.not_found``, Unavailable.
        """
        ...

    def page(self, tenant_id: str, after: str, before: datetime, limit: int) -> RawPage:
        """Of up to `limit` objects of a tenant after a place, those written before an instant.

        Receipts too. One call, whatever the store holds. Raises Unavailable.
        """
        ...


class Sources(Protocol):
    """The profiles of sources."""

    def get(self, tenant_id: str, source_id: str) -> SourceProfile:
        """Raises NotFound ``source.not_found``, Unavailable."""
        ...

    def put(self, profile: SourceProfile) -> None:
        """Write a profile; what stood under its name is replaced, its cursor and switches kept."""
        ...

    def by_channel(self, channel: str) -> list[SourceProfile]:
        """All sources of all tenants that follow the stack's schedule of a channel, in order.

        Those that are switched off, and those with a schedule of their own, are not among them.
        """
        ...

    def of_tenant(self, tenant_id: str, after: str, limit: int) -> list[SourceProfile]:
        """Up to `limit` sources of a tenant, by name, beginning after one."""
        ...

    def switch(self, profile: SourceProfile) -> None:
        """Write whether it is enabled, and its schedules; nothing else. Raises NotFound."""
        ...

    def cursor(self, tenant_id: str, source_id: str) -> str:
        """Where polling got to; empty when it never did."""
        ...

    def set_cursor(self, tenant_id: str, source_id: str, cursor: str) -> None:
        """Remember where polling got to."""
        ...


class SecretVault(Protocol):
    """Where secrets are written."""

    def read(self, secret_id: str) -> str:
        """The whole text, or empty when there is none. Raises Unavailable."""
        ...

    def write(self, secret_id: str, text: str) -> None:
        """Make the text the secret's, also of one that is not there yet. Raises Unavailable."""
        ...


class Schedules(Protocol):
    """What visits sources at their own times."""

    def put(self, schedule: Schedule) -> None:
        """Make a schedule, or make it as given; again, nothing changes. Raises Unavailable."""
        ...

    def remove(self, schedule: Schedule) -> None:
        """Remove a schedule by its name; one that is not there is removed. Raises Unavailable."""
        ...


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file as a server lists it; size in bytes, time in seconds since 1970."""

    name: str
    size: int
    modified: int


class RemoteFolder(Protocol):
    """A folder on a partner's server, in one session.

    All raise Unavailable when the line breaks and NotPermitted when the server says no.
    """

    def files(self) -> Iterator[RemoteFile]:
        """Regular files, in the server's order, as they come."""
        ...

    def stat(self, name: str) -> RemoteFile:
        """As it is now. Raises NotFound."""
        ...

    def blocks(self, name: str, offset: int, end: int) -> Generator[bytes, None, None]:
        """The bytes from `offset` to `end`. Raises NotFound, also when the file ends before."""
        ...

    def move(self, name: str, folder: str, new_name: str) -> None:
        """Into another folder. Raises NotFound, and Conflict when a file of that name is there."""
        ...

    def put_empty(self, name: str) -> None:
        """Leave an empty file."""
        ...


class RemoteFolders(Protocol):
    """How partners' servers are reached."""

    def open(
        self, profile: SourceProfile, seconds: float = math.inf
    ) -> AbstractContextManager[RemoteFolder]:
        """A session of at most so many seconds.

        Raises Unavailable; UntrustedHost for a changed host key and SignInRefused are not retried.
        """
        ...


@dataclass(frozen=True, slots=True)
class StoredPart:
    """Bytes that lie in the arrivals store; `etag` tells when they are others."""

    key: str
    size: int
    etag: str


class Arrivals(Protocol):
    """Where bytes wait that are not whole, or not judged, yet. All raise Unavailable."""

    def pieces(self, tenant_id: str, arrival: str) -> list[StoredPart]:
        """What has arrived of something large: pieces 1, 2, 3 ... up to the first that is missing."""
        ...

    def keep(self, tenant_id: str, arrival: str, number: int, data: bytes) -> StoredPart:
        """Keep a piece; the same number again replaces it. One write."""
        ...

    def find(self, key: str) -> StoredPart:
        """What lies under a key. Raises NotFound."""
        ...

    def read(self, part: StoredPart) -> Iterator[bytes]:
        """Its bytes, in blocks. Raises NotFound, also when other bytes lie there by now."""
        ...

    def hand_over(
        self, tenant_id: str, raw_sha256: str, parts: Sequence[StoredPart], receipt: Receipt
    ) -> Captured:
        """Put parts together as one raw object: all at once, or not at all.

        Whoever calls has hashed the parts. Bytes that are there already leave a receipt if their
        name is new (`RawStore.put_named`). Raises NotFound when a part has changed since.
        """
        ...


class Fetched(Protocol):
    """Which files were fetched, by the name of an arrival. All raise Unavailable."""

    def fetched(self, tenant_id: str, source_id: str) -> set[str]:
        """Every arrival of a source that is done with."""
        ...

    def mark_fetched(self, tenant_id: str, source_id: str, arrival: str) -> None:
        """It is done with; again changes nothing. One write."""
        ...


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows of a provider's list, as its API gave them, and whether more follow."""

    rows: tuple[Mapping[str, Any], ...]
    more: bool


class ProviderPoller(Protocol):
    """A provider's API, as lists of objects: newest first, each row with ``id`` and ``created``."""

    def resources(self) -> Sequence[str]:
        """The lists, in the order in which they are to be read."""
        ...

    def members(self, resource: str) -> str:
        """The list that each row of this one has members in (what a payout paid), or empty."""
        ...

    def page(
        self, profile: SourceProfile, resource: str, since: int, after: str, within: str = ""
    ) -> Page:
        """Rows created at or after `since` (seconds), that stand after one; or one row's members.

        Raises Unavailable, NotAuthenticated, NotFound ``poll.place`` (no such row to go on after).
        """
        ...

    def document(self, resource: str, within: str, rows: Sequence[Mapping[str, Any]]) -> Any:
        """Rows as they are kept: JSON that a reader of `pardna.formats` takes."""
        ...


class PaymentAnswers(Protocol):
    """Whoever sent payment files and waits for what banks say of them."""

    def apply(self, tenant_id: str, statuses: Sequence[PaymentStatus], correlation_id: str) -> None:
        """Apply a bank's answer; the same answer again changes nothing. Raises Unavailable."""
        ...


class LargeObjects(Protocol):
    """Whoever reads objects that are too large for the usual road."""

    def hand_over(self, key: RawKey, correlation_id: str, replay_id: str = "") -> None:
        """Announce an object, once; for a replay once more. Raises Unavailable."""
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


class SourceHistory(Protocol):
    """What a source's earlier deliveries were like. All raise Unavailable."""

    def past(self, tenant_id: str, source_id: str, raw_sha256: str, most: int) -> list[Past]:
        """Its accepted deliveries but that of these bytes, newest first."""
        ...

    def last_sequence(
        self, tenant_id: str, source: str, currency: str, day: date, raw_sha256: str
    ) -> str:
        """The number of the account's last statement up to a day, but those of these bytes; or empty."""
        ...

    def remember(
        self,
        tenant_id: str,
        source_id: str,
        raw_sha256: str,
        received_at: datetime,
        format_name: str,
        facts: Facts,
    ) -> None:
        """Keep what a delivery is like; again changes nothing. One write."""
        ...


class RawRestriction(Protocol):
    """Closes raw objects to everyone who need not read them."""

    def restrict(self, key: RawKey) -> None:
        """Close the bytes of a key; again changes nothing. One write. Raises Unavailable."""
        ...
