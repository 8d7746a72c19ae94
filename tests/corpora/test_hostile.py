"""Hostile files that no corpus can hold, made here: each is refused, in two seconds and 256 MB.

The same process and limits as for the corpora: 256 MB of address space above what interpreter and
readers take before the first file, and two seconds of processor time a file (a busy machine does not
use them up). A file that breaks a limit ends the process, and that fails the test.
"""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.corpora.reader_client import Reader
from tests.support.formats import a_camt053, an_entry

MIB = 1024 * 1024
CAMT = a_camt053(an_entry()).decode()


def zipped(*files: tuple[str, bytes], mode: int = 0) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files:
            entry = zipfile.ZipInfo(name)
            entry.external_attr = mode << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)
    return packed.getvalue()


def zip_bomb(mebibytes: int) -> bytes:
    """Zeros without end, at the best ratio that deflate has (about one to a thousand)."""
    packed = io.BytesIO()
    with (
        zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("statement.xml", "w", force_zip64=True) as member,
    ):
        for _ in range(mebibytes):
            member.write(bytes(MIB))
    return packed.getvalue()


def overlapping_bomb() -> bytes:
    """Many names for the same packed bytes (D. Fifield, 2019): the sum, not the file, is the bomb."""
    packed = io.BytesIO()
    kernel = bytes(4 * MIB)
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("0", kernel)
        first = archive.infolist()[0]
        for number in range(1, 200):
            twin = zipfile.ZipInfo(str(number))
            twin.compress_type = first.compress_type
            twin.CRC, twin.header_offset = first.CRC, first.header_offset
            twin.compress_size, twin.file_size = first.compress_size, first.file_size
            archive.filelist.append(twin)
    return packed.getvalue()


def with_doctype(definition: str, used: str) -> bytes:
    head, _, rest = CAMT.partition("<Document")
    return f"{head}<!DOCTYPE x [{definition}]><Document{rest}".replace(
        "<AcctSvcrRef>", f"<AcctSvcrRef>{used}"
    ).encode()


def laughs() -> bytes:
    lines = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
    return with_doctype(f'<!ENTITY l0 "ha">{lines}', "&l11;")


ARCHIVES: dict[str, Callable[[], bytes]] = {
    "bomb of 50 MB": lambda: zip_bomb(50),
    "bomb of 2 GB": lambda: zip_bomb(2_000),
    "bomb in gzip": lambda: gzip.compress(bytes(400 * MIB), 1),
    "overlapping": overlapping_bomb,
    "too many": lambda: zipped(*((f"{n}.txt", b"x") for n in range(1_001))),
    "up and out": lambda: zipped(("../../etc/passwd", b"x")),
    "from the root": lambda: zipped(("/etc/passwd", b"x")),
    "backslashes": lambda: zipped(("..\\..\\windows\\win.ini", b"x")),
    "a drive": lambda: zipped(("C:/autoexec.bat", b"x")),
    "a link": lambda: zipped(("link", b"/etc/passwd"), mode=0o120777),
    "cut off": lambda: zipped(("a", b"x" * 10_000))[:-40],
    "gzip cut off": lambda: gzip.compress(CAMT.encode())[:-20],
}
TEXTS: dict[str, Callable[[], bytes]] = {
    "a billion laughs": laughs,
    "quadratic": lambda: with_doctype(f'<!ENTITY a "{"a" * 50_000}">', "&a;" * 50_000),
    "a file from outside": lambda: with_doctype('<!ENTITY x SYSTEM "file:///etc/passwd">', "&x;"),
    "a page from outside": lambda: with_doctype('<!ENTITY x SYSTEM "http://127.0.0.1:1/">', "&x;"),
    "a parameter": lambda: with_doctype('<!ENTITY % p SYSTEM "file:///etc/passwd"> %p;', ""),
    "UTF-7": lambda: b'<?xml version="1.0" encoding="UTF-7"?>' + CAMT.encode()[38:],
    "UTF-16 that is none": lambda: b"\xff\xfe" + CAMT.encode() + b"\x00",
    "half a character": lambda: CAMT.replace("<AcctSvcrRef>", "<AcctSvcrRef>\udcc3").encode(
        "utf-8", "surrogateescape"
    ),
    "deep XML": lambda: CAMT.replace("<AcctSvcrRef>", "<AcctSvcrRef>" + "<a>" * 200_000).encode(),
    "deep JSON": lambda: b'{"object": "event", "data": ' + b"[" * 500_000,
    "endless number": lambda: b'{"object": "event", "amount": ' + b"9" * 3_000_000 + b"}",
    "a line without end": lambda: b":20:" + b"x" * 30_000_000,
    "zeros": lambda: bytes(20_000_000),
    "one quote": lambda: b'Payment ID,Payout ID,Net In Holding Currency\n"' + b"x,y\n" * 5_000_000,
}


@pytest.mark.parametrize("name", [*ARCHIVES, *TEXTS])
def test_it_is_refused_with_a_reason_in_time_and_memory(
    name: str, reader: Reader, tmp_path: Path
) -> None:
    path = tmp_path / "hostile"
    path.write_bytes((ARCHIVES | TEXTS)[name]())
    answer = reader.read(path)
    assert "died" not in answer, answer
    assert answer.get("refused"), answer
    assert answer["reason"]
    assert "root:" not in str(answer)


def test_an_archive_inside_an_archive_is_not_opened(reader: Reader, tmp_path: Path) -> None:
    path = tmp_path / "nested.zip"
    path.write_bytes(zipped(("inner.zip", zip_bomb(500)), ("a.xml", CAMT.encode())))
    inner, good = reader.read(path)["members"]
    assert inner["refused"] == "format.archive"
    assert good["entries"] == 1


def test_the_limits_are_real(tmp_path: Path) -> None:
    """A file that does need more memory, or time, ends the process: the other tests can fail."""
    path = tmp_path / "huge.json"
    path.write_bytes(b'{"object": "list", "data": [' + b'{"a":[1,2,3]},' * 6_000_000 + b"{}]}")
    with Reader() as fresh:
        answer = fresh.read(path)
    assert "died" in answer
