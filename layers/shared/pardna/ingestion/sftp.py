"""Partners' folders over SFTP, behind the door that pins host keys (`pardna.runtime.sftp`)."""

from __future__ import annotations

import math
import stat
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace

import paramiko

from pardna.ingestion.credentials import credential_of, replaced
from pardna.ingestion.model import SftpPlace, SourceProfile
from pardna.ingestion.ports import RemoteFile, RemoteFolder
from pardna.runtime import sftp
from pardna.runtime.errors import (
    Conflict,
    InvalidInput,
    NotFound,
    NotPermitted,
    Unavailable,
)
from pardna.runtime.public_hosts import Dial, dial_public
from pardna.runtime.secrets import RenewableSecrets

#: What is asked for ahead, and so at most held in memory: fills a line of 80 MB/s at 50 ms.
_WINDOW = 4 * 1024 * 1024


class SftpFolders:
    """`RemoteFolders`: signs in with the key or the password that the source's secret holds."""

    def __init__(
        self,
        secrets: RenewableSecrets,
        timeouts: sftp.Timeouts | None = None,
        dial: Dial = dial_public,
    ) -> None:
        self._secrets = secrets
        self._dial = dial
        self._timeouts = timeouts or sftp.Timeouts()

    @contextmanager
    def open(self, profile: SourceProfile, seconds: float = math.inf) -> Iterator[RemoteFolder]:
        """See `RemoteFolders`."""
        place = profile.sftp
        if place is None:
            raise InvalidInput("source.sftp", "this source has no server")
        limit = 0.0 if math.isinf(seconds) else max(seconds, 0.1)
        timeouts = replace(self._timeouts, session_seconds=limit)
        credential = credential_of(self._secrets, place.secret_id, "sftp")
        with sftp.renewing(
            lambda one: self._session(place, one, timeouts),
            credential,
            lambda: replaced(self._secrets, place.secret_id, "sftp", credential),
        ) as client:
            yield _Folder(client, place.out_dir)

    def _session(
        self, place: SftpPlace, credential: tuple[str, ...], timeouts: sftp.Timeouts
    ) -> AbstractContextManager[paramiko.SFTPClient]:
        key, password = credential
        return sftp.connect(
            place.host,
            place.port,
            place.user,
            place.host_key,
            private_key_pem=key,
            password="" if key else password,
            timeouts=timeouts,
            dial=self._dial,
        )


class _Folder:
    """`RemoteFolder` on an open session."""

    def __init__(self, client: paramiko.SFTPClient, path: str) -> None:
        self._client = client
        self._path = path.rstrip("/") or "."

    def files(self) -> Iterator[RemoteFile]:
        """See `RemoteFolder`. Links and folders are not files."""
        with _answers(missing_is_trouble=True):
            for found in sftp.entries(self._client, self._path):
                if stat.S_ISREG(found.st_mode or 0) and found.st_size is not None:
                    yield _file(str(found.filename), found)

    def stat(self, name: str) -> RemoteFile:
        """See `RemoteFolder`."""
        with _answers():
            return _file(name, self._client.lstat(self._at(name)))

    def blocks(self, name: str, offset: int, end: int) -> Generator[bytes, None, None]:
        """See `RemoteFolder`. Asks ahead by a window, so that memory stays bounded."""
        with _answers():
            remote = self._client.open(self._at(name), "rb")
            try:
                yield from sftp.read_ahead(self._client, remote, offset, end, _WINDOW)
            except sftp.EndOfFile:
                raise NotFound("sftp.shorter", "the file is shorter by now") from None
            finally:
                # A line that broke cannot say goodbye.
                with suppress(paramiko.SSHException, EOFError, OSError):
                    remote.close()

    def move(self, name: str, folder: str, new_name: str) -> None:
        """See `RemoteFolder`. Plain rename, which replaces nothing."""
        target = sftp.wire_name(f"{folder.rstrip('/')}/{new_name}")
        with _answers():
            try:
                self._client.lstat(target)
            except FileNotFoundError:
                self._client.rename(self._at(name), target)
                return
            raise Conflict("sftp.name_taken", "a file of this name is there")

    def put_empty(self, name: str) -> None:
        """See `RemoteFolder`."""
        with _answers(), self._client.open(self._at(name), "wb"):
            pass

    def _at(self, name: str) -> str:
        # paramiko takes bytes as they are, and its stubs know text only.
        return sftp.wire_name(f"{self._path}/{name}")  # type: ignore[return-value]


def _file(name: str, attributes: paramiko.SFTPAttributes) -> RemoteFile:
    return RemoteFile(name, attributes.st_size or 0, int(attributes.st_mtime or 0))


@contextmanager
def _answers(*, missing_is_trouble: bool = False) -> Iterator[None]:
    """The server's answers about files, named; a broken line is named by the door."""
    try:
        yield
    except FileNotFoundError:
        if missing_is_trouble:
            raise Unavailable("sftp.no_folder", "the folder is not there") from None
        raise NotFound("sftp.no_file", "the file is not there any more") from None
    except PermissionError as error:
        raise NotPermitted("sftp.forbidden", "the server does not let us do this") from error
    except OSError as error:
        if sftp.line_broke(error):
            raise
        raise NotPermitted("sftp.refused", "the server refuses, and does not say why") from error
