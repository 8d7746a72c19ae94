"""ZIP and gzip archives that nobody can trust: unpacked in memory, bounded in every way.

What an archive says about itself (sizes, names) is never believed: bytes are counted as they come
out. Names are only shown; no path is ever made of one. Archives inside of archives are handed out as
they are, so that nothing unpacks without end.
"""

from __future__ import annotations

import gzip
import io
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from pardna.runtime.errors import TooLarge, UnreadableFile

MEMBERS_MAX = 1000
#: In memory, within the 256 MB that reading any file may take.
BYTES_MAX = 128 * 1024 * 1024
#: A statement compresses ten to thirty times; a bomb a thousand times.
RATIO_MAX = 200
_SMALL = 1024 * 1024
_CHUNK = 256 * 1024
_SYMLINK = 0o120000


@dataclass(frozen=True, slots=True)
class Member:
    """One file of an archive; `name` is its last part, safe to show."""

    name: str
    data: bytes


class _Source(Protocol):
    """What bytes come out of."""

    def read(self, size: int, /) -> bytes: ...


def members(file: BinaryIO) -> Iterator[Member]:
    """The files of an archive, one after the other.

    Raises UnreadableFile for what is broken, encrypted or plays tricks with paths and links, and
    TooLarge for what unpacks to more than `BYTES_MAX`, `MEMBERS_MAX` or `RATIO_MAX` allow.
    """
    file.seek(0)
    packed = file.seek(0, io.SEEK_END)
    file.seek(0)
    if file.read(2) == b"\x1f\x8b":
        file.seek(0)
        with gzip.GzipFile(fileobj=file) as stream:
            yield Member("data", _bounded(stream, packed, BYTES_MAX))
        return
    file.seek(0)
    yield from _zip(file)


def _zip(file: BinaryIO) -> Iterator[Member]:
    left = BYTES_MAX
    try:
        with zipfile.ZipFile(file) as archive:
            listed = archive.infolist()
            if len(listed) > MEMBERS_MAX:
                raise TooLarge("archive.members", f"more than {MEMBERS_MAX} files in an archive")
            seen = set()
            for entry in listed:
                if entry.is_dir():
                    continue
                name = _name(entry)
                if entry.filename in seen:
                    raise UnreadableFile("archive.twice", "two files of one name in an archive")
                seen.add(entry.filename)
                with archive.open(entry) as stream:
                    data = _bounded(stream, entry.compress_size, left)
                left -= len(data)
                yield Member(name, data)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError) as error:
        encrypted = isinstance(error, RuntimeError) and "password" in str(error)
        reason = "the archive is encrypted" if encrypted else "the archive is broken"
        raise UnreadableFile("archive.broken", reason) from None


def _name(entry: zipfile.ZipInfo) -> str:
    """The last part of a member's name; raises for paths that lead elsewhere, and for links."""
    name = entry.filename.replace("\\", "/")
    parts = name.split("/")
    if name.startswith("/") or ".." in parts or ":" in parts[0] or "\x00" in entry.orig_filename:
        raise UnreadableFile("archive.path", "a file of the archive points out of it")
    if entry.external_attr >> 16 & 0o170000 == _SYMLINK:
        raise UnreadableFile("archive.link", "the archive holds a link")
    shown = "".join(c for c in parts[-1] if unicodedata.category(c)[0] != "C")
    return shown[:200] or "data"


def _bounded(stream: _Source, packed: int, left: int) -> bytes:
    """All bytes of a member, as long as they are plausible and few enough."""
    found = io.BytesIO()
    size = 0
    try:
        while chunk := stream.read(_CHUNK):
            size += len(chunk)
            if size > left:
                raise TooLarge("archive.too_large", f"it unpacks to more than {BYTES_MAX} bytes")
            if size > _SMALL and size > RATIO_MAX * max(packed, 1):
                raise TooLarge(
                    "archive.bomb", f"it unpacks to more than {RATIO_MAX} times its size"
                )
            found.write(chunk)
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile):
        raise UnreadableFile("archive.broken", "the archive is broken") from None
    return found.getvalue()
