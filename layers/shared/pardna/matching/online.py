"""Matching as records arrive: write the legs, look up the counterpart by key, commit.

Any record may come in either order and any number of times. A leg costs at most three calls to the
match state: its write, one look-up, one commit. What this does not decide, the batch does.
"""

from __future__ import annotations

from dataclasses import dataclass

from pardna.matching.current_rules import RulesOf
from pardna.matching.identity import sole_counterpart
from pardna.matching.model import Leg, identities, legs_of
from pardna.matching.ports import Committed, LegState, MatchState
from pardna.transactions.recorded import TransactionRecorded

_JOINABLE = (LegState.OPEN, LegState.REOPENED)


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one record: its legs, and the match that it completed, if it did."""

    legs_count: int
    match_id: str = ""


class MatchOnline:
    """The use case behind the stream's consumer, and behind projecting what is missing."""

    def __init__(self, state: MatchState, rules_of: RulesOf) -> None:
        self._state = state
        self._rules_of = rules_of

    def take(self, recorded: TransactionRecorded) -> Taken:
        """Take one version of a transaction in. Raises Unavailable when the state is busy."""
        return self.take_legs(legs_of(recorded.transaction, recorded.version))

    def take_legs(self, legs: tuple[Leg, ...]) -> Taken:
        """Take the legs of one version of one transaction in."""
        if not legs:
            return Taken(0)
        states = self._state.record(legs)
        for leg in legs:
            if states[leg.pair] not in _JOINABLE:
                continue
            match_id = self._join(leg)
            if match_id:
                return Taken(len(legs), match_id)
        return Taken(len(legs))

    def _join(self, leg: Leg) -> str:
        """Level 1 by the leg's best identity; "" when it stays open."""
        references = identities(leg)
        if not references:
            return ""
        candidates = self._state.candidates(leg, references[0])
        match = sole_counterpart(leg, references[0], candidates, self._rules_of(leg.tenant_id))
        if match is None:
            return ""
        done = self._state.commit(match)
        return match.match_id if done in (Committed.NOW, Committed.BEFORE) else ""
