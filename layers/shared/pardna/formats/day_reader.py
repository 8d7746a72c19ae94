"""Dates and times as a sender writes them, read as `datetime.strptime` reads them, only faster."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime

#: Texts remembered, since rows of a file share their days.
_KEPT = 8192
#: Characters of a date; of longer texts nothing is remembered either.
_LONGEST = 100
#: Directives of a fixed number of digits, and which of year, month, day, hour, minute, second they are.
_WIDTHS = {"Y": 4, "m": 2, "d": 2, "H": 2, "M": 2, "S": 2}


class DayReader:
    """Reads texts in the first of some formats that they are in."""

    def __init__(self, formats: tuple[str, ...]) -> None:
        self._readers = [_reader(written) for written in formats]
        self._known: dict[str, datetime | None] = {}

    def __call__(self, text: str) -> datetime | None:
        """The instant, with a zone only where the text names one; None when it is in no format."""
        if text in self._known:
            return self._known[text]
        if len(text) > _LONGEST:
            return None
        found = None
        for read in self._readers if text else ():
            found = read(text)
            if found is not None:
                break
        if len(self._known) >= _KEPT:
            self._known.clear()
        self._known[text] = found
        return found


def _reader(written: str) -> Callable[[str], datetime | None]:
    """For one format. One of digits and signs only, such as ``%Y-%m-%d %H:%M:%S``, is cut at its
    places; whatever does not fit them exactly is left to `strptime`, which takes more (one digit
    for a day).
    """
    pattern, order = "", ""
    for sign, name in re.findall(r"(%)?(.)", written, re.DOTALL):
        if sign and name in _WIDTHS and name not in order:
            pattern += rf"([0-9]{{{_WIDTHS[name]}}})"
            order += name
        elif not sign and name in "-/.:T ":
            pattern += re.escape(name)
        else:
            return lambda text: _strptime(text, written)
    if not {"Y", "m", "d"} <= set(order):
        return lambda text: _strptime(text, written)
    match = re.compile(pattern).fullmatch
    places = [order.find(name) for name in "YmdHMS"]

    def read(text: str) -> datetime | None:
        found = match(text)
        if found is None:
            return _strptime(text, written)
        said = found.groups()
        try:
            y, m, d, hour, minute, second = [int(said[at]) if at >= 0 else 0 for at in places]
            return datetime(y, m, d, hour, minute, second)  # noqa: DTZ001 - the caller knows the zone
        except ValueError:
            return _strptime(text, written)

    return read


def _strptime(text: str, written: str) -> datetime | None:
    try:
        return datetime.strptime(text, written)  # noqa: DTZ007 - the caller knows the zone
    except ValueError:
        return None
