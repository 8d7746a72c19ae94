"""Partners' folders over SFTP, behind the door that pins host keys (`pardna.runtime.sftp`)."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import contextmanager

import paramiko

from pardna.ingestion.model import SourceProfile
from pardna.ingestion.ports import RemoteFile, RemoteFolder, SecretParts
from pardna.runtime import sftp
from pardna.runtime.errors import InvalidInput, NotFound, TooLarge, Unavailable

_BLOCK = 256 * 1024


class SftpFolders:
    """`RemoteFolders`: signs in with the key or the password that the source's secret holds."""

    def __init__(self, secrets: SecretParts, timeouts: sftp.Timeouts | None = None) -> None:
        self._secrets = secrets
        self._timeouts = timeouts or sftp.Timeouts()

    @contextmanager
    def open(self, profile: SourceProfile) -> Iterator[RemoteFolder]:
        """See `RemoteFolders`."""
        place = profile.sftp
        if place is None:
            raise InvalidInput("source.sftp", "this source has no server")
        key = self._secrets.part(place.secret_id, "private_key")
        password = "" if key else self._secrets.part(place.secret_id, "password")
        with sftp.connect(
            place.host,
            place.port,
            place.user,
            place.host_key,
            private_key_pem=key,
            password=password,
            timeouts=self._timeouts,
        ) as client:
            yield _Folder(client, place.out_dir)


class _Folder:
    """`RemoteFolder` on an open session."""

    def __init__(self, client: paramiko.SFTPClient, path: str) -> None:
        self._client = client
        self._path = path.rstrip("/") or "."

    def files(self) -> list[RemoteFile]:
        """See `RemoteFolder`."""
        with _answers(missing_is_trouble=True):
            listed = self._client.listdir_attr(self._path)
        found = [_file(a.filename, a) for a in listed if stat.S_ISREG(a.st_mode or 0)]
        return sorted(found, key=lambda f: f.name)

    def stat(self, name: str) -> RemoteFile:
        """See `RemoteFolder`."""
        with _answers():
            return _file(name, self._client.stat(f"{self._path}/{name}"))

    def read(self, name: str, size_max: int) -> bytes:
        """See `RemoteFolder`. Reads ahead, and stops at `size_max` whatever the server says."""
        blocks, size = [], 0
        with _answers(), self._client.open(f"{self._path}/{name}", "rb") as remote:
            announced = remote.stat().st_size or 0
            if announced > size_max:
                raise TooLarge("sftp.too_large", "the file is larger than we take")
            remote.prefetch(announced)
            while block := remote.read(_BLOCK):
                size += len(block)
                if size > size_max:
                    raise TooLarge("sftp.too_large", "the file is larger than it said")
                blocks.append(block)
        return b"".join(blocks)


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
        raise Unavailable("sftp.forbidden", "the server lets us not read this") from error
