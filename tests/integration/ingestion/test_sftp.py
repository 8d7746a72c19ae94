"""Pulling from real SFTP servers (OpenSSH's, MiniStack's Transfer Family, and asyncssh's), over lines
and from hosts that do not play along."""

from __future__ import annotations

import hashlib
import os
import socket
import time
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from pardna.ingestion.fetch import FetchFile
from pardna.ingestion.pull import PullFiles
from pardna.ingestion.retry import Retry
from pardna.ingestion.sftp import SftpFolders
from pardna.runtime.deadline import SecondsLeft, for_ever
from pardna.runtime.errors import NotPermitted, SignInRefused, Unavailable, UntrustedHost
from pardna.runtime.public_hosts import dial_anywhere
from pardna.runtime.sftp import Timeouts
from tests.fakes.ingestion import FixedSecrets, MemoryArrivals, MemoryRawStore, MemorySources
from tests.support.bad_line import running_line
from tests.support.ingestion import NOON, a_bank_source
from tests.support.openssh import running_openssh
from tests.support.sftp_server import PASSWORD, USER, running_sftp
from tests.support.transfer_family import ObjectPath, TransferFamily, running_transfer_family

SECRET = "/pardna/local/kgn-one/ncb"
PIECE = 256 * 1024
BIG = bytes(range(256)) * 8_000  # 2 MB: eight pieces


