"""The listening SFTP server, which can refuse connections and change its host key while it runs."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import Any

import asyncssh

from local.bank.desk import Desk
from local.bank.faults import Faults
from local.bank.sftp import Counter, Door


class Listener:
    """Opens and closes the port. All methods run on the event loop."""

    def __init__(self, desk: Desk, faults: Faults, host_key: Path, authorized_keys: Path) -> None:
        self._desk = desk
        self._faults = faults
        self._key = host_key_in(host_key)
        self._other_key = asyncssh.generate_private_key("ssh-ed25519")
        self._authorized_keys = authorized_keys
        self._acceptor: asyncssh.SSHAcceptor | None = None
        self._connections: weakref.WeakSet[Any] = weakref.WeakSet()
        self.port = 0

    async def open(self, port: int) -> int:
        """Listen on the loopback address; returns the port. Raises `OSError`."""
        self._acceptor = await asyncssh.listen(
            "127.0.0.1",
            port,
            server_factory=self._door,
            server_host_keys=[self._shown_key()],
            sftp_factory=lambda channel: Counter(channel, self._desk, self._faults),
            allow_scp=False,
            reuse_address=True,
        )
        self.port = self._acceptor.get_port()
        return self.port

    async def apply(self) -> None:
        """Make the port do what the planned faults say."""
        refuse = self._faults.active("refuse")
        if refuse and self._acceptor is not None:
            await self.close()
        elif not refuse and self._acceptor is None:
            await self.open(self.port)
        if self._acceptor is not None:
            self._acceptor.update(server_host_keys=[self._shown_key()])

    async def close(self) -> None:
        """Stop listening and break what is connected."""
        if self._acceptor is None:
            return
        self._acceptor.close()
        for connection in list(self._connections):
            connection.abort()
        await self._acceptor.wait_closed()
        self._acceptor = None

    def public_key(self) -> str:
        """The host key to pin, as in a known-hosts file: algorithm and base64."""
        return " ".join(self._key.export_public_key().decode().split()[:2])

    def _door(self) -> Door:
        listener = self

        class Known(Door):
            def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
                listener._connections.add(conn)

        return Known(self._authorized_keys, self._faults)

    def _shown_key(self) -> asyncssh.SSHKey:
        return self._other_key if self._faults.active("changed_host_key") else self._key


def host_key_in(path: Path) -> asyncssh.SSHKey:
    """The private host key in a file, made there when there is none."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_bytes(asyncssh.generate_private_key("ssh-ed25519").export_private_key())
    return asyncssh.read_private_key(path)
