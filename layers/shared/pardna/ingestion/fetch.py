"""Fetch one file from a partner's server, in pieces, so that a cut costs only what was on the line.

Numbered write boundaries, each of which may be the last thing that a process does:
1. a piece of a large file is kept           3. the file is marked as fetched
2. the whole is handed over to the raw store 4. the file is archived, or marked, on the server
All of them may be repeated. A file that is marked is not fetched again; one that is marked and not
yet archived is archived by the next pull.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from pardna.ingestion.model import Captured, Receipt, SftpPlace, SourceProfile
from pardna.ingestion.ports import Arrivals, Fetched, RawStore, RemoteFile, RemoteFolder, StoredPart
from pardna.runtime.clock import Clock
from pardna.runtime.errors import Conflict, NotFound, Unavailable
from pardna.runtime.observability import logger

#: Bytes of a piece, and so of memory; S3 joins pieces of at least 5 MB.
PIECE = 8 * 1024 * 1024


class Waits(Enum):
    """Why a file was not taken this time."""

    CHANGING = "changing"
    GONE = "gone"
    OUT_OF_TIME = "out_of_time"
    SHARED = "shared"  # another pull replaces the pieces; one of the two will end it


@dataclass(slots=True)
class _Progress:
    """What has arrived: whole pieces that are stored, and the bytes after them."""

    pieces: list[StoredPart]
    tail: bytearray = field(default_factory=bytearray)
    hash: Any = field(default_factory=hashlib.sha256)
    fetched: int = 0

    @property
    def offset(self) -> int:
        return sum(p.size for p in self.pieces) + len(self.tail)

    def take(self, block: bytes) -> None:
        self.tail += block
        self.hash.update(block)
        self.fetched += len(block)


@dataclass(frozen=True, slots=True)
class FetchFile:
    """The use case; `piece` is the bytes of a piece."""

    raw: RawStore
    arrivals: Arrivals
    done: Fetched
    clock: Clock
    piece: int = PIECE

    def fetch(
        self,
        folder: RemoteFolder,
        profile: SourceProfile,
        file: RemoteFile,
        must_stop: Callable[[], bool],
        progressed: Callable[[int], None],
    ) -> Captured | Waits:
        """The file's bytes in the raw store, or why not yet.

        What was received before a cut, or before the time was over (`must_stop`), is kept, and the
        next call goes on from there. `progressed` is told how many bytes came. Raises Unavailable,
        NotPermitted.
        """
        arrival = arrival_name(file)
        try:
            got = self._so_far(profile.tenant_id, arrival, file.size)
        except NotFound:
            return Waits.SHARED
        try:
            complete = self._receive(folder, profile.tenant_id, arrival, file, got, must_stop)
            after = folder.stat(file.name)
        except NotFound:
            return Waits.GONE
        except Unavailable:
            self._keep_tail(profile.tenant_id, arrival, got)
            raise
        finally:
            progressed(got.fetched)
        if not complete:
            self._keep_tail(profile.tenant_id, arrival, got)
            return Waits.OUT_OF_TIME
        if (after.size, after.modified) != (file.size, file.modified):
            return Waits.CHANGING
        receipt = Receipt(profile.source_id, "sftp", shown(file.name), self.clock())
        try:
            captured = self._hand_over(profile.tenant_id, arrival, got, receipt)
        except NotFound:
            return Waits.SHARED
        self.done.mark_fetched(profile.tenant_id, profile.source_id, arrival)  # boundary 3
        return captured

    def tidy(
        self, folder: RemoteFolder, place: SftpPlace, file: RemoteFile, has_marker: bool
    ) -> None:
        """Put a fetched file away, or mark it, as the source asks. Raises NotPermitted, Unavailable.

        In an archive that knows the name already (banks re-use names) the file gets another one.
        """
        try:
            if place.archive_dir:
                self._archive(folder, place.archive_dir, file)  # boundary 4
            elif place.done_marker and not has_marker:
                folder.put_empty(file.name + place.done_marker)  # boundary 4
        except NotFound:
            logger.info("Fetched file went away by itself")

    def _archive(self, folder: RemoteFolder, archive_dir: str, file: RemoteFile) -> None:
        try:
            folder.move(file.name, archive_dir, file.name)
        except Conflict:
            folder.move(file.name, archive_dir, f"{file.name}.{arrival_name(file)[:12]}")

    def _so_far(self, tenant_id: str, arrival: str, size: int) -> _Progress:
        """What an earlier call has kept of this very file, hashed again from the store."""
        got = _Progress([])
        for part in self.arrivals.pieces(tenant_id, arrival):
            if got.offset + part.size > size or part.size > self.piece:
                return _Progress([])
            data = bytearray()
            for block in self.arrivals.read(part):
                got.hash.update(block)
                if part.size < self.piece:
                    data += block
            if part.size < self.piece:
                got.tail = data
                break
            got.pieces.append(part)
        return got

    def _receive(
        self,
        folder: RemoteFolder,
        tenant_id: str,
        arrival: str,
        file: RemoteFile,
        got: _Progress,
        must_stop: Callable[[], bool],
    ) -> bool:
        """Go on from where we are; False when the time was over before the end."""
        with closing(folder.blocks(file.name, got.offset, file.size)) as blocks:
            for block in blocks:
                got.take(block)
                if len(got.tail) >= self.piece:
                    data = bytes(got.tail[: self.piece])
                    number = len(got.pieces) + 1
                    kept = self.arrivals.keep(tenant_id, arrival, number, data)  # boundary 1
                    got.pieces.append(kept)
                    del got.tail[: self.piece]
                if must_stop():
                    return got.offset >= file.size
        return True

    def _keep_tail(self, tenant_id: str, arrival: str, got: _Progress) -> StoredPart | None:
        """Keep what is less than a piece; the next call, or the end, makes it a longer one."""
        if not got.tail:
            return None
        number = len(got.pieces) + 1
        return self.arrivals.keep(tenant_id, arrival, number, bytes(got.tail))  # boundary 1

    def _hand_over(
        self, tenant_id: str, arrival: str, got: _Progress, receipt: Receipt
    ) -> Captured:
        """One raw object: written at once when it is small, joined by the store when it is not."""
        if not got.pieces:
            return self.raw.put_named(tenant_id, bytes(got.tail), receipt)  # boundary 2
        last = self._keep_tail(tenant_id, arrival, got)
        parts = [*got.pieces, last] if last else got.pieces
        digest = got.hash.hexdigest()
        return self.arrivals.hand_over(tenant_id, digest, parts, receipt)  # boundary 2


def arrival_name(file: RemoteFile) -> str:
    """Names one state of one file: another size or time is another arrival."""
    name = file.name.encode("utf-8", "surrogateescape")
    return hashlib.sha256(b"%d\x1f%d\x1f%b" % (file.size, file.modified, name)).hexdigest()


def shown(name: str) -> str:
    """A server's name for a file as text that every store takes."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
