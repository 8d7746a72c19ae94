"""A real SFTP server in a thread, on loopback, that can also break on demand."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh

USER = "pardna"
PASSWORD = "only-for-tests"


@dataclass
class SftpServer:
    """Where it listens, what it shows, and how it shall fail."""

    root: Path
    host: str = "127.0.0.1"
    port: int = 0
    key: asyncssh.SSHKey = field(
        default_factory=lambda: asyncssh.generate_private_key("ssh-ed25519")
    )
    client_key: asyncssh.SSHKey = field(
        default_factory=lambda: asyncssh.generate_private_key("ssh-ed25519")
    )
    #: Cut the line when a write reaches this many bytes of a file; None means never.
    cut_after_bytes: int | None = None
    #: Cut the line right after the next rename took effect, before it is answered.
    cut_after_rename: bool = False
    connections: list[Any] = field(default_factory=list)

    @property
    def host_key(self) -> str:
        """The line to pin."""
        return " ".join(self.key.export_public_key().decode().split()[:2])

    @property
    def private_key_pem(self) -> str:
        """What the client signs in with."""
        return self.client_key.export_private_key().decode()


class _Files(asyncssh.SFTPServer):
    def __init__(self, channel: Any, server: SftpServer) -> None:
        super().__init__(channel, chroot=str(server.root).encode())
        self._connection = channel.get_connection()
        self._server = server

    def write(self, file_obj: Any, offset: int, data: bytes) -> int:
        limit = self._server.cut_after_bytes
        if limit is not None and offset + len(data) > limit:
            super().write(file_obj, offset, data[: max(0, limit - offset)])
            file_obj.flush()
            self._server.cut_after_bytes = None
            self._connection.abort()
            raise asyncssh.SFTPConnectionLost("cut")
        return super().write(file_obj, offset, data)

    def rename(self, oldpath: bytes, newpath: bytes) -> None:
        super().rename(oldpath, newpath)
        if self._server.cut_after_rename:
            self._server.cut_after_rename = False
            self._connection.abort()
            raise asyncssh.SFTPConnectionLost("cut")


class _Door(asyncssh.SSHServer):
    def __init__(self, server: SftpServer) -> None:
        self._server = server

    def connection_made(self, conn: Any) -> None:
        self._server.connections.append(conn)

    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == (USER, PASSWORD)

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return bool(
            username == USER
            and key.export_public_key() == self._server.client_key.export_public_key()
        )


@contextmanager
def running_sftp(root: Path) -> Iterator[SftpServer]:
    """A server over `root` until the block ends."""
    server = SftpServer(root)
    loop = asyncio.new_event_loop()
    listening = threading.Event()

    async def serve() -> None:
        listener = await asyncssh.create_server(
            lambda: _Door(server),
            server.host,
            0,
            server_host_keys=[server.key],
            sftp_factory=lambda channel: _Files(channel, server),
        )
        server.port = listener.get_port()
        listening.set()
        await stopping.wait()
        listener.close()
        for connection in server.connections:
            connection.abort()
        await asyncio.gather(*(c.wait_closed() for c in server.connections))
        await listener.wait_closed()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*others, return_exceptions=True)

    stopping = asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    assert listening.wait(10), "the SFTP server did not start"
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stopping.set)
        thread.join(10)
        loop.close()
