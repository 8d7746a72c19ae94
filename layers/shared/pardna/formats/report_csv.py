"""Reports of payment processors as CSV with a line of headings: rows by name, of any size."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from operator import itemgetter
from typing import BinaryIO

from pardna.formats.model import Problem
from pardna.formats.text_lines import LINE_MAX, text_of
from pardna.runtime.errors import UnreadableFile

Row = Mapping[str, str]


def rows(
    file: BinaryIO, needed: frozenset[str], read: frozenset[str] = frozenset()
) -> Iterator[tuple[str, Row] | Problem]:
    """(position, row) or what is wrong with a row; a heading that comes twice keeps its first.

    Rows hold the cells that are `read` only, where that is given.

    The delimiter is the one of comma, semicolon and tab that gives the needed headings. Raises
    UnreadableFile when a needed heading is missing and when the bytes are not CSV.
    """
    text = text_of(file)
    try:
        first, above = text.readline(LINE_MAX).removeprefix("\ufeff"), 0
        while first and not first.strip():
            first, above = text.readline(LINE_MAX), above + 1
        delimiter = max(",;\t", key=first.count)
        reader = csv.reader(_lines(first, text), delimiter=delimiter, strict=True)
        names = [name.strip() for name in next(reader, [])]
        missing = needed - set(names)
        if missing:
            listed = ", ".join(sorted(missing))
            raise UnreadableFile("report.columns", f"the report lacks {listed}"[:400])
        wanted = [name for name in dict.fromkeys(names) if not read or name in read]
        take = itemgetter(*(names.index(name) for name in wanted), 0)  # one more: always a tuple
        for cells in reader:
            if not any(cells):
                continue
            position = f"line {reader.line_num + above}"
            if len(cells) != len(names):
                reason = f"it has {len(cells)} cells where the headings have {len(names)}"
                yield Problem("row.cells", position, reason)
                continue
            yield position, dict(zip(wanted, take(cells), strict=False))
    except csv.Error:
        raise UnreadableFile("csv.malformed", "this is not CSV") from None
    except UnicodeError:
        raise UnreadableFile("text.encoding", f"this is not {text.encoding} throughout") from None
    finally:
        text.detach()


def _lines(first: str, text: Iterator[str]) -> Iterator[str]:
    yield first
    for line in text:
        if len(line) > LINE_MAX:
            raise UnreadableFile("text.line", "a line is too long to be one")
        yield line
