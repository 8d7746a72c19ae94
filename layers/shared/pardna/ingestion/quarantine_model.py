"""Rows that were put aside, and what people decide about them. Pure.

The original is never touched: it lies under its hash. A correction is a list of changes to single
lines of the file's text; the file is read again with all of them, by the same reader and gate.
Line numbers stay, because no change may add or take away a line.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from pardna.formats.text_lines import encoding_of
from pardna.ingestion.card_numbers import in_text, mask
from pardna.runtime.errors import Conflict, InvalidInput, NotFound, NotPermitted, RefusedByRule

REASON_MAX = 500
REPLACEMENTS_MAX = 50
TEXT_MAX = 4_000
_LINE_END = re.compile(r"(\r\n|\n|\r)")


class Status(StrEnum):
    """Where a quarantined row stands; only `OPEN` and `PROPOSED` can change."""

    OPEN = "open"
    PROPOSED = "proposed"
    REPLAYED = "replayed"
    RELEASED = "released"
    DISCARDED = "discarded"


class Action(StrEnum):
    """What is decided."""

    CORRECT = "correct"
    RELEASE = "release"
    DISCARD = "discard"


class Scope(StrEnum):
    """About one row, or all that is open of its file."""

    ROW = "row"
    FILE = "file"


@dataclass(frozen=True, slots=True)
class Entry:
    """One row, statement or file that was put aside: where, and why, without its data."""

    quarantine_id: str
    raw_sha256: str
    position: str
    source_id: str
    code: str
    field: str
    reason: str
    status: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Change:
    """What a person asks: on a line, write `new` for `old`, or for the whole line."""

    line: int
    new: str
    old: str | None = None


@dataclass(frozen=True, slots=True)
class Replacement:
    """A change as it is kept and repeated: `length` characters from `at` (from zero) of a line.

    `was` is for people and masked: no card number is in it, nor in `new`.
    """

    line: int
    at: int
    length: int
    new: str
    was: str

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Decision:
    """What somebody decided; with `needs_second`, only when a second person agreed."""

    decision_id: str
    raw_sha256: str
    quarantine_id: str
    action: Action
    scope: Scope
    replacements: tuple[Replacement, ...]
    reason: str
    request_hash: str
    needs_second: bool
    proposed_by: str
    proposed_at: datetime
    state: str
    decided_by: str = ""
    decided_at: datetime | None = None
    new_count: int = 0
    changed_count: int = 0


def check_reason(reason: str) -> None:
    """Raises InvalidInput ``quarantine.reason``: people read it for years."""
    if not 1 <= len(reason.strip()) <= REASON_MAX or not reason.isprintable():
        raise InvalidInput("quarantine.reason", f"a reason has 1 to {REASON_MAX} characters")
    if in_text(reason):
        raise InvalidInput("quarantine.reason", "a reason holds no card number")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for a decision. Raises InvalidInput when it makes no sense."""

    quarantine_id: str
    action: Action
    reason: str
    scope: Scope = Scope.ROW
    changes: tuple[Change, ...] = ()

    def __post_init__(self) -> None:
        check_reason(self.reason)
        if self.changes and self.action is not Action.CORRECT:
            raise InvalidInput("quarantine.changes", "only a correction changes something")
        if len(self.changes) > REPLACEMENTS_MAX:
            raise InvalidInput("quarantine.changes", f"at most {REPLACEMENTS_MAX} changes")
        for change in self.changes:
            if _LINE_END.search(change.new) or len(change.new) > TEXT_MAX or "\x00" in change.new:
                raise InvalidInput("quarantine.changes", "a change stays within its line")
            if in_text(change.new):
                raise InvalidInput("quarantine.changes", "a correction holds no card number")

    def request_hash(self, principal: str) -> str:
        """Tells a repeated request from another; without `old`, which may hold a card number."""
        asked = {
            "id": self.quarantine_id,
            "action": self.action.value,
            "scope": self.scope.value,
            "changes": [[c.line, c.new] for c in self.changes],
            "reason": self.reason,
            "by": principal,
        }
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


@dataclass
class Text:
    """A file's bytes as lines that can be changed one by one."""

    encoding: str
    pieces: list[str]  # line, its end, line, its end, ...

    @classmethod
    def of(cls, data: bytes) -> Text:
        """Raises UnreadableFile for bytes that are no text."""
        encoding = encoding_of(io.BytesIO(data))
        return cls(encoding, _LINE_END.split(data.decode(encoding)))

    def to_bytes(self) -> bytes:
        """In the encoding that it came in."""
        return "".join(self.pieces).encode(self.encoding, "replace")

    def resolve(self, change: Change) -> Replacement:
        """Where a change applies now.

        Raises InvalidInput ``quarantine.line`` for a line that is not there, Conflict
        ``quarantine.text`` when the line does not hold `old` exactly once.
        """
        line = self._line(change.line)
        if change.old is None:
            return Replacement(change.line, 0, len(line), change.new, mask(line)[:TEXT_MAX])
        if not change.old or line.count(change.old) != 1:
            raise Conflict("quarantine.text", "the line does not hold this text exactly once")
        at = line.index(change.old)
        was = mask(change.old)[:TEXT_MAX]
        return Replacement(change.line, at, len(change.old), change.new, was)

    def apply(self, replacement: Replacement) -> None:
        """Make one change."""
        r = replacement
        line = self._line(r.line)
        if mask(line[r.at : r.at + r.length])[:TEXT_MAX] != r.was:
            raise Conflict("quarantine.text", "the line is not what it was")
        changed = line[: r.at] + r.new + line[r.at + r.length :]
        self.pieces[2 * (r.line - 1)] = changed

    def _line(self, number: int) -> str:
        at = 2 * (number - 1)
        if not 0 <= at < len(self.pieces):
            raise InvalidInput("quarantine.line", "the file has no such line")
        return self.pieces[at]


def replacements_of(plain: Sequence[Mapping[str, Any]]) -> tuple[Replacement, ...]:
    """The inverse of `Replacement.to_dict`."""
    return tuple(Replacement(**one) for one in plain)


def check_subject(decision: Decision, quarantine_id: str) -> None:
    """Raises NotFound when the decision is about another row than the one that was named."""
    if decision.quarantine_id != quarantine_id:
        raise NotFound("quarantine.not_found", "there is no such decision about this row")


def check_second(decision: Decision, principal: str) -> None:
    """Raises RefusedByRule ``quarantine.own_proposal`` when the second person is the first."""
    if decision.needs_second and decision.proposed_by == principal:
        raise RefusedByRule("quarantine.own_proposal", "a second person has to decide on this")


def check_proposer(decision: Decision, principal: str) -> None:
    """Raises NotPermitted ``quarantine.others_proposal``: only its maker takes a proposal back."""
    if decision.proposed_by != principal:
        raise NotPermitted("quarantine.others_proposal", "reject what another has proposed")
