"""Fields and statements of SWIFT texts: where each begins and ends, whatever wraps them."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import BinaryIO

from pardna.formats.text_lines import numbered_lines
from pardna.runtime.errors import UnreadableFile

ANOTHER, END_OF_FILE = "another", "file"
#: Fields that are held of a statement before its entries are handed out.
BLOCK_MAX = 10_000
#: Characters of a field that are kept, about: what goes on longer is cut.
FIELD_MAX = 64 * 1024
_TAG = re.compile(r"\s*:(\d{2}[A-Z]?):(.*)", re.DOTALL)

#: Tag, value, and the line that it begins on.
Field = tuple[str, str, int]


def blocks(file: BinaryIO) -> Iterator[tuple[list[Field], str]]:
    """Fields of a statement, and what it ends with there: nothing yet, another one or the file.

    A new :20: starts a statement.
    """
    current: list[Field] = []
    begun = False  # whether the statement has another field than :20:
    for number, line in _lines(file):
        if line.startswith((":61:", ":86:")):
            tag, value = line[1:3], line[4:]
        elif match := _TAG.match(line):
            tag, value = match.groups()
        elif line.startswith(("-", " ", "\t", "{1:")) and (
            line.strip() in ("-", "-}") or line.startswith("{1:")
        ):
            # The end of a message. What follows without a tag belongs to nobody.
            if current:
                current.append(("", "", number))
                begun = True
            continue
        else:
            if current:
                tag, value, at = current[-1]
                if tag and len(value) < FIELD_MAX:
                    current[-1] = (tag, f"{value}\n{line}", at)
            continue
        if tag == "20" and begun:
            yield current, ANOTHER
            current, begun = [], False
        elif tag != "86" and len(current) >= BLOCK_MAX:
            yield current, ""
            current = []
        elif len(current) >= 2 * BLOCK_MAX:
            raise UnreadableFile("mt940.fields", f"line {number}: details without end")
        begun = begun or tag != "20"
        current.append((tag, value, number))
    if current:
        yield current, END_OF_FILE


def _lines(file: BinaryIO) -> Iterator[tuple[int, str]]:
    """Lines, with what follows a message's envelope on a line of its own."""
    for number, line in numbered_lines(file):
        if "{4:" not in line:
            yield number, line
            continue
        for part in line.split("{4:"):
            yield number, part


def ends_a_line(file: BinaryIO) -> bool:
    """Whether a file's last line has an end, in any encoding."""
    at = file.tell()
    file.seek(max(file.seek(0, io.SEEK_END) - 4, 0))
    last = file.read(4)
    file.seek(at)
    return b"\n" in last or b"\r" in last
