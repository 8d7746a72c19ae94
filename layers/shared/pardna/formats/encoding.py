"""Bytes to text for formats that do not declare their encoding."""

from __future__ import annotations

import codecs

from pardna.runtime.errors import UnreadableFile

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def decode(data: bytes) -> str:
    """Text of bytes: by byte order mark, by where zero bytes lie, UTF-8, else Windows-1252.

    Raises UnreadableFile (``text.encoding``) when a declared encoding does not hold, and for
    binary data.
    """
    named = next((name for mark, name in _BOMS if data.startswith(mark)), "") or _utf16(data)
    try:
        if named:
            return data.decode(named).lstrip("\ufeff")
        if data[:4096].count(0) > 0:
            raise UnreadableFile("text.binary", "this is not text")
        return data.decode("utf-8")
    except UnicodeDecodeError:
        if named:
            raise UnreadableFile("text.encoding", f"this is not the {named} it says") from None
    try:
        return data.decode("cp1252")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _utf16(data: bytes) -> str:
    """UTF-16 without a mark: every other byte of Latin text is zero."""
    head = data[:200]
    if len(head) < 8 or len(head) % 2:
        head = head[: len(head) // 2 * 2]
    even, odd = head[0::2], head[1::2]
    if odd and odd.count(0) > len(odd) * 0.8 and even.count(0) == 0:
        return "utf-16-le"
    if even and even.count(0) > len(even) * 0.8 and odd.count(0) == 0:
        return "utf-16-be"
    return ""


def lines(text: str) -> list[str]:
    """Lines whatever ends them: CRLF, LF or a bare CR."""
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
