"""Fixed-width files by a profile: a row is a line, a cell a span of its characters."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import BinaryIO

from pardna.formats.items import Item, collect
from pardna.formats.mapped import Mapper, stray
from pardna.formats.mapped_amounts import Cell
from pardna.formats.model import Origin, Parsed, Problem
from pardna.formats.profile import Column, Marked, Profile, Span
from pardna.formats.text_lines import numbered_lines
from pardna.runtime.errors import InvalidInput


def read(data: bytes, origin: Origin, profile: Profile) -> Parsed:
    """Everything that a fixed-width file says by its profile; see `stream`."""
    return collect(f"fixed_width:{profile.name}", stream(io.BytesIO(data), origin, profile))


def stream(file: BinaryIO, origin: Origin, profile: Profile) -> Iterator[Item]:
    """The same, item by item.

    Where the profile says how a detail line is marked, a line that is neither that nor marked
    otherwise is a problem; without such a mark every line that is not marked is a detail.
    """
    mapper = Mapper(profile, origin)
    ended = False
    needed = _needed(profile)
    for number, line in numbered_lines(file, profile.encoding):
        if number <= profile.skip_lines or not line.strip():
            continue
        cell = _cell(line)
        marked = next((m for m in profile.marked if _is(m, line)), None)
        if marked is not None:
            mapper.totals.state(marked, cell)
            ended = ended or marked.footer
        elif ended or (profile.detail is not None and not _is(profile.detail, line)):
            yield stray(ended, f"line {number}")
        elif len(line) < needed:
            mapper.totals.rows += 1
            yield Problem("row.short", f"line {number}", "the line ends before its last field")
        else:
            said = mapper.row(cell, f"line {number}")
            if said is not None:
                yield said
    yield from mapper.totals.end()


def _needed(profile: Profile) -> int:
    """How long a row is at least: all fields begin, and those of amounts are whole.

    The end of a text may have been blank; the end of a number is money.
    """
    starts = [c.start for c in profile.columns() if isinstance(c, Span)]
    ends = [c.start + c.length - 1 for c in profile.amounts.written() if isinstance(c, Span)]
    return max((*starts, *ends), default=1)


def _cell(line: str) -> Cell:
    def get(column: Column) -> str:
        if not isinstance(column, Span):
            raise InvalidInput("profile.column", "fixed width has spans only")
        return line[column.start - 1 : column.start - 1 + column.length].strip()

    return get


def _is(marked: Marked, line: str) -> bool:
    """Whether a line has the mark, at its start or where the profile says."""
    if isinstance(marked.at, Span):
        at = line[marked.at.start - 1 : marked.at.start - 1 + marked.at.length]
        return at.strip().casefold() == marked.marker.casefold()
    return line.casefold().startswith(marked.marker.casefold())
