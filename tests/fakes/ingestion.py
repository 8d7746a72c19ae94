"""Ingestion's ports in memory, each able to fail on demand."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from threading import Lock
from typing import Any, BinaryIO

from pardna.formats.model import PaymentStatus
from pardna.ingestion.event_gaps import Activity, PolledEvent
from pardna.ingestion.model import Captured, RawKey, Receipt, SourceProfile, receipt_id, sha256
from pardna.ingestion.ports import Page, RawPage, RemoteFile, RemoteFolder, StoredPart
from pardna.ingestion.schedules import Schedule
from pardna.ingestion.upload_model import Upload, UploadLink, UploadState
from pardna.runtime.clock import Clock, utc_now
from pardna.runtime.errors import Conflict, NotFound, NotPermitted, PardnaError, Unavailable


@dataclass
class MemoryRawObject:
    """`RawObject`."""

    key: RawKey
    data: bytes
    receipt: Receipt

    @property
    def size(self) -> int:
        return len(self.data)

    def file(self) -> BinaryIO:
        if not self.key.receipt and sha256(self.data) != self.key.raw_sha256:
            raise Conflict("raw.hash_differs", "the bytes are not those of the key")
        return io.BytesIO(self.data)


class MemoryRawStore:
    """`RawStore`; held to the same contract tests as S3's."""

    def __init__(self, written_at: datetime = datetime(2026, 1, 31, 12, tzinfo=UTC)) -> None:
        self.objects: dict[str, tuple[bytes, Receipt]] = {}
        self.written_at = written_at
        self.fail_next = 0
        self._lock = Lock()

    def put_once(self, tenant_id: str, data: bytes, receipt: Receipt) -> Captured:
        with self._lock:
            if self.fail_next:
                self.fail_next -= 1
                raise Unavailable("raw.unavailable", "told to fail")
            key = RawKey(tenant_id, sha256(data))
            created = str(key) not in self.objects
            self.objects.setdefault(str(key), (data, receipt))
            return Captured(key.raw_sha256, created)

    def put_named(self, tenant_id: str, data: bytes, receipt: Receipt) -> Captured:
        captured = self.put_once(tenant_id, data, receipt)
        key = RawKey(tenant_id, captured.raw_sha256)
        first = self.objects[str(key)][1]
        if (first.source_id, first.name) != (receipt.source_id, receipt.name):
            other = replace(key, receipt=receipt_id(receipt.source_id, receipt.name))
            self.objects.setdefault(str(other), (b"", receipt))
        return captured

    def get(self, key: RawKey) -> tuple[bytes, Receipt]:
        if str(key) not in self.objects:
            raise NotFound("raw.not_found", "there are no such bytes")
        data, receipt = self.objects[str(key)]
        if not key.receipt and sha256(data) != key.raw_sha256:
            raise Conflict("raw.hash_differs", "the bytes are not those of the key")
        return data, receipt

    @contextmanager
    def open(self, key: RawKey) -> Iterator[MemoryRawObject]:
        if str(key) not in self.objects:
            raise NotFound("raw.not_found", "there are no such bytes")
        data, receipt = self.objects[str(key)]
        yield MemoryRawObject(key, data, receipt)

    def page(self, tenant_id: str, after: str, before: datetime, limit: int) -> RawPage:
        ours = [k for k in sorted(self.objects) if k.startswith(f"raw/{tenant_id}/") and k > after]
        found = ours[:limit]
        keys = tuple(RawKey.parse(k) for k in found if self.written_at < before)
        return RawPage(keys, found[-1] if len(ours) > limit else "")


