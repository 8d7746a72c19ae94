"""Use case of reporting: hand out a link to a finished report. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass

from pardna.reporting.model import report_key
from pardna.reporting.ports import Shelf
from pardna.runtime.errors import InvalidInput

#: A link is for a person who has just asked for it.
LINK_SECONDS = 300
#: Report kinds by extension.
CONTENT_TYPES = {"html": "text/html; charset=utf-8", "csv": "text/csv; charset=utf-8"}


@dataclass(frozen=True, slots=True)
class Link:
    """A link that opens one report, for `seconds`. Whoever has it can read: never log it."""

    url: str
    seconds: int


class ReportLinks:
    """Hands out links to finished reports; needs nothing but the shelf."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    def link(self, tenant_id: str, circle_id: str, round_number: int, extension: str) -> Link:
        """A short-lived link to a report; raises NotFound when it was not written yet."""
        if extension not in CONTENT_TYPES:
            raise InvalidInput("report.format", "format is html or csv")
        key = report_key(tenant_id, circle_id, round_number, extension)
        return Link(self._shelf.link(key, LINK_SECONDS), LINK_SECONDS)


def round_number(given: str | int) -> int:
    """A round's number from a path or a state; raises InvalidInput for anything else."""
    text = str(given)
    if not (text.isascii() and text.isdigit() and 1 <= len(text) <= 2 and int(text) >= 1):
        raise InvalidInput("report.round_number", "a round has a number from 1 to 99")
    return int(text)
