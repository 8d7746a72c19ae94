"""Legs, matches and findings as plain JSON: what a shard's plan is written in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any

from pardna.matching.model import Explanation, Leg, Match, Pair, Signal, Status
from pardna.transactions.model import Kind, Reference, Side, Strength


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not explained: a class, a stable code, the legs, and figures to tell it by.

    `legs` are the ones that the finding is about; `covered` all that it holds up.
    """

    class_: str
    code: str
    legs: tuple[Leg, ...]
    covered: tuple[Leg, ...]
    value: str = ""
    number: int = 0
    other: int = 0


# `asdict` copies all that it finds, deeply: with many legs that was a third of a run.
_LEG = tuple(field.name for field in fields(Leg))
_MATCH = tuple(field.name for field in fields(Match))


def leg_to_plain(leg: Leg) -> dict[str, Any]:
    """JSON types only."""
    plain = {name: getattr(leg, name) for name in _LEG}
    plain["pair"], plain["side"], plain["kind"] = leg.pair.value, leg.side.value, leg.kind.value
    plain["occurred_at"] = leg.occurred_at.isoformat()
    plain["value_date"] = leg.value_date.isoformat() if leg.value_date else None
    plain["references"] = [[r.type, r.value, r.strength.value] for r in leg.references]
    plain["exclusive"] = [pair.value for pair in leg.exclusive]
    return plain


def leg_from_plain(plain: Mapping[str, Any]) -> Leg:
    """The inverse of `leg_to_plain`."""
    value_date = plain["value_date"]
    return Leg(
        **{
            **plain,
            "pair": Pair(plain["pair"]),
            "side": Side(plain["side"]),
            "kind": Kind(plain["kind"]),
            "occurred_at": datetime.fromisoformat(plain["occurred_at"]),
            "value_date": date.fromisoformat(value_date) if value_date else None,
            "references": tuple(Reference(t, v, Strength(s)) for t, v, s in plain["references"]),
            "exclusive": tuple(Pair(p) for p in plain["exclusive"]),
        }
    )


def match_to_plain(match: Match) -> dict[str, Any]:
    """JSON types only."""
    plain = {name: getattr(match, name) for name in _MATCH}
    plain["pair"], plain["status"] = match.pair.value, match.status.value
    plain["explanation"] = explanation_to_plain(match.explanation)
    plain["members"] = [leg_to_plain(leg) for leg in match.members]
    return plain


def explanation_to_plain(told: Explanation) -> dict[str, Any]:
    """JSON types only."""
    return {
        "sentence": told.sentence,
        "signals": [
            {"name": s.name, "value": s.value, "contribution_bp": s.contribution_bp}
            for s in told.signals
        ],
        "runner_up": told.runner_up,
        "margin_bp": told.margin_bp,
        "rejected": list(told.rejected),
    }


def match_from_plain(plain: Mapping[str, Any]) -> Match:
    """The inverse of `match_to_plain`."""
    told = plain["explanation"]
    explanation = Explanation(
        sentence=told["sentence"],
        signals=tuple(Signal(**s) for s in told["signals"]),
        runner_up=told["runner_up"],
        margin_bp=told["margin_bp"],
        rejected=tuple(told["rejected"]),
    )
    return Match(
        **{
            **plain,
            "pair": Pair(plain["pair"]),
            "status": Status(plain["status"]),
            "explanation": explanation,
            "members": tuple(leg_from_plain(leg) for leg in plain["members"]),
        }
    )


def finding_to_plain(finding: Finding) -> dict[str, Any]:
    """JSON types only; of what the finding holds up, the number is enough."""
    plain: dict[str, Any] = {
        "class_": finding.class_, "code": finding.code, "value": finding.value,
        "number": finding.number, "other": finding.other,
    }  # fmt: skip
    plain["legs"] = [leg_to_plain(leg) for leg in finding.legs]
    plain["covered"] = len(finding.covered)
    return plain


def finding_from_plain(plain: Mapping[str, Any]) -> tuple[Finding, int]:
    """A finding without what it holds up, and how many legs that is."""
    legs = tuple(leg_from_plain(leg) for leg in plain["legs"])
    return Finding(**{**plain, "legs": legs, "covered": legs}), int(plain["covered"])
