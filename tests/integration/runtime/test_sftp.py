"""The pinned door to a partner's SFTP server, against a real server."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import asyncssh
import pytest

from pardna.runtime import sftp
from pardna.runtime.errors import InvalidInput, Unavailable, UntrustedHost
from pardna.runtime.public_hosts import dial_anywhere
from tests.support.sftp_server import PASSWORD, USER, SftpServer, running_sftp


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SftpServer]:
    with running_sftp(tmp_path) as running:
        yield running


def test_password_and_key_both_open_the_door(server: SftpServer) -> None:
    (server.root / "hello.txt").write_text("hi")
    args = (server.host, server.port, USER, server.host_key)
    with sftp.connect(*args, password=PASSWORD, dial=dial_anywhere) as by_password:
        assert by_password.listdir(".") == ["hello.txt"]
    with sftp.connect(*args, private_key_pem=server.private_key_pem, dial=dial_anywhere) as by_key:
        assert by_key.stat("hello.txt").st_size == 2


def test_another_key_of_the_same_type_is_never_accepted(server: SftpServer) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    with (
        pytest.raises(UntrustedHost, match=r"sftp\.host_key_changed"),
        sftp.connect(server.host, server.port, USER, other, password=PASSWORD, dial=dial_anywhere),
    ):
        pass


def test_a_key_of_another_type_is_never_accepted(server: SftpServer) -> None:
    other = asyncssh.generate_private_key("ecdsa-sha2-nistp256").export_public_key().decode()
    with (
        pytest.raises(UntrustedHost, match=r"sftp\.host_key_changed"),
        sftp.connect(server.host, server.port, USER, other, password=PASSWORD, dial=dial_anywhere),
    ):
        pass


def test_a_rotation_can_be_pinned_beside_the_old_key(server: SftpServer) -> None:
    old = asyncssh.generate_private_key("ecdsa-sha2-nistp256").export_public_key().decode()
    both = f"{old}\n{server.host_key}\n"
    with sftp.connect(
        server.host, server.port, USER, both, password=PASSWORD, dial=dial_anywhere
    ) as files:
        assert files.listdir(".") == []


def test_a_server_that_is_down_is_unavailable() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    key = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    with (
        pytest.raises(Unavailable, match=r"sftp\.unavailable"),
        sftp.connect("127.0.0.1", port, USER, key, password=PASSWORD, dial=dial_anywhere),
    ):
        pass


def test_a_wrong_password_is_named(server: SftpServer) -> None:
    with (
        pytest.raises(Unavailable, match=r"sftp\.sign_in_refused"),
        sftp.connect(
            server.host, server.port, USER, server.host_key, password="wrong", dial=dial_anywhere
        ),
    ):
        pass


def test_a_line_cut_in_the_middle_of_a_file_is_unavailable(server: SftpServer) -> None:
    server.cut_after_bytes = 10
    with (
        pytest.raises(Unavailable, match=r"sftp\.unavailable"),
        sftp.connect(
            server.host, server.port, USER, server.host_key, password=PASSWORD, dial=dial_anywhere
        ) as files,
        files.open("big.part", "wb") as out,
    ):
        out.write(b"x" * 100)
    assert (server.root / "big.part").stat().st_size == 10


def test_a_missing_file_is_the_servers_answer_not_a_broken_line(server: SftpServer) -> None:
    with (
        pytest.raises(FileNotFoundError),
        sftp.connect(
            server.host, server.port, USER, server.host_key, password=PASSWORD, dial=dial_anywhere
        ) as files,
    ):
        files.stat("nothing")


@pytest.mark.parametrize("text", ["", "ssh-ed25519", "ssh-ed25519 !!!", "ssh-rsa AAAA"])
def test_an_unreadable_pin_is_refused_before_anything_is_opened(text: str) -> None:
    with (
        pytest.raises(InvalidInput, match=r"sftp\.host_key"),
        sftp.connect("127.0.0.1", 1, USER, text, password=PASSWORD, dial=dial_anywhere),
    ):
        pass
