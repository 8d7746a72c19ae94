"""What callers of the API send and get about quarantine and profiles."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from pardna.formats.profile import Profile
from pardna.ingestion.quarantine_model import Action, Asked, Change, Decision, Entry, Scope
from pardna.ingestion.quarantine_ports import Filter
from pardna.runtime.clock import iso
from pardna.runtime.errors import InvalidInput
from pardna.runtime.paging import decode_cursor, encode_cursor

_FILTERS = ("status", "source_id", "code", "raw_sha256")


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class NewChange(_Strict):
    """On a line (from one), `new` for `old`; without `old` for the whole line."""

    line: int = Field(ge=1, le=100_000_000)
    new: Annotated[str, StringConstraints(max_length=4_000)]
    old: Annotated[str, StringConstraints(min_length=1, max_length=4_000)] | None = None


class NewDecision(_Strict):
    """What is decided about a quarantined row; the last three end a proposal."""

    action: Literal["correct", "release", "discard", "confirm", "reject", "withdraw"]
    reason: Annotated[str, StringConstraints(max_length=500)] = ""
    scope: Scope = Scope.ROW
    changes: tuple[NewChange, ...] = Field(default=(), max_length=50)
    decision_id: Annotated[str, StringConstraints(max_length=40)] = ""

    def to_asked(self, quarantine_id: str) -> Asked:
        """Raises InvalidInput where the request makes no sense."""
        changes = tuple(Change(c.line, c.new, c.old) for c in self.changes)
        return Asked(quarantine_id, Action(self.action), self.reason, self.scope, changes)


class SampleOfProfile(_Strict):
    """A profile, and a sample of the files that it is for; base64, because bytes matter."""

    profile: Profile
    sample_base64: Annotated[str, StringConstraints(max_length=1_400_000)]

    @property
    def sample(self) -> bytes:
        """The sample's bytes; raises InvalidInput."""
        try:
            return base64.b64decode(self.sample_base64, validate=True)
        except (binascii.Error, ValueError):
            raise InvalidInput("profile.sample", "sample_base64 is not base64") from None


def filter_of(query: Mapping[str, str]) -> Filter:
    """What a query chooses; raises InvalidInput ``request.cursor``."""
    after = decode_cursor(query.get("cursor", ""), str, str)
    place: tuple[datetime, str] | None = None
    if after is not None:
        try:
            place = datetime.fromisoformat(str(after[0])), str(UUID(str(after[1])))
        except ValueError:
            raise InvalidInput("request.cursor", "ask again without it") from None
    chosen = {name: _storable(query.get(name, "")[:200]) for name in _FILTERS}
    return Filter(**chosen, after=place)


def _storable(text: str) -> str:
    """Without what PostgreSQL keeps in no text, so that nothing is found by it."""
    return text.replace("\x00", "").encode("utf-8", "ignore").decode()


def page_report(entries: Sequence[Entry], most: int) -> dict[str, Any]:
    """A page, of which one more was asked for than is shown."""
    shown = entries[:most]
    cursor = ""
    if len(entries) > most:
        cursor = encode_cursor(shown[-1].created_at.isoformat(), shown[-1].quarantine_id)
    return {"quarantine": [_entry(e) for e in shown], "cursor": cursor}


def decision_report(decision: Decision) -> dict[str, Any]:
    """A decision as plain JSON types."""
    return {
        "decision_id": decision.decision_id,
        "quarantine_id": decision.quarantine_id,
        "raw_sha256": decision.raw_sha256,
        "action": decision.action.value,
        "scope": decision.scope.value,
        "state": decision.state,
        "needs_second": decision.needs_second,
        "reason": decision.reason,
        "replacements": [r.to_dict() for r in decision.replacements],
        "proposed_by": decision.proposed_by,
        "proposed_at": iso(decision.proposed_at),
        "decided_by": decision.decided_by,
        "decided_at": iso(decision.decided_at) if decision.decided_at else "",
        "new_count": decision.new_count,
        "changed_count": decision.changed_count,
    }


def _entry(e: Entry) -> dict[str, str]:
    return {
        "quarantine_id": e.quarantine_id,
        "raw_sha256": e.raw_sha256,
        "position": e.position,
        "source_id": e.source_id,
        "code": e.code,
        "field": e.field,
        "reason": e.reason,
        "status": e.status,
        "created_at": iso(e.created_at),
    }