class MemorySources:
    """`Sources`; held to the same contract tests as DynamoDB's."""

    def __init__(self, *profiles: SourceProfile) -> None:
        self.profiles = {(p.tenant_id, p.source_id): p for p in profiles}
        self.cursors: dict[tuple[str, str], str] = {}

    def get(self, tenant_id: str, source_id: str) -> SourceProfile:
        if (tenant_id, source_id) not in self.profiles:
            raise NotFound("source.not_found", "there is no such source")
        return self.profiles[tenant_id, source_id]

    def put(self, profile: SourceProfile) -> None:
        key = (profile.tenant_id, profile.source_id)
        before = self.profiles.get(key)
        enabled, schedules = (before.enabled, before.schedules) if before else (True, {})
        self.profiles[key] = replace(profile, enabled=enabled, schedules=schedules)

    def by_channel(self, channel: str) -> list[SourceProfile]:
        return [
            p
            for _, p in sorted(self.profiles.items())
            if p.enabled and channel in p.channels and channel not in p.schedules
        ]

    def of_tenant(self, tenant_id: str, after: str, limit: int) -> list[SourceProfile]:
        found = [p for k, p in sorted(self.profiles.items()) if k[0] == tenant_id and k[1] > after]
        return found[:limit]

    def switch(self, profile: SourceProfile) -> None:
        before = self.get(profile.tenant_id, profile.source_id)
        changed = replace(before, enabled=profile.enabled, schedules=profile.schedules)
        self.profiles[profile.tenant_id, profile.source_id] = changed

    def cursor(self, tenant_id: str, source_id: str) -> str:
        self.get(tenant_id, source_id)
        return self.cursors.get((tenant_id, source_id), "")

    def set_cursor(self, tenant_id: str, source_id: str, cursor: str) -> None:
        self.cursors[tenant_id, source_id] = cursor


class MemorySchedules:
    """`Schedules`; fails at the `fail_at`-th write from now."""

    def __init__(self) -> None:
        self.schedules: dict[str, Schedule] = {}
        self.fail_at = 0

    def put(self, schedule: Schedule) -> None:
        self._write()
        self.schedules[schedule.name] = schedule

    def remove(self, schedule: Schedule) -> None:
        self._write()
        self.schedules.pop(schedule.name, None)

    def _write(self) -> None:
        self.fail_at -= 1
        if self.fail_at == 0:
            raise Unavailable("schedule.unavailable", "told to fail")


class MemoryVault:
    """`SecretVault`."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}

    def read(self, secret_id: str) -> str:
        return self.texts.get(secret_id, "")

    def write(self, secret_id: str, text: str) -> None:
        self.texts[secret_id] = text


class FixedSecrets:
    """`RenewableSecrets`; `after` is what a renewal finds."""

    def __init__(
        self,
        parts: Mapping[str, Mapping[str, str]],
        after: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        self.parts = parts
        self.after = after

    def renew(self, secret_id: str) -> bool:
        if self.after is None:
            return False
        self.parts, self.after = self.after, None
        return True

    def part(self, secret_id: str, name: str) -> str:
        if secret_id not in self.parts:
            raise NotFound("secret.not_found", "there is no such secret")
        return self.parts[secret_id].get(name, "")


class MemoryArrivals:
    """`Arrivals` and `Fetched`; held to the same contract tests as S3's."""

    def __init__(self, raw: MemoryRawStore) -> None:
        self.raw = raw
        self.objects: dict[str, bytes] = {}

    def put(self, key: str, data: bytes) -> StoredPart:
        self.objects[key] = data
        return self.find(key)

    def find(self, key: str) -> StoredPart:
        if key not in self.objects:
            raise NotFound("arrival.not_found", "there are no such bytes")
        return StoredPart(key, len(self.objects[key]), sha256(self.objects[key]))

    def pieces(self, tenant_id: str, arrival: str) -> list[StoredPart]:
        found: list[StoredPart] = []
        while (key := f"pieces/{tenant_id}/{arrival}/{len(found) + 1:05d}") in self.objects:
            found.append(self.find(key))
        return found

    def keep(self, tenant_id: str, arrival: str, number: int, data: bytes) -> StoredPart:
        return self.put(f"pieces/{tenant_id}/{arrival}/{number:05d}", data)

    def read(self, part: StoredPart) -> Iterator[bytes]:
        if self.find(part.key) != part:
            raise NotFound("arrival.not_found", "other bytes by now")
        yield self.objects[part.key]

    def hand_over(
        self, tenant_id: str, raw_sha256: str, parts: Sequence[StoredPart], receipt: Receipt
    ) -> Captured:
        data = b"".join(block for part in parts for block in self.read(part))
        assert sha256(data) == raw_sha256
        return self.raw.put_named(tenant_id, data, receipt)

    def fetched(self, tenant_id: str, source_id: str) -> set[str]:
        prefix = f"fetched/{tenant_id}/{source_id}/"
        return {k.removeprefix(prefix) for k in self.objects if k.startswith(prefix)}

    def mark_fetched(self, tenant_id: str, source_id: str, arrival: str) -> None:
        self.put(f"fetched/{tenant_id}/{source_id}/{arrival}", b"")


