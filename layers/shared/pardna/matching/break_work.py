"""What people do about breaks: take them on, say something, resolve them, open them again.

A resolution by a person moves money: the break's legs leave their clearing accounts by a match of
level 0 whose remainder lands on ``variance:{pair}:{resolution}``, so that no clearing account holds
what nobody looks for any more. Above the tenant's limit it waits for a second person. Opening a
break again takes that match back, and the ledger reverses it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from pardna.matching.acts import Asked, Deed, act, checked_text
from pardna.matching.breaks import BY_PEOPLE
from pardna.matching.current_rules import RulesOf
from pardna.matching.decisions import AskSecondPerson, Stake, decision_id
from pardna.matching.desk import BreakChanged, Change, Desk
from pardna.matching.model import Break, Explanation, Leg, Match, Signal, match_id
from pardna.matching.people import resolved
from pardna.matching.ports import Committed
from pardna.money.model import Money
from pardna.runtime.clock import Clock, iso
from pardna.runtime.errors import Conflict, InvalidInput, NotFound, RefusedByRule

#: Whether a principal may own a tenant's breaks.
MayOwn = Callable[[str, str], bool]


class BreakWork:
    """The use cases; each answers the same request sent again with the same answer."""

    def __init__(
        self,
        desk: Desk,
        rules_of: RulesOf,
        second: AskSecondPerson,
        may_own: MayOwn,
        clock: Clock,
    ) -> None:
        self._desk = desk
        self._rules_of = rules_of
        self._second = second
        self._may_own = may_own
        self._clock = clock

    def assign(self, by: Asked, break_id: str, owner: str) -> Mapping[str, Any]:
        """Say who looks after it; "" for nobody. Raises InvalidInput for somebody who cannot."""
        if (said := self._desk.answered(by)) is not None:
            return said
        seen = self._seen(by, break_id)
        if owner and not self._may_own(owner, by.tenant_id):
            raise InvalidInput("break.owner", "owner: nobody of this tenant who may see breaks")
        return self._write(by, seen, replace(seen, owner=owner), "assigned", "", owner=owner)

    def comment(self, by: Asked, break_id: str, text: str) -> Mapping[str, Any]:
        """Say something about it, for good."""
        if (said := self._desk.answered(by)) is not None:
            return said
        seen = self._seen(by, break_id)
        checked_text(text, "text")
        return self._write(by, seen, None, "commented", text)

    def resolve(
        self, by: Asked, break_id: str, resolution: str, code: str, note: str, *changes: Change
    ) -> Mapping[str, Any]:
        """Resolve an open break. Answer: ``resolved``, or ``waiting_for_approval``.

        Raises InvalidInput for a resolution or reason code that is none, Conflict when it is not
        open, waits for a decision, or a leg has been matched meanwhile.
        """
        if (said := self._second.again(by)) is not None:
            return said
        seen = self._seen(by, break_id)
        _check_resolution(resolution, code)
        checked_text(note, "note")
        self._check_open(by, seen)
        limit = self._rules_of(by.tenant_id).write_off_approval_minor
        if not by.approved_by and seen.amount_minor > limit:
            request = {"break_id": break_id, "resolution": resolution, "code": code, "note": note}
            stake = Stake("resolve", f"break:{break_id}", Money(seen.amount_minor, seen.currency))
            waits = replace(seen, needs_approval=True, waits_for=decision_id(by))
            return self._second.ask(by, stake, request, note, BreakChanged(seen, waits))
        return self._resolve(by, seen, resolution, code, note, *changes)

    def resolved_by_two(
        self, by: Asked, request: Mapping[str, Any], closed: Change
    ) -> Mapping[str, Any]:
        """What `resolve` was asked and a second person approved."""
        return self.resolve(
            by,
            str(request["break_id"]),
            str(request["resolution"]),
            str(request["code"]),
            str(request["note"]),
            closed,
        )

    def reopen(self, by: Asked, break_id: str, reason: str) -> Mapping[str, Any]:
        """Open again what a person resolved; the ledger takes the resolution back."""
        if (said := self._desk.answered(by)) is not None:
            return said
        seen = self._seen(by, break_id)
        checked_text(reason, "reason")
        if seen.status != "resolved":
            raise Conflict("break.open", "this break is open")
        if seen.resolution not in BY_PEOPLE:
            raise RefusedByRule(
                "break.resolved_by_a_match",
                "a match resolved this break; unmatch it, and the next run opens the break again",
            )
        new = replace(
            seen, status="open", resolution="", reason_code="", resolved_on="", resolved_by=""
        )
        at, match = iso(self._clock()), match_id(seen.pair, seen.transaction_ids)
        answer = {"status": "open", "break_id": break_id}
        acts = (
            act(by, f"break:{break_id}", "reopened", at, reason),
            act(by, f"match:{match}", "unmatched", at, reason, break_id=break_id),
        )
        change = BreakChanged(seen, new)
        if self._desk.unmatch(by.tenant_id, match, Deed(by, acts, answer), change, refuse=False):
            return answer
        return self._desk.answered(by) or _changed()

    # ---------------------------------------------------------------- steps

    def _check_open(self, by: Asked, seen: Break) -> None:
        if seen.status != "open":
            raise Conflict("break.resolved", f"this break is resolved: {seen.resolution}; reopen it first")  # fmt: skip
        if seen.waits_for and not by.approved_by:
            raise Conflict(
                "break.waits",
                f"decision {seen.waits_for} about this break waits for a second person",
                decision_id=seen.waits_for,
            )

    def _resolve(
        self, by: Asked, seen: Break, resolution: str, code: str, note: str, *changes: Change
    ) -> Mapping[str, Any]:
        legs = self._desk.legs(by.tenant_id, seen.pair, seen.transaction_ids)
        if len(legs) != len(seen.transaction_ids):
            raise Conflict("break.legs", "a record of this break has not arrived yet; try again")
        made = _settled(seen, legs, resolution, note)
        at, subject = iso(self._clock()), f"break:{seen.break_id}"
        answer = {
            "status": "resolved",
            "break_id": seen.break_id,
            "resolution": resolution,
            "match_id": made.match_id,
        }
        acts = (
            act(by, subject, "resolved", at, note, resolution=resolution, reason_code=code),
            act(by, f"match:{made.match_id}", "resolved", at, note, break_id=seen.break_id),
        )
        new = resolved(seen, resolution, code, by.principal, at)
        deed = Deed(by, acts, answer)
        if self._desk.commit(made, deed, BreakChanged(seen, new), *changes) is Committed.NOW:
            return answer
        if (said := self._desk.answered(by)) is not None:
            return said
        held = self._desk.holders(by.tenant_id, seen.pair, seen.transaction_ids)
        if held:
            [(one, holder), *_] = sorted(held.items())
            raise Conflict(
                "break.explained",
                f"{one} is in match {holder}; the next run closes or renames this break",
                transaction_id=one, match_id=holder,
            )  # fmt: skip
        return _changed()

    def _seen(self, by: Asked, break_id: str) -> Break:
        found = self._desk.breaks(by.tenant_id, [break_id])
        if not found:
            raise NotFound("break.not_found", "there is no such break here")
        return found[0]

    def _write(
        self, by: Asked, seen: Break, new: Break | None, verb: str, text: str, **details: str
    ) -> Mapping[str, Any]:
        answer = {"status": verb, "break_id": seen.break_id} | details
        told = act(by, f"break:{seen.break_id}", verb, iso(self._clock()), text, **details)
        changes = [] if new is None or new == seen else [BreakChanged(seen, new)]
        if self._desk.write(Deed(by, (told,), answer), *changes):
            return answer
        return self._desk.answered(by) or _changed()


def _changed() -> Mapping[str, Any]:
    raise Conflict(
        "break.changed", "the break has changed meanwhile; look at it again, then repeat"
    )


def _check_resolution(resolution: str, code: str) -> None:
    if resolution not in BY_PEOPLE:
        raise InvalidInput("break.resolution", f"resolution: one of {', '.join(BY_PEOPLE)}; what is matched by hand resolves itself")  # fmt: skip
    if code not in BY_PEOPLE[resolution]:
        raise InvalidInput("break.reason_code", f"reason_code: one of {', '.join(BY_PEOPLE[resolution])}")  # fmt: skip


def _settled(seen: Break, legs: list[Leg], resolution: str, note: str) -> Match:
    """The match that takes a break's legs out of their clearing accounts."""
    left = sum(leg.basis_minor or 0 for leg in legs if leg.is_left)
    right = sum(leg.basis_minor or 0 for leg in legs if not leg.is_left)
    words = resolution.replace("_", " ")
    return Match(
        pair=seen.pair,
        currency=seen.currency,
        level=0,
        rule_id=f"resolution.{resolution}",
        rule_version=0,
        rules_hash="",
        confidence_bp=10_000,
        explanation=Explanation(
            f"A person resolved the break about these movements as {words}: {note}",
            (Signal("break", seen.break_id),),
        ),
        members=tuple(sorted(legs, key=lambda leg: leg.transaction_id)),
        variance_minor=left - right,
        variance_kind=resolution,
    )
