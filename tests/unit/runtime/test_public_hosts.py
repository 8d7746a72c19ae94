"""Hosts that tenants name are reached on the public internet only, whatever a name answers."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from pardna.runtime.errors import InvalidInput, UntrustedHost
from pardna.runtime.public_hosts import (
    check_host,
    dial_anywhere,
    dial_public,
    dialer,
    is_public,
)

PUBLIC = ("8.8.8.8", "1.1.1.1", "::ffff:8.8.8.8", "2606:4700:4700::1111", "2a00:1450:4009::200e")
NOT_PUBLIC = (
    *("127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "255.255.255.255"),
    *("10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "198.18.0.1"),
    *("169.254.169.254", "169.254.170.2", "169.254.100.1", "192.0.0.8", "192.0.2.1", "240.0.0.1"),
    *("224.0.0.1", "239.255.255.250", "203.0.113.9", "198.51.100.1"),
    *("::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1"),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1"),
    *("64:ff9b::7f00:1", "64:ff9b:1::1", "2002:7f00:1::", "2002:a00:1::1", "2001:0:7f00:1::"),
    *("2001:db8::1", "100::1"),
    *("", "localhost", "8.8.8.8.example", "127.1", "0x7f000001", "2130706433", "[::1]"),
)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_what_only_we_can_reach_is_not(address: str) -> None:
    assert not is_public(address)


@pytest.fixture
def listener() -> Iterator[tuple[int, list[Any]]]:
    """A server on loopback, and who came."""
    came: list[Any] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)

        def accept() -> None:
            while not done.is_set():
                try:
                    line, where = server.accept()
                except TimeoutError:
                    continue
                came.append(where)
                line.close()

        done = threading.Event()
        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield server.getsockname()[1], came
        finally:
            done.set()
            thread.join()


#: Ways to write the loopback address; what a resolver does not know is no way either.
LOOPBACK = (
    *("127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "0x7f.0.0.1", "017700000001"),
    *("0.0.0.0", "0", "::1", "::ffff:127.0.0.1", "LOCALHOST", "localhost."),
)


@pytest.mark.parametrize("host", LOOPBACK)
def test_no_way_to_write_loopback_leads_there(listener: tuple[int, list[Any]], host: str) -> None:
    port, came = listener
    with pytest.raises((UntrustedHost, socket.gaierror)):
        dial_public(host, port, 1.0)
    assert came == []
    with dial_anywhere("127.0.0.1", port, 1.0) as line:
        assert line.getpeername()[1] == port


@pytest.mark.parametrize("host", [h for h in LOOPBACK if h not in ("LOCALHOST", "localhost.")])
def test_nor_is_it_registered(host: str) -> None:
    with pytest.raises(InvalidInput, match=r"host\.not_public"):
        check_host(host)


@pytest.mark.parametrize("host", ["a" * 300, "..", "x..example", "a b", "\x00", "\ud800", "%"])
def test_what_cannot_be_a_name_is_no_crash(host: str) -> None:
    check_host(host)
    with pytest.raises(OSError):  # noqa: PT011  (each resolver has its own words)
        dial_public(host, 22, 1.0)


class Answers:
    """A resolver whose answers change, and where connections go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> None:
        self.answers, self.asked, self.went = list(answers), 0, list[str]()
        monkeypatch.setattr(socket, "getaddrinfo", self.resolve)
        monkeypatch.setattr(socket.socket, "connect", self.connect)

    def resolve(self, _host: str, port: int, **_: Any) -> list[Any]:
        self.asked += 1
        found = self.answers[min(self.asked, len(self.answers)) - 1]
        return [
            (
                socket.AF_INET6 if ":" in a else socket.AF_INET,
                socket.SOCK_STREAM,
                6,
                "",
                (a, port, 0, 0) if ":" in a else (a, port),
            )
            for a in found
        ]

    def connect(self, where: tuple[Any, ...]) -> None:
        self.went.append(where[0])
        raise ConnectionRefusedError


def test_a_name_that_answers_differently_the_next_time_gains_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = Answers(monkeypatch, ["8.8.8.8"], ["127.0.0.1"])
    with pytest.raises(ConnectionRefusedError):
        dial_public("rebinding.example", 22, 1.0)
    assert (answers.asked, answers.went) == (1, ["8.8.8.8"])
    with pytest.raises(UntrustedHost):
        dial_public("rebinding.example", 22, 1.0)
    assert answers.went == ["8.8.8.8"]


def test_of_mixed_answers_only_public_ones_are_tried_and_not_too_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    many = [f"8.8.4.{n}" for n in range(9)]
    answers = Answers(monkeypatch, ["10.0.0.1", "169.254.169.254", "::1", *many])
    with pytest.raises(ConnectionRefusedError):
        dial_public("mixed.example", 22, 1.0)
    assert answers.went == many[:4]
    with pytest.raises(InvalidInput):
        check_host("mixed.example")


def test_only_a_laptop_reaches_its_own_machine() -> None:
    assert dialer("local") is dial_anywhere
    for stage in ("production", "staging", "dev", "", "LOCAL"):
        assert dialer(stage) is dial_public
