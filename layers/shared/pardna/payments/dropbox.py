"""A bank's folders over SFTP: uploaded beside the name, then renamed, then looked at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import paramiko

from pardna.payments.model import PayingBank, SftpAddress
from pardna.payments.ports import Dropbox
from pardna.runtime import sftp
from pardna.runtime.errors import Conflict
from pardna.runtime.public_hosts import Dial, dial_public
from pardna.runtime.secrets import RenewableSecrets, replaced

PART = ".part"


class SftpDropbox:
    """`Dropbox` on an SFTP session."""

    def __init__(self, files: paramiko.SFTPClient, in_dir: str, done_dir: str) -> None:
        self._files = files
        self._in = in_dir.rstrip("/")
        self._done = done_dir.rstrip("/")

    def find(self, name: str) -> int | None:
        """See `Dropbox`. `in` first, then `done`: a file that moves meanwhile is seen in one."""
        waiting = self._size(f"{self._in}/{name}")
        return waiting if waiting is not None else self._size(f"{self._done}/{name}")

    def has_part(self, name: str) -> bool:
        """See `Dropbox`."""
        return self._size(f"{self._in}/{name}{PART}") is not None

    def put_part(self, name: str, content: bytes) -> None:
        """See `Dropbox`. paramiko asks for the size afterwards and raises when it differs."""
        with self._files.open(f"{self._in}/{name}{PART}", "wb") as out:
            out.set_pipelined(True)
            out.write(content)
        size = self._size(f"{self._in}/{name}{PART}")
        if size != len(content):
            raise Conflict("payment.part_differs", "the uploaded bytes are not all there")

    def complete(self, name: str) -> None:
        """See `Dropbox`. Plain rename, which does not replace a file (posix_rename would)."""
        try:
            self._files.rename(f"{self._in}/{name}{PART}", f"{self._in}/{name}")
        except OSError as error:
            if self.find(name) is None:
                raise
            raise Conflict("payment.name_taken", "a file of this name is there") from error

    def _size(self, path: str) -> int | None:
        try:
            size = self._files.stat(path).st_size
        except FileNotFoundError:
            return None
        return int(size or 0)


class SftpDropboxes:
    """`Dropboxes` over SFTP. A key or password that was replaced meanwhile is taken up at once."""

    def __init__(self, secrets: RenewableSecrets, dial: Dial = dial_public) -> None:
        self._secrets = secrets
        self._dial = dial

    @contextmanager
    def open(self, tenant_id: str, bank: PayingBank) -> Iterator[Dropbox]:  # noqa: ARG002  (a bank's address is whole)
        """See `Dropboxes`."""
        at = bank.sftp
        used = self._credential(at.secret_id)
        with sftp.renewing(
            lambda one: self._session(at, one),
            used,
            lambda: replaced(
                self._secrets, at.secret_id, lambda: self._credential(at.secret_id), used
            ),
        ) as files:
            yield SftpDropbox(files, at.in_dir, at.done_dir)

    def _credential(self, secret_id: str) -> tuple[str, str]:
        """The private key, or else the password."""
        key = self._secrets.part(secret_id, "private_key")
        is_key = key.lstrip().startswith("-----BEGIN")
        return (key, "") if is_key else ("", self._secrets.part(secret_id, "password"))

    def _session(
        self, at: SftpAddress, credential: tuple[str, str]
    ) -> AbstractContextManager[paramiko.SFTPClient]:
        key, password = credential
        return sftp.connect(
            at.host,
            at.port,
            at.user,
            at.host_key,
            private_key_pem=key,
            password=password,
            dial=self._dial,
        )
