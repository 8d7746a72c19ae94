"""Pull files from partners' SFTP servers. Nothing is deleted there; any number of pulls, one effect."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from pardna.ingestion.model import Receipt, SourceProfile
from pardna.ingestion.ports import RawStore, RemoteFile, RemoteFolder, RemoteFolders, Sources
from pardna.ingestion.retry import Retry
from pardna.runtime.clock import Clock
from pardna.runtime.errors import NotFound, PardnaError, TooLarge
from pardna.runtime.observability import count, logger

FILE_BYTES_MAX = 200 * 1024 * 1024
#: What an upload that is still going on is called.
_UNFINISHED = (".part", ".partial", ".filepart", ".tmp", ".swp")


@dataclass(frozen=True, slots=True)
class Pulled:
    """How many files were looked at, and how many of them were new to us."""

    seen_count: int
    new_count: int


@dataclass(frozen=True, slots=True)
class PullFiles:
    """The use case."""

    sources: Sources
    folders: RemoteFolders
    raw: RawStore
    clock: Clock
    retry: Retry

    def pull(self, tenant_id: str = "", source_id: str = "") -> Pulled:
        """Fetch from one source, or from every source of files of every tenant.

        One server's trouble does not stop the others. After the last try of a server
        ``SftpPullFailed`` is counted, and the last error is raised at the end, so that the
        function fails and the alarm rings. Raises NotFound for an unknown source.
        """
        profiles: Iterable[SourceProfile]
        profiles = (
            [self.sources.get(tenant_id, source_id)]
            if source_id
            else [p for p in self.sources.by_channel("sftp") if tenant_id in ("", p.tenant_id)]
        )
        seen, new, trouble = 0, 0, None
        for profile in profiles:
            try:
                pulled = self.retry.run("sftp pull", lambda p=profile: self._one(p))  # type: ignore[misc]
                seen, new = seen + pulled.seen_count, new + pulled.new_count
            except PardnaError as error:
                logger.error(
                    "Pull failed",
                    tenant_id=profile.tenant_id,
                    source_id=profile.source_id,
                    error_code=error.code,
                )
                count("SftpPullFailed")
                trouble = error
        if trouble is not None:
            raise trouble
        return Pulled(seen, new)

    def _one(self, profile: SourceProfile) -> Pulled:
        """One session with one server. What was kept before a cut is kept; the next try skips it."""
        seen, new = 0, 0
        with self.folders.open(profile) as folder:
            for file in folder.files():
                if not wanted(file.name, profile.sftp.include if profile.sftp else ("*",)):
                    continue
                data = self._whole(folder, file)
                if data is None:
                    continue
                receipt = Receipt(profile.source_id, "sftp", file.name, self.clock())
                captured = self.raw.put_named(profile.tenant_id, data, receipt)
                seen, new = seen + 1, new + captured.created
        count("FilesPulled", new)
        return Pulled(seen, new)

    def _whole(self, folder: RemoteFolder, file: RemoteFile) -> bytes | None:
        """The file's bytes, or None while it is being written, went away, or is too large."""
        try:
            data = folder.read(file.name, FILE_BYTES_MAX)
            after = folder.stat(file.name)
        except NotFound:
            return None
        except TooLarge:
            logger.info("File too large", size=file.size)
            count("SftpFileTooLarge")
            return None
        stable = file.size == len(data) == after.size and file.modified == after.modified
        if not stable:
            logger.info("File still being written")
        return data if stable else None


def wanted(name: str, include: Iterable[str]) -> bool:
    """Whether a listed name is a finished file that a source asks for.

    A name that a server makes up to point elsewhere (a path, ``..``) is never one.
    """
    if "/" in name or "\\" in name or "\x00" in name or name.startswith("."):
        return False
    if name.lower().endswith(_UNFINISHED):
        return False
    return any(fnmatchcase(name, pattern) for pattern in include)
