"""Pulling from a real SFTP server: keys, passwords, cuts, and a host that is not who it was."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from pardna.ingestion.pull import PullFiles
from pardna.ingestion.retry import Retry
from pardna.ingestion.sftp import SftpFolders
from pardna.runtime.errors import Unavailable, UntrustedHost
from tests.fakes.ingestion import FixedSecrets, MemoryRawStore, MemorySources
from tests.support.ingestion import NOON, a_bank_source
from tests.support.sftp_server import PASSWORD, USER, SftpServer, running_sftp

SECRET = "/pardna/local/kgn-one/ncb"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SftpServer]:
    (tmp_path / "out").mkdir()
    with running_sftp(tmp_path) as running:
        yield running


class Puller:
    """Everything real but the store."""

    def __init__(self, server: SftpServer, parts: dict[str, str], **place: Any) -> None:
        self.raw = MemoryRawStore()
        self.pauses: list[float] = []
        profile = a_bank_source()
        assert profile.sftp is not None
        at = {"host": server.host, "port": server.port, "user": USER, "host_key": server.host_key}
        profile = replace(profile, sftp=replace(profile.sftp, **at | place))
        self.service = PullFiles(
            MemorySources(profile),
            SftpFolders(FixedSecrets({SECRET: parts})),
            self.raw,
            lambda: NOON,
            Retry(attempts=3, sleep=self.pauses.append, fraction=lambda: 0.0),
        )

    @property
    def bytes_kept(self) -> list[bytes]:
        return sorted(data for data, _ in self.raw.objects.values())


@pytest.mark.parametrize("how", ["key", "password"])
def test_files_are_fetched_whole_and_left_where_they_are(server: SftpServer, how: str) -> None:
    parts = {"private_key": server.private_key_pem} if how == "key" else {"password": PASSWORD}
    big = bytes(range(256)) * 8_000
    out = server.root / "out"
    (out / "a.xml").write_bytes(b"a")
    (out / "big.sta").write_bytes(big)
    (out / "later.xml.part").write_bytes(b"half")
    (out / "folder").mkdir()
    puller = Puller(server, parts)
    assert puller.service.pull().new_count == 2
    assert puller.bytes_kept == sorted([b"a", big])
    assert puller.service.pull().new_count == 0
    assert len(list(out.iterdir())) == 4


def test_only_what_the_source_asks_for(server: SftpServer) -> None:
    for name in ("a.xml", "b.csv", "c.sta"):
        (server.root / "out" / name).write_bytes(name.encode())
    puller = Puller(server, {"password": PASSWORD}, include=("*.xml", "*.sta"))
    assert puller.service.pull().seen_count == 2


def test_a_changed_host_key_is_an_error_at_once_and_nothing_is_fetched(server: SftpServer) -> None:
    (server.root / "out" / "a.xml").write_bytes(b"a")
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    puller = Puller(server, {"password": PASSWORD}, host_key=other)
    with pytest.raises(UntrustedHost, match=r"sftp\.host_key_changed"):
        puller.service.pull()
    assert puller.pauses == []
    assert puller.bytes_kept == []


def test_a_server_that_is_down_is_tried_again_then_told(server: SftpServer) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    puller = Puller(server, {"password": PASSWORD}, port=port)
    with pytest.raises(Unavailable, match=r"sftp\.unavailable"):
        puller.service.pull()
    assert len(puller.pauses) == 2


def test_a_folder_that_is_not_there_is_told(server: SftpServer) -> None:
    puller = Puller(server, {"password": PASSWORD}, out_dir="nowhere")
    with pytest.raises(Unavailable, match=r"sftp\.no_folder"):
        puller.service.pull()


def test_a_file_that_may_not_be_read_is_told(server: SftpServer) -> None:
    path = server.root / "out" / "a.xml"
    path.symlink_to(server.root / "nothing")
    (server.root / "out" / "b.xml").write_bytes(b"b")
    puller = Puller(server, {"password": PASSWORD})
    assert puller.service.pull().new_count == 1
