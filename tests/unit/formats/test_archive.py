"""Archives: sound ones unpack, hostile ones are refused before they do harm."""

from __future__ import annotations

import gzip
import io
import json
import stat
import zipfile
from pathlib import Path

import pytest

from pardna import cli
from pardna.formats import archive, registry
from pardna.runtime.errors import PardnaError, TooLarge, UnreadableFile
from tests.support.formats import BANK, a_camt053, an_entry


def a_zip(*files: tuple[str | zipfile.ZipInfo, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in files:
            packed.writestr(name, data)
    return out.getvalue()


def unpacked(data: bytes) -> list[archive.Member]:
    return list(archive.members(io.BytesIO(data)))


def test_zip_and_gzip_unpack() -> None:
    assert unpacked(a_zip(("a/b.xml", b"one"), ("c.csv", b"two"))) == [
        archive.Member("b.xml", b"one"),
        archive.Member("c.csv", b"two"),
    ]
    assert unpacked(gzip.compress(b"three")) == [archive.Member("data", b"three")]


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    with pytest.raises(TooLarge) as refused:
        unpacked(a_zip(("bomb", b"\x00" * 50_000_000)))
    assert refused.value.code == "archive.bomb"
    with pytest.raises(TooLarge):
        unpacked(gzip.compress(b"\x00" * 50_000_000))


def test_many_members_together_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "BYTES_MAX", 1000)
    with pytest.raises(TooLarge, match="too_large"):
        unpacked(a_zip(*((f"f{n}", bytes(range(256))) for n in range(5))))
    monkeypatch.setattr(archive, "MEMBERS_MAX", 3)
    with pytest.raises(TooLarge, match="members"):
        unpacked(a_zip(*((f"f{n}", b"x") for n in range(5))))


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "a/../../b", "..\\..\\windows", "C:/windows/x"]
)
def test_paths_that_lead_elsewhere_are_refused(name: str) -> None:
    with pytest.raises(UnreadableFile, match="points out"):
        unpacked(a_zip((name, b"x")))


def test_links_are_refused() -> None:
    link = zipfile.ZipInfo("statement.xml")
    link.create_system = 3
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(UnreadableFile, match="link"):
        unpacked(a_zip((link, b"/etc/passwd")))


def test_broken_archives_are_refused_whatever_is_broken() -> None:
    sound = a_zip(("a", b"0123456789" * 100))
    for at in range(0, len(sound), 3):
        changed = sound[:at] + bytes([sound[at] ^ 0xFF]) + sound[at + 1 :]
        try:
            unpacked(changed)
        except PardnaError as refused:
            assert refused.code.startswith("archive.")  # noqa: PT017 - either outcome is right
    with pytest.raises(UnreadableFile):
        unpacked(sound[:40])
    with pytest.raises(UnreadableFile):
        unpacked(gzip.compress(b"x" * 100)[:-9])


def test_a_reader_says_that_it_got_an_archive() -> None:
    with pytest.raises(UnreadableFile, match="archive"):
        registry.parse(a_zip(("a", b"x")), BANK)


def test_the_command_reads_what_is_inside(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    statement = a_camt053(an_entry())
    path = tmp_path / "mail.zip"
    path.write_bytes(a_zip(("one.xml", statement), ("readme.txt", b"hello")))
    assert cli.main(["parse", str(path)]) == 1
    shown = capsys.readouterr()
    assert "ties: opening + entries = closing" in shown.out
    assert "readme.txt: refused" in shown.err
    path.write_bytes(gzip.compress(statement))
    assert cli.main(["parse", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["transactions"] == 1
