"""Pull files from partners' SFTP servers. Nothing is deleted there; any number of pulls, one effect."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from pardna.ingestion.fetch import FetchFile, Waits, arrival_name
from pardna.ingestion.model import Captured, SftpPlace, SourceProfile
from pardna.ingestion.ports import RemoteFile, RemoteFolder, RemoteFolders, Sources
from pardna.ingestion.retry import Retry
from pardna.ingestion.visits import due
from pardna.runtime.deadline import SecondsLeft, for_ever
from pardna.runtime.errors import InvalidInput, NotPermitted, PardnaError, TooLarge, Unavailable
from pardna.runtime.observability import count, logger

FILE_BYTES_MAX = 5 * 1024**3
#: Names that a folder may list; one that holds more needs an archive.
LISTED_MAX = 200_000
#: Seconds kept to store what has come when the time is nearly over.
MARGIN_SECONDS = 30.0
#: Seconds that each server may have at least, as long as there are any.
SHARE_SECONDS_MIN = 120.0
#: What an upload that is still going on is called.
_UNFINISHED = (".part", ".partial", ".filepart", ".tmp", ".swp")


@dataclass(slots=True)
class Pulled:
    """How many files were looked at, were new to us, and are left for the next pull."""

    seen_count: int = 0
    new_count: int = 0
    left_count: int = 0


@dataclass(slots=True)
class _Visit:
    """What one visit to one server brought; it survives a broken line and a second try."""

    pulled: Pulled = field(default_factory=Pulled)
    bytes_count: int = 0
    was_begun: bool = False
    trouble: PardnaError | None = None


@dataclass(frozen=True, slots=True)
class PullFiles:
    """The use case. `pause` waits between two looks at a folder."""

    sources: Sources
    folders: RemoteFolders
    fetcher: FetchFile
    retry: Retry
    pause: Callable[[float], None]

    def pull(
        self, tenant_id: str = "", source_id: str = "", seconds_left: SecondsLeft = for_ever
    ) -> Pulled:
        """Fetch from one source, or from every source of files of every tenant.

        One server's trouble does not stop the others, nor one file's the other files. After the
        last try of a server ``SftpPullFailed`` is counted, and the last error is raised at the end,
        so that the function fails and the alarm rings. What the time does not suffice for is left,
        and continued by the next pull. Raises NotFound for an unknown source.
        """
        profiles = due(self.sources, "sftp", tenant_id, source_id)
        # Begin elsewhere each time, so that when time is short it is not always the same who wait.
        first = int(self.retry.fraction() * len(profiles)) % max(len(profiles), 1)
        profiles = profiles[first:] + profiles[:first]
        total, trouble = Pulled(), None
        for waiting, profile in zip(range(len(profiles), 0, -1), profiles, strict=True):
            # A slow server uses up its own share of the time, not that of those behind it.
            left = seconds_left()
            share = max(left / waiting, SHARE_SECONDS_MIN)
            until = 0.0 if math.isinf(left) else max(left - share, 0.0)
            error = self._visit(profile, lambda u=until: seconds_left() - u, total)  # type: ignore[misc]
            trouble = error or trouble
        count("FilesPulled", total.new_count)
        if trouble is not None:
            raise trouble
        return total

    def _visit(
        self, profile: SourceProfile, seconds_left: SecondsLeft, total: Pulled
    ) -> PardnaError | None:
        """One server, tried again while its line breaks; its trouble is counted and returned."""
        visit = _Visit()
        try:
            self.retry.run("sftp pull", lambda: self._one(profile, seconds_left, visit))
        except PardnaError as error:
            visit.trouble = error
        pulled = visit.pulled
        if not visit.was_begun:
            count("SftpPullPostponed")
        elif visit.trouble is None and pulled.left_count and not visit.bytes_count:
            visit.trouble = Unavailable("sftp.too_slow", "nothing came in all the time there was")
        total.seen_count += pulled.seen_count
        total.new_count += pulled.new_count
        total.left_count += pulled.left_count
        if visit.trouble is not None:
            logger.error(
                "Pull failed",
                tenant_id=profile.tenant_id,
                source_id=profile.source_id,
                error_code=visit.trouble.code,
            )
            count("SftpPullFailed")
        return visit.trouble

    def _one(self, profile: SourceProfile, seconds_left: SecondsLeft, visit: _Visit) -> None:
        """One session with one server. What was kept before a cut is kept; the next try goes on."""
        place = profile.sftp
        if place is None:
            raise InvalidInput("source.sftp", "this source has no server")
        visit.pulled, visit.trouble = Pulled(new_count=visit.pulled.new_count), None
        if seconds_left() < MARGIN_SECONDS:
            visit.pulled.left_count += 1
            return
        visit.was_begun = True
        known = self.fetcher.done.fetched(profile.tenant_id, profile.source_id)
        with self.folders.open(profile, seconds_left() - MARGIN_SECONDS / 2) as folder:
            listed = self._finished(folder, place, known)
            for file, has_marker in listed:
                if seconds_left() < MARGIN_SECONDS:
                    visit.pulled.left_count += 1
                    continue
                visit.pulled.seen_count += 1
                try:
                    if arrival_name(file) in known or self._fetch(
                        folder, profile, file, seconds_left, visit
                    ):
                        self.fetcher.tidy(folder, place, file, has_marker)
                except (NotPermitted, TooLarge) as error:
                    # The server's word on this file; the others may be fine.
                    logger.info("File not fetched", error_code=error.code, size=file.size)
                    count("SftpFileRefused")
                    visit.trouble = error

    def _fetch(
        self,
        folder: RemoteFolder,
        profile: SourceProfile,
        file: RemoteFile,
        seconds_left: SecondsLeft,
        visit: _Visit,
    ) -> bool:
        """Whether the file is ours now."""
        if file.size > FILE_BYTES_MAX:
            raise TooLarge("sftp.too_large", "the file is larger than we take")

        def progressed(size: int) -> None:
            visit.bytes_count += size

        came = self.fetcher.fetch(
            folder, profile, file, lambda: seconds_left() < MARGIN_SECONDS, progressed
        )
        if isinstance(came, Captured):
            visit.pulled.new_count += came.created
            return True
        logger.info("File not taken this time", reason=came.value)
        visit.pulled.left_count += came is Waits.OUT_OF_TIME
        return False

    def _finished(
        self, folder: RemoteFolder, place: SftpPlace, known: set[str]
    ) -> list[tuple[RemoteFile, bool]]:
        """Finished files, oldest first, each with whether our marker stands beside it."""
        first, markers = _look(folder, place)
        if place.settle_seconds and any(arrival_name(f) not in known for f in first):
            self.pause(float(place.settle_seconds))
            second, markers = _look(folder, place)
            first &= second
        ready = [
            f for f in first if not place.ready_marker or f.name + place.ready_marker in markers
        ]
        return [
            (f, bool(place.done_marker) and f.name + place.done_marker in markers)
            for f in sorted(ready, key=lambda f: (f.modified, f.name))
        ]


def _look(folder: RemoteFolder, place: SftpPlace) -> tuple[set[RemoteFile], set[str]]:
    """The files that a source asks for, and the names of markers. Only these are held in memory."""
    endings = tuple(e for e in (place.ready_marker, place.done_marker) if e)
    files, markers = set[RemoteFile](), set[str]()
    for file in folder.files():
        if endings and file.name.endswith(endings):
            markers.add(file.name)
        elif wanted(file.name, place.include):
            files.add(file)
        if len(files) + len(markers) > LISTED_MAX:
            raise TooLarge("sftp.listing", f"more than {LISTED_MAX} files: an archive is needed")
    return files, markers


def wanted(name: str, include: Iterable[str]) -> bool:
    """Whether a listed name is a finished file that a source asks for.

    A name that a server makes up to point elsewhere (a path, ``..``) or to look like another
    (control and direction characters) is never one.
    """
    if "/" in name or "\\" in name or name.startswith(".") or len(name) > 255:
        return False
    if any(unicodedata.category(c) in ("Cc", "Cf") for c in name):
        return False
    if name.lower().endswith(_UNFINISHED):
        return False
    return any(fnmatchcase(name, pattern) for pattern in include)