@dataclass
class MemoryFolder:
    """`RemoteFolder` and `RemoteFolders`: files that may grow, and servers that may refuse.

    `read_count` is the bytes that went over the line; `cut_after` cuts it once after so many.
    """

    contents: dict[str, bytes] = field(default_factory=dict)
    growing: set[str] = field(default_factory=set)
    refusals: list[PardnaError] = field(default_factory=list)
    forbidden: set[str] = field(default_factory=set)
    moved: dict[str, bytes] = field(default_factory=dict)
    cut_after: int | None = None
    read_count: int = 0
    opened: int = 0
    block: int = 4

    @contextmanager
    def open(self, profile: SourceProfile, seconds: float = math.inf) -> Iterator[RemoteFolder]:
        self.opened += 1
        if self.refusals:
            raise self.refusals.pop(0)
        yield self

    def files(self) -> Iterator[RemoteFile]:
        yield from [self.stat(name) for name in sorted(self.contents)]

    def stat(self, name: str) -> RemoteFile:
        if name not in self.contents:
            raise NotFound("sftp.no_file", "gone")
        return RemoteFile(name, len(self.contents[name]), 1)

    def blocks(self, name: str, offset: int, end: int) -> Generator[bytes, None, None]:
        if name in self.forbidden:
            raise NotPermitted("sftp.forbidden", "no")
        self.stat(name)
        data = self.contents[name]
        for at in range(offset, end, self.block):
            if self.cut_after is not None and self.read_count >= self.cut_after:
                self.cut_after = None
                raise Unavailable("sftp.unavailable", "cut")
            block = data[at : min(at + self.block, end)]
            self.read_count += len(block)
            yield block
        if name in self.growing:
            self.contents[name] = data + b"more"

    def move(self, name: str, folder: str, new_name: str) -> None:
        self.stat(name)
        if f"{folder}/{new_name}" in self.moved:
            raise Conflict("sftp.name_taken", "there")
        self.moved[f"{folder}/{new_name}"] = self.contents.pop(name)

    def put_empty(self, name: str) -> None:
        self.contents[name] = b""


class FixedPoller:
    """`ProviderPoller`: what a processor's API would list, in pages of `page_rows`.

    `refusals` are raised by the next pages; `dies_at` counts pages down to a death.
    """

    def __init__(
        self,
        lists: Mapping[str, Sequence[Mapping[str, Any]]],
        members: Mapping[str, Sequence[str]] | None = None,
        page_rows: int = 2,
    ) -> None:
        self.lists = {name: list(rows) for name, rows in lists.items()}
        self.within = dict(members or {})
        self.page_rows = page_rows
        self.refusals: list[PardnaError] = []
        self.asked: list[tuple[str, int, str, str]] = []

    def resources(self) -> Sequence[str]:
        return tuple(self.lists)

    def members(self, resource: str) -> str:
        return "balance_transactions" if resource == "payouts" else ""

    def page(
        self, profile: SourceProfile, resource: str, since: int, after: str, within: str = ""
    ) -> Page:
        self.asked.append((resource, since, after, within))
        if self.refusals:
            raise self.refusals.pop(0)
        rows = sorted(self.lists[resource], key=lambda r: (-r["created"], r["id"]))
        rows = [r for r in rows if r["created"] >= since]
        if within:
            rows = [r for r in rows if r["id"] in self.within[within]]
        ids = [r["id"] for r in rows]
        if after and after not in ids:
            raise NotFound("poll.place", "no such row")
        start = ids.index(after) + 1 if after else 0
        chosen = rows[start : start + self.page_rows]
        return Page(tuple(chosen), len(rows) > start + self.page_rows)

    def document(self, resource: str, within: str, rows: Sequence[Mapping[str, Any]]) -> Any:
        return {
            "object": "pardna.stripe_listing",
            "resource": resource,
            "payout": within or None,
            "data": rows,
        }


class CollectingAnswers:
    """`PaymentAnswers`; fails while `fail_next` lasts."""

    def __init__(self) -> None:
        self.applied: list[tuple[str, tuple[PaymentStatus, ...]]] = []
        self.fail_next = 0

    def apply(self, tenant_id: str, statuses: Sequence[PaymentStatus], correlation_id: str) -> None:
        if self.fail_next:
            self.fail_next -= 1
            raise Unavailable("database.unavailable", "told to fail")
        self.applied.append((tenant_id, tuple(statuses)))


class CountingDrain:
    """`Drain`; fails while `fail_next` lasts."""

    def __init__(self) -> None:
        self.drained: list[str] = []
        self.fail_next = 0

    def drain(self, tenant_id: str, at_most: int | None = None) -> int:
        if self.fail_next:
            self.fail_next -= 1
            raise Unavailable("aws.unavailable", "told to fail")
        self.drained.append(tenant_id)
        return 0


