"""What people decide about matches: match by hand, confirm or reject a proposal.

A person stands under the same law as the machine: each leg is in one match at most, and whoever is
first wins. What moves more money than the tenant lets one person move waits for a second one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from pardna.matching.acts import Asked, Deed, act, checked_text
from pardna.matching.current_rules import RulesOf
from pardna.matching.decisions import AskSecondPerson, Stake
from pardna.matching.desk import BreakChanged, Change, Desk
from pardna.matching.identity import contradicts
from pardna.matching.model import (
    Break,
    Explanation,
    Leg,
    Match,
    Pair,
    Signal,
    Status,
    break_id,
)
from pardna.matching.ports import Committed, StoredMatch
from pardna.matching.unmatching import stored_match
from pardna.money.model import Money
from pardna.runtime.clock import Clock, iso
from pardna.runtime.errors import (
    AlreadyDecided,
    Conflict,
    InvalidInput,
    NotFound,
    RefusedByRule,
)
from pardna.transactions.model import Kind

RULE_ID = "manual"
#: Legs that one person matches in one request.
LEGS_MAX = 1_000
#: Where a remainder belongs; the ledger keeps an account for each.
VARIANCE_KINDS = ("fee", "rounding", "fx", "other")


@dataclass(frozen=True, slots=True)
class ManualMatch:
    """Legs that a person says are the same money; `variance_minor` is what left exceeds right by."""

    pair: Pair
    transaction_ids: tuple[str, ...]
    reason: str
    variance_minor: int = 0
    variance_kind: str = ""


class HandMatching:
    """The use cases; each answers the same request sent again with the same answer."""

    def __init__(
        self, desk: Desk, rules_of: RulesOf, second: AskSecondPerson, clock: Clock
    ) -> None:
        self._desk = desk
        self._rules_of = rules_of
        self._second = second
        self._clock = clock

    # ---------------------------------------------------------------- match

    def match(self, by: Asked, request: ManualMatch, *changes: Change) -> Mapping[str, Any]:
        """Match legs by hand. Answer: ``committed``, or ``waiting_for_approval``.

        Raises NotFound for a leg that is none, RefusedByRule for currencies, sides or amounts that
        do not fit, Conflict when a leg is taken.
        """
        if (said := self._second.again(by)) is not None:
            return said
        made = self._made(by, request)
        if not by.approved_by and (why := self._needs_second(made)):
            plain = asdict(request) | {"pair": request.pair.value}
            stake = Stake("match", f"match:{made.match_id}", _at_stake(made))
            return self._second.ask(by, stake, plain, f"{request.reason} ({why})")
        return self._commit(by, made, "matched", request.reason, *changes)

    def matched_by_two(
        self, by: Asked, request: Mapping[str, Any], closed: Change
    ) -> Mapping[str, Any]:
        """What `match` or `decide` was asked and a second person approved."""
        if "match_id" in request:
            return self.decide(by, str(request["match_id"]), True, str(request["reason"]), closed)
        ids = tuple(request["transaction_ids"])
        pair = Pair(request["pair"])
        return self.match(by, ManualMatch(**{**request, "pair": pair, "transaction_ids": ids}), closed)  # fmt: skip

    def _made(self, by: Asked, request: ManualMatch) -> Match:
        checked_text(request.reason, "reason")
        legs = self._legs(by.tenant_id, request.pair, request.transaction_ids)
        difference = difference_minor(legs)
        _check_variance(request, difference, legs[0].currency)
        rules = self._rules_of(by.tenant_id)
        left, right = sum(leg.is_left for leg in legs), sum(not leg.is_left for leg in legs)
        told = f"A person matched {left} and {right} movements by hand: {request.reason}"
        return Match(
            pair=request.pair,
            currency=legs[0].currency,
            level=0,
            rule_id=RULE_ID,
            rule_version=rules.version,
            rules_hash=rules.rules_hash,
            confidence_bp=10_000,
            explanation=Explanation(told, (Signal("difference", str(difference)),)),
            members=tuple(legs),
            variance_minor=difference,
            variance_kind=request.variance_kind,
        )

    def _legs(self, tenant_id: str, pair: Pair, ids: Sequence[str]) -> list[Leg]:
        if len(set(ids)) != len(ids) or not 2 <= len(ids) <= LEGS_MAX:
            raise InvalidInput(
                "matching.legs", f"transaction_ids: 2 to {LEGS_MAX}, each of them once"
            )
        legs = self._desk.legs(tenant_id, pair, ids)
        unknown = sorted(set(ids) - {leg.transaction_id for leg in legs})
        if unknown:
            raise NotFound(
                "matching.no_leg", f"{unknown[0]} is no leg of {pair.value}; {len(unknown)} unknown"
            )
        if len({leg.currency for leg in legs}) > 1:
            raise RefusedByRule("matching.currencies", "legs of one match have one currency")
        if len({leg.is_left for leg in legs}) < 2:
            raise RefusedByRule(
                "matching.one_side", f"name legs of both sides of {pair.value}; what stands alone "
                "is resolved as a break"
            )  # fmt: skip
        return sorted(legs, key=lambda leg: (not leg.is_left, leg.source, leg.transaction_id))

    def _needs_second(self, made: Match) -> str:
        """Why one person is not enough; "" when one is."""
        limit = self._rules_of(made.tenant_id).write_off_approval_minor
        if abs(made.variance_minor) > limit:
            return f"a remainder above {limit} minor units takes a second person"
        if made.shape == "1:1" and contradicts(*made.members):
            return "strong references contradict each other"
        return ""

    def _commit(
        self, by: Asked, made: Match, verb: str, reason: str, *changes: Change
    ) -> Mapping[str, Any]:
        at, subject = iso(self._clock()), f"match:{made.match_id}"
        answer = {
            "status": "committed",
            "match_id": made.match_id,
            "variance_minor": made.variance_minor,
            "currency": made.currency,
        }
        acts = (act(by, subject, verb, at, reason, members=len(made.members), variance_minor=made.variance_minor),)  # fmt: skip
        done = self._desk.commit(
            made, Deed(by, acts, answer), *changes, confirms=verb == "confirmed"
        )
        if done is not Committed.NOW:
            return self._second.again(by) or self._lost(made)
        self._close_breaks(by, made, at)
        return answer

    def _lost(self, made: Match) -> Mapping[str, Any]:
        """Why a commit lost, so that a person knows what to do. Raises Conflict."""
        ids = [leg.transaction_id for leg in made.members]
        held = self._desk.holders(made.tenant_id, made.pair, ids)
        if held:
            [(one, holder), *_] = sorted(held.items())
            raise Conflict(
                "matching.leg_taken",
                f"{one} is held by match {holder}; leave it out, or unmatch that match first",
                transaction_id=one, match_id=holder,
            )  # fmt: skip
        raise Conflict("matching.changed", "a leg or the proposal has changed; look again, then repeat")  # fmt: skip

    def _close_breaks(self, by: Asked, made: Match, at: str) -> None:
        """Resolve the breaks that were about these legs; the next run closes what is left."""
        ids = [leg.transaction_id for leg in made.members]
        wanted = {break_id(made.pair, [one]) for one in ids} | {break_id(made.pair, ids)}
        for seen in self._desk.breaks(made.tenant_id, sorted(wanted)):
            if seen.status == "open":
                new = resolved(seen, "matched", "", by.principal, at)
                again = replace(by, key=f"{by.key}:{seen.break_id}"[:200])
                told = act(again, f"break:{seen.break_id}", "resolved", at, resolution="matched", match_id=made.match_id)  # fmt: skip
                self._desk.write(Deed(again, (told,), {}), BreakChanged(seen, new))

    # ---------------------------------------------------------------- proposals

    def decide(
        self, by: Asked, match_id: str, confirm: bool, reason: str, *changes: Change
    ) -> Mapping[str, Any]:
        """Confirm a proposal, or reject it for good: these legs are not proposed again.

        Raises NotFound, AlreadyDecided, Conflict when a leg has been taken or has changed.
        """
        if (said := self._second.again(by)) is not None:
            return said
        stored = stored_match(self._desk, by.tenant_id, match_id)
        if stored.status is not Status.PROPOSED:
            raise AlreadyDecided("matching.no_proposal", f"this is no proposal any more: it is {stored.status.value}", status=stored.status.value)  # fmt: skip
        if not confirm:
            return self._reject(by, match_id, checked_text(reason, "reason"))
        made = self._confirmed(stored)
        if not by.approved_by and (why := self._needs_second(made)):
            stake = Stake("match", f"match:{match_id}", _at_stake(made))
            return self._second.ask(by, stake, {"match_id": match_id, "reason": reason}, why)
        return self._commit(by, made, "confirmed", reason, *changes)

    def _reject(self, by: Asked, match_id: str, reason: str) -> Mapping[str, Any]:
        answer = {"status": "rejected", "match_id": match_id}
        told = act(by, f"match:{match_id}", "rejected", iso(self._clock()), reason)
        if self._desk.reject(by.tenant_id, match_id, Deed(by, (told,), answer)):
            return answer
        said = self._desk.answered(by)
        if said is None:
            raise AlreadyDecided(
                "matching.no_proposal", "this was decided a moment ago; look again"
            )
        return said

    def _confirmed(self, stored: StoredMatch) -> Match:
        ids = [m.transaction_id for m in stored.members]
        legs = {leg.transaction_id: leg for leg in self._desk.legs(stored.tenant_id, stored.pair, ids)}  # fmt: skip
        if any(
            m.transaction_id not in legs or legs[m.transaction_id].version != m.transaction_version
            for m in stored.members
        ):
            raise Conflict(
                "matching.proposal_changed",
                "a record has changed since this was proposed; the next run proposes it anew",
            )
        told = stored.explanation
        return Match(
            pair=stored.pair,
            currency=stored.currency,
            level=stored.level,
            rule_id=stored.rule_id,
            rule_version=stored.rule_version,
            rules_hash=str(told.get("rules_hash", "")),
            confidence_bp=stored.confidence_bp,
            explanation=Explanation(
                str(told["sentence"]),
                tuple(Signal(**one) for one in told["signals"]),
                str(told["runner_up"]),
                int(told["margin_bp"]),
                tuple(told["rejected"]),
            ),
            members=tuple(legs[one] for one in ids),
            variance_minor=stored.variance_minor,
            variance_kind=stored.variance_kind,
            run_id=stored.run_id,
        )


def difference_minor(legs: Sequence[Leg]) -> int:
    """What the left side exceeds the right side by, in minor units, on the pair's basis.

    With a payout on the left the bank is compared with it, and whatever else of the left it settles
    must come to it. Raises RefusedByRule for an amount that is not known yet, or such a sum.
    """
    amounts = {leg.transaction_id: leg.basis_minor for leg in legs}
    for one, amount in amounts.items():
        if amount is None:
            raise RefusedByRule("matching.amount_unknown", f"the net amount of {one} is not known yet")  # fmt: skip
    left = [(leg, amounts[leg.transaction_id] or 0) for leg in legs if leg.is_left]
    right = sum(amounts[leg.transaction_id] or 0 for leg in legs if not leg.is_left)
    paid = -sum(amount for leg, amount in left if leg.kind is Kind.PAYOUT)
    rest = [amount for leg, amount in left if leg.kind is not Kind.PAYOUT]
    if not any(leg.kind is Kind.PAYOUT for leg, _ in left):
        return sum(rest) - right
    if rest and sum(rest) != paid:
        raise RefusedByRule(
            "matching.settlement",
            f"what the payout settles comes to {sum(rest)}, the payout is {paid} (minor units)",
            difference_minor=sum(rest) - paid,
        )
    return paid - right


def resolved(seen: Break, resolution: str, code: str, principal: str, at: str) -> Break:
    """A break as it is once somebody has resolved it at an instant."""
    return replace(
        seen, status="resolved", resolution=resolution, reason_code=code, resolved_on=at[:10],
        resolved_by=principal, waits_for="",
    )  # fmt: skip


def _at_stake(made: Match) -> Money:
    """The remainder that is let go; without one, all that is joined."""
    whole = max(abs(leg.basis_minor or 0) for leg in made.members)
    return Money(abs(made.variance_minor) or whole, made.currency)


def _check_variance(request: ManualMatch, difference: int, currency: str) -> None:
    if difference != request.variance_minor:
        raise RefusedByRule(
            "matching.variance",
            f"the left side exceeds the right by {Money(difference, currency)}; choose other legs, "
            f"or name the remainder: variance_minor {difference} and variance_kind",
            difference_minor=difference,
        )
    if bool(difference) != bool(request.variance_kind):
        raise InvalidInput("matching.variance_kind", f"variance_kind: one of {', '.join(VARIANCE_KINDS)} with a remainder, none without")  # fmt: skip
    if difference and request.variance_kind not in VARIANCE_KINDS:
        raise InvalidInput("matching.variance_kind", f"variance_kind: one of {', '.join(VARIANCE_KINDS)}")  # fmt: skip
