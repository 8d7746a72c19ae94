"""CSV files by a profile: any delimiter, encoding, headings, header and footer lines, of any size."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from operator import itemgetter
from typing import BinaryIO

from pardna.formats.items import Item, collect
from pardna.formats.mapped import Mapper, stray
from pardna.formats.mapped_amounts import Cell
from pardna.formats.model import Origin, Parsed, Problem, Severity
from pardna.formats.profile import Column, Marked, Profile, Span
from pardna.formats.text_lines import LINE_MAX, text_of
from pardna.runtime.errors import InvalidInput, UnreadableFile

CELLS_MAX = 1000
_FIELD_MAX = 128 * 1024


def read(data: bytes, origin: Origin, profile: Profile) -> Parsed:
    """Everything that a CSV file says by its profile; see `stream`."""
    return collect(f"csv:{profile.name}", stream(io.BytesIO(data), origin, profile))


def stream(file: BinaryIO, origin: Origin, profile: Profile) -> Iterator[Item]:
    """The same, item by item.

    Raises UnreadableFile when a column that the profile reads is missing or named twice, and when
    the bytes are not CSV.
    """
    mapper = Mapper(profile, origin)
    indexes: dict[str, int] = {}
    cells_of = None if profile.headings else _taker(profile, indexes)
    headed = not profile.headings
    ended = False
    width = 0
    for line, cells in _rows(file, profile):
        marked = _marked(profile, cells) if profile.marked else None
        if marked is not None:
            mapper.totals.state(marked, _cell(cells, indexes))
            ended = ended or marked.footer
            continue
        if not headed:
            if not _is_heading(cells, profile):
                continue  # a line above the headings
            indexes = _headings(cells, profile)
            cells_of = _taker(profile, indexes)
            headed, width = True, len(cells)
            yield from _new_columns(cells, profile, line)
            continue
        if not (cells and cells[0].strip()) and not any(c.strip() for c in cells):
            continue
        if ended or (profile.detail is not None and not _is(profile.detail, cells)):
            yield stray(ended, f"line {line}")
            continue
        if width and len(cells) != width and not _only_trailing(cells, width):
            reason = f"it has {len(cells)} cells where the headings have {width}"
            yield Problem("row.cells", f"line {line}", reason)
            mapper.totals.rows += 1
            continue
        try:
            cell = cells_of(cells) if cells_of is not None else _cell(cells, indexes)
            said = mapper.row(cell, f"line {line}")
            if said is not None:
                yield said
        except IndexError:
            yield Problem("row.cells", f"line {line}", "it lacks a cell that the profile reads")
    if not headed:
        wanted = ", ".join(sorted(c for c in profile.columns() if isinstance(c, str)))
        raise UnreadableFile("csv.columns", f"no line of headings has {wanted}"[:400])
    yield from mapper.totals.end()


def _rows(file: BinaryIO, profile: Profile) -> Iterator[tuple[int, list[str]]]:
    """(line, cells) below the lines to skip; bounded in every way."""
    text = text_of(file, profile.encoding)
    csv.field_size_limit(_FIELD_MAX)
    try:
        for _ in range(profile.skip_lines):
            text.readline(LINE_MAX)
        reader = csv.reader(
            _bounded(text),
            delimiter=profile.delimiter,
            quotechar=profile.quote or None,
            quoting=csv.QUOTE_MINIMAL if profile.quote else csv.QUOTE_NONE,
            strict=True,
        )
        for cells in reader:
            if len(cells) > CELLS_MAX:
                raise UnreadableFile("csv.cells", f"more than {CELLS_MAX} cells in a line")
            if cells and reader.line_num == 1 and not profile.skip_lines:
                cells[0] = cells[0].removeprefix("\ufeff")
            yield reader.line_num + profile.skip_lines, cells
    except csv.Error:
        number = reader.line_num + profile.skip_lines
        raise UnreadableFile("csv.malformed", f"this is not CSV at line {number}") from None
    except UnicodeError:
        raise UnreadableFile("text.encoding", f"this is not {text.encoding} throughout") from None
    finally:
        text.detach()


def _bounded(text: io.TextIOWrapper) -> Iterator[str]:
    """Lines, none longer than a line may be: the csv module would take a whole file as one."""
    while line := text.readline(LINE_MAX):
        if len(line) == LINE_MAX and not line.endswith(("\n", "\r")):
            raise UnreadableFile("text.line", "a line is too long to be one")
        yield line


def _taker(profile: Profile, indexes: dict[str, int]) -> Callable[[list[str]], Cell]:
    """How the cells that the profile reads are found in a row: places are looked up once."""
    columns = list(dict.fromkeys(profile.columns()))
    places = [
        c - 1 if isinstance(c, int) else indexes[c] for c in columns if isinstance(c, int | str)
    ]
    needed, take = max(places) + 1, itemgetter(*places, 0)  # one more, so that it is a tuple

    def cells_of(cells: list[str]) -> Cell:
        if len(cells) < needed:
            return _cell(cells, indexes)
        return dict(zip(columns, take(cells), strict=False)).__getitem__

    return cells_of


def _cell(cells: list[str], indexes: dict[str, int]) -> Cell:
    def get(column: Column) -> str:
        if isinstance(column, int):
            return cells[column - 1] if column <= len(cells) else ""
        if isinstance(column, Span):  # a profile of CSV has none
            raise InvalidInput("profile.span", "CSV has no spans")
        return cells[indexes[column]]

    return get


def _marked(profile: Profile, cells: list[str]) -> Marked | None:
    return next((marked for marked in profile.marked if _is(marked, cells)), None)


def _is(marked: Marked, cells: list[str]) -> bool:
    at = marked.at if isinstance(marked.at, int) else 1
    return at <= len(cells) and cells[at - 1].strip().casefold() == marked.marker.casefold()


def _is_heading(cells: list[str], profile: Profile) -> bool:
    names = {c.strip() for c in cells}
    return all(c in names for c in profile.columns() if isinstance(c, str))


def _headings(cells: list[str], profile: Profile) -> dict[str, int]:
    names = [c.strip() for c in cells]
    twice = [c for c in profile.columns() if isinstance(c, str) and names.count(c) > 1]
    if twice:
        raise UnreadableFile("csv.columns", f"there are two columns named {twice[0]}"[:300])
    return {name: at for at, name in reversed(list(enumerate(names)))}


def _new_columns(cells: list[str], profile: Profile, line: int) -> Iterator[Problem]:
    """Columns that came or went, where the profile knows all that there should be."""
    if not profile.known_columns:
        return
    names = {c.strip() for c in cells if c.strip()}
    known = set(profile.known_columns)
    for what, which in (("new", names - known), ("vanished", known - names)):
        if which:
            listed = ", ".join(sorted(which))[:300]
            reason = f"{what} columns: {listed}"
            where = f"line {line}"
            yield Problem("csv.drift", where, reason, "headings", Severity.WARNING)


def _only_trailing(cells: list[str], width: int) -> bool:
    """More cells than headings, but empty ones: a delimiter at the end of the line."""
    return len(cells) > width and not any(c.strip() for c in cells[width:])