@pytest.fixture(autouse=True)
def _little_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is under way when a line breaks is lost: at most this much."""
    monkeypatch.setattr("pardna.ingestion.sftp._WINDOW", 64 * 1024)


@dataclass
class Server:
    """A server, however it is made."""

    root: Path | ObjectPath
    host: str
    port: int
    user: str
    host_key: str
    parts: dict[str, str]

    @property
    def out(self) -> Any:
        return self.root / "out"

    @property
    def is_bucket(self) -> bool:
        """Whether its files are objects: no links, no folders, no permissions, names in UTF-8."""
        return isinstance(self.root, ObjectPath)

    def put(self, name: bytes, data: bytes) -> None:
        """A file in ``out``, whatever its name."""
        if self.is_bucket:
            (self.out / name.decode()).write_bytes(data)
        else:
            Path(os.fsdecode(os.fsencode(self.out) + b"/" + name)).write_bytes(data)

    def folder(self, name: str) -> Any:
        """A folder that the server may write to, whoever it runs as."""
        path = self.root / name
        path.mkdir(parents=True)
        path.chmod(0o777)
        return path


@pytest.fixture(scope="module")
def transfer_family() -> Iterator[TransferFamily]:
    with running_transfer_family() as family:
        yield family


@pytest.fixture(params=["openssh", "ministack", "asyncssh"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    if request.param == "ministack":
        at = request.getfixturevalue("transfer_family").account()
        key = {"private_key": at.private_key_pem}
        yield Server(at.root, at.host, at.port, at.user, at.host_key, key)
        return
    if request.param == "openssh":
        with running_openssh() as ssh:
            key = {"private_key": ssh.private_key_pem}
            yield Server(ssh.root, ssh.host, ssh.port, ssh.user, ssh.host_key, key)
        return
    (tmp_path / "out").mkdir()
    with running_sftp(tmp_path) as running:
        password = {"password": PASSWORD}
        yield Server(tmp_path, running.host, running.port, USER, running.host_key, password)


class Puller:
    """Everything real but the stores."""

    def __init__(
        self,
        server: Server,
        parts: dict[str, str] | None = None,
        tries: int = 3,
        replaced: dict[str, str] | None = None,
        **place: Any,
    ) -> None:
        self.raw = MemoryRawStore()
        self.arrivals = MemoryArrivals(self.raw)
        self.pauses: list[float] = []
        profile = a_bank_source()
        assert profile.sftp is not None
        at = {
            "host": server.host,
            "port": server.port,
            "user": server.user,
            "host_key": server.host_key,
            "settle_seconds": 0,
        }
        known = {SECRET: server.parts if parts is None else parts}
        secrets = FixedSecrets(known, {SECRET: replaced} if replaced else None)
        self.service = PullFiles(
            MemorySources(replace(profile, sftp=replace(profile.sftp, **at | place))),
            SftpFolders(secrets, Timeouts(read_seconds=5), dial_anywhere),
            FetchFile(self.raw, self.arrivals, self.arrivals, lambda: NOON, piece=PIECE),
            Retry(attempts=tries, sleep=self.pauses.append, fraction=lambda: 0.0),
            lambda _: None,
        )

    @property
    def bytes_kept(self) -> list[bytes]:
        return sorted(data for data, _ in self.raw.objects.values())

    @property
    def names_kept(self) -> list[str]:
        return sorted(receipt.name for _, receipt in self.raw.objects.values())


def test_files_are_fetched_whole_once_and_left_where_they_are(server: Server) -> None:
    (server.out / "a.xml").write_bytes(b"a")
    (server.out / "big.sta").write_bytes(BIG)
    (server.out / "empty.csv").write_bytes(b"")
    (server.out / "later.xml.part").write_bytes(b"half")
    (server.out / "folder").mkdir()
    if not server.is_bucket:
        (server.out / "link.xml").symlink_to(server.out / "a.xml")
    with running_line(server.host, server.port) as line:
        puller = Puller(server, port=line.port)
        assert puller.service.pull().new_count == 3
        assert puller.bytes_kept == sorted([b"", b"a", BIG])
        over_the_line = line.passed_count
        assert over_the_line > len(BIG)
        assert puller.service.pull().new_count == 0
        assert line.passed_count - over_the_line < len(BIG) / 10, "it was fetched again"
    assert len(list(server.out.iterdir())) == (5 if server.is_bucket else 6)


def test_a_password_opens_as_well_as_a_key(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.xml").write_bytes(b"a")
    with running_sftp(tmp_path) as running:
        at = Server(tmp_path, running.host, running.port, USER, running.host_key, {})
        for parts in ({"private_key": running.private_key_pem}, {"password": PASSWORD}):
            assert Puller(at, parts).service.pull().new_count == 1


@pytest.mark.parametrize("cuts", [[700_000], [300_000, 600_000]], ids=["once", "twice"])
def test_a_cut_in_the_middle_of_a_file_costs_only_what_was_on_the_line(
    server: Server, cuts: list[int]
) -> None:
    (server.out / "big.sta").write_bytes(BIG)
    with running_line(server.host, server.port) as line:
        line.cuts = list(cuts)
        puller = Puller(server, port=line.port)
        assert puller.service.pull().new_count == 1
        assert line.connections_count == len(cuts) + 1
        assert len(puller.pauses) == len(cuts)
        # Every cut costs a handshake and what was asked for ahead, never the file again.
        assert line.passed_count < len(BIG) * 1.2
    assert puller.bytes_kept == [BIG]


def test_a_line_that_always_cuts_ends_in_an_alarm_and_the_next_pull_goes_on(
    server: Server,
) -> None:
    (server.out / "big.sta").write_bytes(BIG)
    with running_line(server.host, server.port) as line:
        line.cuts = [400_000] * 3
        puller = Puller(server, port=line.port)
        with pytest.raises(Unavailable, match=r"sftp\.unavailable"):
            puller.service.pull()
        assert puller.bytes_kept == []
        before = line.passed_count
        assert puller.service.pull().new_count == 1
        assert line.passed_count - before < len(BIG) * 0.75, "it began from the start"
    assert puller.bytes_kept == [BIG]


def clock_down(seconds: float) -> SecondsLeft:
    end = time.monotonic() + seconds
    return lambda: end - time.monotonic()


def test_a_slow_line_is_left_in_time_and_continued_until_the_file_is_whole(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pardna.ingestion.pull.MARGIN_SECONDS", 0.5)
    (server.out / "big.sta").write_bytes(BIG)
    with running_line(server.host, server.port) as line:
        puller = Puller(server, port=line.port)
        line.bytes_per_second = 1_000_000
        pulls = 0
        while not puller.bytes_kept:
            pulls += 1
            pulled = puller.service.pull(seconds_left=clock_down(2.0))
            assert pulled.left_count + pulled.new_count == 1
            assert pulls < 20
        assert pulls > 1, "two megabytes at one a second do not come in one second and a half"
        assert line.passed_count < len(BIG) * 2
    assert puller.bytes_kept == [BIG]


def test_a_server_that_drips_does_not_hold_us(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pardna.ingestion.pull.MARGIN_SECONDS", 1.0)
    (server.out / "big.sta").write_bytes(BIG)
    with running_line(server.host, server.port) as line:
        line.bytes_per_second = 400
        puller = Puller(server, port=line.port)
        begun = time.monotonic()
        with pytest.raises(Unavailable):
            puller.service.pull(seconds_left=clock_down(4.0))
        assert time.monotonic() - begun < 60, "each single wait is short; all of them are not"


def test_a_file_that_grows_or_vanishes_while_it_is_read_is_left(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    (server.out / "gone.xml").write_bytes(b"gone")
    (server.out / "growing.sta").write_bytes(BIG)
    (server.out / "shrinking.sta").write_bytes(BIG)
    (server.out / "still.xml").write_bytes(b"still")
    puller = Puller(server)
    look = puller.service._finished

    def then_they_change(*given: Any) -> Any:
        found = look(*given)
        (server.out / "gone.xml").unlink()
        with (server.out / "growing.sta").open("ab") as out:
            out.write(b"more")
        (server.out / "shrinking.sta").write_bytes(BIG[:1000])
        return found

    monkeypatch.setattr(PullFiles, "_finished", lambda _, *given: then_they_change(*given))
    assert puller.service.pull().new_count == 1
    assert puller.bytes_kept == [b"still"]
    monkeypatch.undo()
    assert puller.service.pull().new_count == 2
    assert puller.bytes_kept == sorted([b"still", BIG + b"more", BIG[:1000]])


def test_a_file_that_may_not_be_read_is_told_and_the_others_come(server: Server) -> None:
    (server.out / "a.xml").write_bytes(b"a")
    (server.out / "b.xml").write_bytes(b"b")
    (server.out / "a.xml").chmod(0)
    if server.user == USER and os.access(server.out / "a.xml", os.R_OK):
        pytest.skip("this server runs as whoever may read everything; the other one does not")
    puller = Puller(server)
    with pytest.raises(NotPermitted, match=r"sftp\.forbidden"):
        puller.service.pull()
    assert puller.bytes_kept == [b"b"]
    assert puller.pauses == []


def test_an_archive_that_refuses_is_told_and_nothing_is_lost_or_fetched_twice(
    server: Server,
) -> None:
    if server.is_bucket:
        pytest.skip("a bucket has no folder that is not there")
    (server.out / "a.xml").write_bytes(b"a")
    puller = Puller(server, archive_dir="nowhere/at-all")
    puller.service.pull()  # a folder that is not there: the server's answer is "no such file"
    assert puller.bytes_kept == [b"a"]
    assert (server.out / "a.xml").exists()
    server.folder("nowhere")
    server.folder("nowhere/at-all")
    assert puller.service.pull().new_count == 0
    assert (server.root / "nowhere" / "at-all" / "a.xml").read_bytes() == b"a"
    assert list(server.out.iterdir()) == []


def test_archived_files_leave_and_names_may_come_again(server: Server) -> None:
    old = server.folder("old")
    puller = Puller(server, archive_dir="old")
    for content in (b"monday", b"tuesday"):
        (server.out / "statement.xml").write_bytes(content)
        assert puller.service.pull().new_count == 1
    assert list(server.out.iterdir()) == []
    assert sorted(p.read_bytes() for p in old.iterdir()) == [
        b"monday",
        b"tuesday",
    ]


def test_markers_of_both_sides_are_heeded(server: Server) -> None:
    (server.out / "a.xml").write_bytes(b"a")
    puller = Puller(server, ready_marker=".ok", done_marker=".done")
    assert puller.service.pull().seen_count == 0
    (server.out / "a.xml.ok").write_bytes(b"")
    assert puller.service.pull().new_count == 1
    assert (server.out / "a.xml.done").read_bytes() == b""
    assert puller.service.pull().new_count == 0
    assert puller.names_kept == ["a.xml"]


HOSTILE = [
    b"latin-\xe9\xff.xml",
    "größe ∑.xml".encode(),
    b"new\nline.xml",
    "right-to-left\u202elmx.xml".encode(),
    b"..xml",
    b"a" * 250 + b".xml",
    b"back\\slash.xml",
    b"%2e%2e%2fx.xml",
    b"--help.xml",
    b"[a-z]*.xml",
]


def test_names_cannot_lead_us_anywhere_nor_hide_each_other(server: Server) -> None:
    # A bucket's names are text: the first is of no encoding that it knows.
    for number, name in list(enumerate(HOSTILE))[server.is_bucket :]:
        server.put(name, b"%d" % number)
    puller = Puller(server)
    wanted = [b"0", b"1", b"5", b"7", b"8", b"9"][server.is_bucket :]
    assert puller.service.pull().new_count == len(wanted)
    assert puller.bytes_kept == wanted
    assert "größe ∑.xml" in puller.names_kept
    assert all(name.encode().decode() == name for name in puller.names_kept)
    assert puller.service.pull().new_count == 0


def test_objects_whose_keys_lead_elsewhere_are_no_files(transfer_family: TransferFamily) -> None:
    at = transfer_family.account()
    key = {"private_key": at.private_key_pem}
    server = Server(at.root, at.host, at.port, at.user, at.host_key, key)
    (server.out / "a.xml").write_bytes(b"a")
    (at.root / "secret.xml").write_bytes(b"secret")
    for trick in ("../secret.xml", "/secret.xml", "./secret.xml", "..", ".", "folder/b.xml"):
        (server.out / trick).write_bytes(b"trick")
    puller = Puller(server)
    assert puller.service.pull().new_count == 1
    assert (puller.bytes_kept, puller.names_kept) == ([b"a"], ["a.xml"])


def test_a_huge_listing_is_read_and_only_what_is_asked_for_is_fetched(server: Server) -> None:
    for number in range(1_000 if server.is_bucket else 5_000):  # one request each
        (server.out / f"log-{number}.txt").write_bytes(b"")
    (server.out / "a.xml").write_bytes(b"a")
    puller = Puller(server, include=("*.xml", "*.sta"))
    pulled = puller.service.pull()
    assert (pulled.seen_count, pulled.new_count) == (1, 1)


def test_memory_does_not_grow_with_the_file(server: Server) -> None:
    block = os.urandom(1024 * 1024)
    with (server.out / "big.csv").open("wb") as out:
        for _ in range(48):
            out.write(block)
    digest = hashlib.sha256(block * 48).hexdigest()
    puller = Puller(server)
    sizes: list[int] = []
    puller.arrivals.keep = lambda t, a, n, d: _only_counted(sizes, n, d)  # type: ignore[method-assign]
    handed: list[str] = []
    puller.arrivals.hand_over = lambda t, d, p, r: handed.append(d)  # type: ignore[method-assign,func-returns-value,return-value,assignment]
    puller.service.fetcher.done.mark_fetched = lambda *_: None  # type: ignore[method-assign]
    tracemalloc.start()
    try:
        with pytest.raises(AttributeError):  # the stand-in for the store hands nothing back
            puller.service.pull()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert handed == [digest]
    assert sum(sizes) == 48 * 1024 * 1024
    assert peak < 24 * 1024 * 1024


def _only_counted(sizes: list[int], number: int, data: bytes) -> Any:
    from pardna.ingestion.ports import StoredPart

    sizes.append(len(data))
    return StoredPart(f"{number}", len(data), "e")


def test_a_changed_host_key_is_an_error_at_once_and_nothing_is_fetched(server: Server) -> None:
    (server.out / "a.xml").write_bytes(b"a")
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    puller = Puller(server, host_key=other)
    with pytest.raises(UntrustedHost, match=r"sftp\.host_key_changed"):
        puller.service.pull()
    assert puller.pauses == []
    assert puller.bytes_kept == []


@pytest.mark.parametrize("with_key", [True, False], ids=["key", "password"])
def test_a_refused_sign_in_is_told_at_once_lest_it_locks_the_account(
    server: Server, with_key: bool
) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()
    with running_line(server.host, server.port) as line:
        parts = {"private_key": other} if with_key else {"password": "wrong"}
        puller = Puller(server, parts, port=line.port)
        with pytest.raises(SignInRefused, match=r"sftp\.sign_in_refused"):
            puller.service.pull()
        assert line.connections_count == 1


def test_a_server_that_is_down_is_tried_again_then_told(server: Server) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    puller = Puller(server, port=port)
    with pytest.raises(Unavailable, match=r"sftp\.unavailable"):
        puller.service.pull(seconds_left=for_ever)
    assert len(puller.pauses) == 2


def test_a_folder_that_is_not_there_is_told(server: Server) -> None:
    if server.is_bucket:
        pytest.skip("a bucket has no folder that is not there: it is shown empty")
    puller = Puller(server, out_dir="nowhere")
    with pytest.raises(Unavailable, match=r"sftp\.no_folder"):
        puller.service.pull()


def test_a_credential_that_was_replaced_is_taken_up_by_the_visit_that_finds_it(
    server: Server,
) -> None:
    server.put(b"a.xml", b"one")
    wrong = {"password": "not the one any more"}
    puller = Puller(server, wrong, replaced=server.parts)
    assert puller.service.pull().new_count == 1
    assert puller.pauses == []  # it was no line that broke
    again = Puller(server, wrong, replaced=wrong)
    with pytest.raises(SignInRefused):
        again.service.pull()
