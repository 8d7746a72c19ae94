"""What a person has said is not the same money: no rule finds it again. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from pardna.matching.codec import Finding
from pardna.matching.model import Leg, Match
from pardna.transactions.model import Kind

#: Of more legs than this one break is opened for all, with those that tell it by.
LEGS_APART_MAX = 4


def set_aside(
    matches: Sequence[Match], refused: frozenset[str]
) -> tuple[tuple[Match, ...], list[Finding]]:
    """The matches without those that a person refused, and what is to be told of these instead."""
    if not refused:
        return tuple(matches), []
    kept = tuple(m for m in matches if m.match_id not in refused)
    findings = [f for m in matches if m.match_id in refused for f in _told(m)]
    return kept, findings


def _told(match: Match) -> Iterable[Finding]:
    members = match.members
    if len(members) <= LEGS_APART_MAX:
        return [Finding(_missing(leg), "refused", (leg,), (leg,)) for leg in members]
    named = tuple(leg for leg in members if leg.kind is Kind.PAYOUT or not leg.is_left)
    return [Finding("AMBIGUOUS", "refused", named[:LEGS_APART_MAX] or members[:2], members)]


def _missing(leg: Leg) -> str:
    other = leg.pair.right if leg.is_left else leg.pair.left
    return f"MISSING_{other.value.upper()}"


def digest(refused: Iterable[str]) -> str:
    """What refusals add to a run's inputs; "" for none."""
    ids = sorted(refused)
    return hashlib.sha256("\x1f".join(ids).encode()).hexdigest()[:16] if ids else ""
