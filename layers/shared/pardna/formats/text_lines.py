"""Lines of text files of any size, whatever their encoding and line ends."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from typing import BinaryIO

from pardna.formats.encoding import decode
from pardna.runtime.errors import UnreadableFile

LINE_MAX = 1024 * 1024
_CHUNK = 1024 * 1024


def encoding_of(file: BinaryIO) -> str:
    """The encoding of a seekable file, found by reading it once; the file stands at its start after.

    The same order of guesses as `pardna.formats.encoding.decode`: byte order mark, where zero bytes
    lie, UTF-8 if all of it is, else Windows-1252, else Latin-1.
    """
    file.seek(0)
    head = file.read(4096)
    marked = (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF32_LE, "utf-32"),
        (codecs.BOM_UTF32_BE, "utf-32"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    )
    named = next((name for mark, name in marked if head.startswith(mark)), "")
    if not named and 0 in head:
        if len(head) < 2:
            raise UnreadableFile("text.binary", "this is not text")
        decode(head[: len(head) // 2 * 2])  # refuses binary data
        named = "utf-16-le" if head[1] == 0 else "utf-16-be"
    for name in (named,) if named else ("utf-8", "cp1252", "latin-1"):
        if _decodes(file, name):
            file.seek(0)
            return name
    raise UnreadableFile("text.encoding", f"this is not the {named} it says")


def _decodes(file: BinaryIO, name: str) -> bool:
    file.seek(0)
    decoder = codecs.getincrementaldecoder(name)()
    try:
        while chunk := file.read(_CHUNK):
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeError:
        return False
    return True


def text_of(file: BinaryIO, encoding: str = "") -> io.TextIOWrapper:
    """The file as text with line ends untouched, as the csv module wants it.

    `encoding` overrides the guess. The wrapper is detached by whoever closes the file.
    """
    name = encoding or encoding_of(file)
    file.seek(0)
    return io.TextIOWrapper(file, encoding=name, errors="strict", newline="")


def numbered_lines(file: BinaryIO, encoding: str = "") -> Iterator[tuple[int, str]]:
    """Lines with their numbers, counted from one, without their ends.

    Raises UnreadableFile for a line longer than `LINE_MAX` and for bytes that are not text.
    """
    text = text_of(file, encoding)
    try:
        number = 0
        while line := text.readline(LINE_MAX):
            number += 1
            if len(line) == LINE_MAX and not line.endswith(("\n", "\r")):
                raise UnreadableFile("text.line", f"line {number} is too long to be one")
            yield number, line.rstrip("\r\n").removeprefix("\ufeff")
    except UnicodeError:
        raise UnreadableFile("text.encoding", f"this is not {text.encoding} throughout") from None
    finally:
        text.detach()
