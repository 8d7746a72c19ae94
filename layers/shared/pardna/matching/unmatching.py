"""Taking a match back by hand: an event with its reason, never a deletion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pardna.matching.acts import Asked, Deed, act, checked_text
from pardna.matching.desk import Desk
from pardna.matching.model import Status
from pardna.matching.ports import StoredMatch
from pardna.runtime.clock import Clock, iso
from pardna.runtime.errors import Conflict, NotFound, RefusedByRule


class Unmatching:
    """The use case; it answers the same request sent again with the same answer."""

    def __init__(self, desk: Desk, clock: Clock) -> None:
        self._desk = desk
        self._clock = clock

    def unmatch(self, by: Asked, match_id: str, reason: str) -> Mapping[str, Any]:
        """Take a match back: its legs are open again, and no machine makes it a second time.

        Raises NotFound, Conflict when it does not hold (any more), RefusedByRule for a match that
        only resolves a break.
        """
        if (said := self._desk.answered(by)) is not None:
            if self._desk.match(by.tenant_id, match_id) is not None:
                self._desk.finish(by.tenant_id, match_id)
            return said
        stored = stored_match(self._desk, by.tenant_id, match_id)
        checked_text(reason, "reason")
        if stored.status is not Status.COMMITTED:
            raise Conflict("matching.not_matched", f"this match is {stored.status.value}", status=stored.status.value)  # fmt: skip
        if stored.rule_id.startswith("resolution."):
            raise RefusedByRule("matching.resolves_a_break", "reopen the break that it resolves")
        answer = {"status": "unmatched", "match_id": match_id, "version": stored.version}
        told = act(by, f"match:{match_id}", "unmatched", iso(self._clock()), reason, version=stored.version)  # fmt: skip
        if self._desk.unmatch(by.tenant_id, match_id, Deed(by, (told,), answer)):
            return answer
        said = self._desk.answered(by)
        if said is None:
            raise Conflict("matching.changed", "the match has changed meanwhile; look again")
        return said


def stored_match(desk: Desk, tenant_id: str, match_id: str) -> StoredMatch:
    """A match as it stands. Raises NotFound, also for one that was never finished."""
    found = desk.match(tenant_id, match_id)
    if found is None or found.status in (Status.CLAIMING, Status.ABANDONED):
        raise NotFound("matching.no_match", "there is no such match here")
    return found
