"""The SFTP side: one user per bank, a key each, `in/` writable and the rest readable.

A payment file counts as complete when it is closed, or renamed, under a name that does not end in
`.part`; it is then processed before the client hears that its request succeeded.
"""

# ruff: noqa: ARG002 - the signatures are those of the asyncssh methods that are overridden

from __future__ import annotations

import asyncio
import os
from pathlib import Path, PurePosixPath
from typing import Any

import asyncssh
from asyncssh.constants import FXF_APPEND, FXF_CREAT, FXF_TRUNC, FXF_WRITE

from local.bank.desk import Desk
from local.bank.faults import Faults
from local.bank.folders import PART_SUFFIX
from local.bank.model import BANKS

_WRITES = FXF_WRITE | FXF_APPEND | FXF_CREAT | FXF_TRUNC


class Door(asyncssh.SSHServer):
    """Who may come in: a bank's user with a key from the file of authorised keys.

    The file is read at each attempt, so it may be written after the start.
    """

    def __init__(self, authorized_keys: Path, faults: Faults) -> None:
        self._authorized_keys = authorized_keys
        self._faults = faults

    def begin_auth(self, username: str) -> bool:
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        if username not in BANKS or self._faults.take("locked_out", username):
            return False
        return any(key.public_data == known.public_data for known in self._known())

    def _known(self) -> list[asyncssh.SSHKey]:
        if not self._authorized_keys.exists():
            return []
        lines = self._authorized_keys.read_text(encoding="utf-8").splitlines()
        return [asyncssh.import_public_key(line) for line in lines if line.strip()]


class Counter(asyncssh.SFTPServer):
    """One client's session in one bank's folders."""

    def __init__(self, channel: Any, desk: Desk, faults: Faults) -> None:
        self._user: str = channel.get_extra_info("username")
        self._desk = desk
        self._faults = faults
        self._uploads: dict[int, Path] = {}
        self._broken = False
        super().__init__(channel, chroot=os.fsencode(desk.folders[self._user].home))

    def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> object:
        if not pflags & _WRITES:
            return super().open(path, pflags, attrs)
        target = self._upload(path)
        self._desk.upload_started(target)
        opened = super().open(path, pflags, attrs)
        self._uploads[id(opened)] = target
        return opened

    async def read(self, file_obj: Any, offset: int, size: int) -> bytes:
        await self._dawdle()
        cut = self._faults.find("cut_download", self._user)
        if cut is not None:
            if offset >= cut.after_bytes:
                self._faults.take("cut_download", self._user)
                self._break()
            size = min(size, cut.after_bytes - offset)
        file_obj.seek(offset)
        data: bytes = file_obj.read(size)
        return data

    async def write(self, file_obj: Any, offset: int, data: bytes) -> int:
        await self._dawdle()
        if self._faults.take("disk_full", self._user):
            raise asyncssh.SFTPFailure("No space left on device")
        cut = self._faults.find("cut_upload", self._user)
        if cut is not None and offset + len(data) > cut.after_bytes:
            file_obj.seek(offset)
            file_obj.write(data[: max(0, cut.after_bytes - offset)])
            self._faults.take("cut_upload", self._user)
            self._break()
        file_obj.seek(offset)
        written: int = file_obj.write(data)
        return written

    def close(self, file_obj: Any) -> None:
        super().close(file_obj)
        target = self._uploads.pop(id(file_obj), None)
        # A file whose connection broke was never finished: it stays marked, and is not processed.
        if target is None or self._broken or self.channel.is_closing():
            return
        self._finish(target)

    def rename(self, oldpath: bytes, newpath: bytes) -> None:
        old, new = self._upload(oldpath), self._upload(newpath)
        if new.exists():
            raise asyncssh.SFTPFailure("File already exists")
        os.rename(old, new)
        self._finish(new)

    def posix_rename(self, oldpath: bytes, newpath: bytes) -> None:
        old, new = self._upload(oldpath), self._upload(newpath)
        os.replace(old, new)
        self._finish(new)

    def remove(self, path: bytes) -> None:
        os.remove(self._upload(path))

    def setstat(self, path: bytes, attrs: asyncssh.SFTPAttrs) -> None:
        self._upload(path)

    def fsetstat(self, file_obj: Any, attrs: asyncssh.SFTPAttrs) -> None:
        """Clients set times and modes after a transfer; banks ignore them."""

    def mkdir(self, path: bytes, attrs: asyncssh.SFTPAttrs) -> None:
        raise asyncssh.SFTPPermissionDenied("Folders are fixed")

    def rmdir(self, path: bytes) -> None:
        raise asyncssh.SFTPPermissionDenied("Folders are fixed")

    def symlink(self, oldpath: bytes, newpath: bytes) -> None:
        raise asyncssh.SFTPPermissionDenied("No links")

    def link(self, oldpath: bytes, newpath: bytes) -> None:
        raise asyncssh.SFTPPermissionDenied("No links")

    def _finish(self, target: Path) -> None:
        self._desk.upload_ended(target)
        if target.suffix == PART_SUFFIX:
            return
        self._desk.sweep()
        if self._faults.take("drop_reply", self._user):
            self._break()

    def _upload(self, path: bytes) -> Path:
        """The local path of a file directly in `in/`; anything else is refused."""
        asked = PurePosixPath(os.fsdecode(path))
        folder = PurePosixPath("/") / asked
        if folder.parent != PurePosixPath("/in") or folder.name.startswith("."):
            raise asyncssh.SFTPPermissionDenied("Only in/ can be written")
        return Path(os.fsdecode(self.map_path(path)))

    async def _dawdle(self) -> None:
        slow = self._faults.find("slow", self._user)
        if slow is not None:
            await asyncio.sleep(slow.delay_ms / 1000)

    def _break(self) -> None:
        """Break the connection without an answer, as a network does."""
        self._broken = True
        self.channel.get_connection().abort()
        raise asyncssh.SFTPConnectionLost("cut")