class MemoryEventBook:
    """`EventBook`; `hear` is what recording a webhook does. Fails while `fail_next` lasts."""

    def __init__(self) -> None:
        self.told: dict[tuple[str, str], dict[str, datetime]] = {}
        self.polled: dict[tuple[str, str], dict[str, tuple[datetime, datetime]]] = {}
        self.fail_next = 0

    def hear(self, tenant_id: str, source_id: str, event_id: str) -> None:
        self.told.setdefault((tenant_id, source_id), {}).setdefault(event_id, datetime.now(UTC))

    def remember(
        self, tenant_id: str, source_id: str, raw_sha256: str, events: Sequence[PolledEvent]
    ) -> int:
        if self.fail_next:
            self.fail_next -= 1
            raise Unavailable("database.unavailable", "told to fail")
        known = self.polled.setdefault((tenant_id, source_id), {})
        new = [e.event_id for e in events if e.event_id not in known]
        now = datetime.now(UTC)
        for e in events:
            known.setdefault(e.event_id, (e.occurred_at, now))
        return len(self._gaps(tenant_id, source_id).keys() & set(new))

    def activity(self, tenant_id: str, source_id: str) -> Activity:
        told = self.told.get((tenant_id, source_id), {})
        gaps = self._gaps(tenant_id, source_id)
        return Activity(
            None, max(told.values(), default=None), max(gaps.values(), default=None), len(gaps)
        )

    def _gaps(self, tenant_id: str, source_id: str) -> dict[str, datetime]:
        """When each gap was filled."""
        told = self.told.get((tenant_id, source_id), {})
        if not told:
            return {}
        first = min(told.values()).replace(microsecond=0)
        known = self.polled.get((tenant_id, source_id), {})
        return {i: told_at for i, (at, told_at) in known.items() if i not in told and at >= first}


class MemoryPendingBook:
    """`PendingBook`; `delivered` says whether a delivery names bytes. Fails while `fail_next` lasts."""

    def __init__(self, delivered: Callable[[RawKey], bool], clock: Clock = utc_now) -> None:
        self.begun: dict[RawKey, datetime] = {}
        self._clock = clock
        self.places: dict[str, str] = {}
        self.fail_next = 0
        self._delivered = delivered

    def begin(self, key: RawKey, receipt: Receipt) -> None:
        if self.fail_next:
            self.fail_next -= 1
            raise Unavailable("database.unavailable", "told to fail")
        if not self._delivered(key):
            self.begun[key] = self._clock()

    def waiting(self, tenant_id: str, before: datetime, limit: int) -> list[RawKey]:
        self.begun = {k: at for k, at in self.begun.items() if not self._delivered(k)}
        found = [k for k, at in self.begun.items() if k.tenant_id == tenant_id and at < before]
        return sorted(found, key=lambda k: self.begun[k])[:limit]

    def place(self, tenant_id: str) -> str:
        return self.places.get(tenant_id, "")

    def set_place(self, tenant_id: str, place: str) -> None:
        self.places[tenant_id] = place


class CollectingLargeObjects:
    """`LargeObjects`."""

    def __init__(self) -> None:
        self.handed_over: list[RawKey] = []

    def hand_over(self, key: RawKey, correlation_id: str) -> None:
        self.handed_over.append(key)


class MemoryUploads:
    """`Uploads`; held to the same contract tests as DynamoDB's."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, str], Upload] = {}

    def announce(self, upload: Upload) -> None:
        if (upload.tenant_id, upload.upload_id) in self.known:
            raise Conflict("upload.exists", "announced before")
        self.known[upload.tenant_id, upload.upload_id] = upload

    def get(self, tenant_id: str, upload_id: str) -> Upload:
        if (tenant_id, upload_id) not in self.known:
            raise NotFound("upload.not_found", "there is no such upload")
        return self.known[tenant_id, upload_id]

    def settle(self, upload: Upload) -> Upload:
        known = self.get(upload.tenant_id, upload.upload_id)
        if known.state is UploadState.AWAITING:
            self.known[upload.tenant_id, upload.upload_id] = upload
        return self.get(upload.tenant_id, upload.upload_id)


class MemoryLinks:
    """`UploadLinks`."""

    def link(self, key: str, size: int, seconds: int) -> UploadLink:
        return UploadLink("memory://arrivals", {"key": key, "size": str(size)})
