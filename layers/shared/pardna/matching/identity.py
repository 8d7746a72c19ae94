"""Level 1: an equal strong reference, the exact amount on the pair's basis, within the window.

The same decision serves records as they arrive (a few candidates by key) and says what the batch's
set-based form must say as well.
"""

from __future__ import annotations

from collections.abc import Sequence

from pardna.matching.model import Explanation, Leg, Match, Pair, Signal, identities
from pardna.matching.rules import BusinessDays, Rules
from pardna.money.model import Money
from pardna.transactions.model import Reference

RULE_ID = "identity"
CERTAIN_BP = 10_000


def sole_counterpart(leg: Leg, reference: Reference, candidates: Sequence[Leg], rules: Rules) -> Match | None:  # fmt: skip
    """The match of `leg` with the only leg of the other side that carries `reference`.

    None when there is no such leg or more than one on either side (a duplicate: the batch decides
    and explains), when another strong reference contradicts, and when direction, amount or window
    do not fit (a break: the batch names it).
    """
    same = {c.transaction_id for c in candidates if c.side is leg.side} | {leg.transaction_id}
    others = {c.transaction_id: c for c in candidates if c.side is not leg.side}
    if len(same) != 1 or len(others) != 1:
        return None
    [other] = others.values()
    left, right = (leg, other) if leg.is_left else (other, leg)
    days = BusinessDays(rules.closed_days).between(left.day, right.day)
    window = rules.of(leg.pair).identity_window
    if (
        left.currency != right.currency
        or left.basis_minor is None
        or left.basis_minor != right.basis_minor
        or not -window.before <= days <= window.after
        or contradicts(left, right)
    ):
        return None
    return identity_match(left, right, reference, days, rules)


def contradicts(left: Leg, right: Leg) -> bool:
    """Both name the same kind of strong identity, and never the same one."""
    ours, theirs = _by_type(left), _by_type(right)
    return any(not ours[type_] & theirs[type_] for type_ in ours.keys() & theirs.keys())


def _by_type(leg: Leg) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for reference in identities(leg):
        found.setdefault(reference.type, set()).add(reference.value)
    return found


def identity_match(left: Leg, right: Leg, reference: Reference, days: int, rules: Rules) -> Match:
    """The match that level 1 makes of two legs, with its reason."""
    amount = Money(left.basis_minor or 0, left.currency)
    basis = "gross amount" if left.pair is Pair.INTERNAL_PSP else "amount"
    return Match(
        pair=left.pair,
        currency=left.currency,
        level=1,
        rule_id=RULE_ID,
        rule_version=rules.version,
        rules_hash=rules.rules_hash,
        confidence_bp=CERTAIN_BP,
        explanation=Explanation(
            sentence=(
                f"Both carry {reference.type} {reference.value} and the same {basis}, {amount}, "
                f"{distance(days)}."
            ),
            signals=(
                Signal(f"reference.{reference.type}", reference.value, CERTAIN_BP),
                Signal("amount", "exact"),
                Signal("business_days", str(days)),
            ),
        ),
        members=(left, right),
    )


def distance(days: int) -> str:
    """Business days between the two sides, in words."""
    if days == 0:
        return "on the same day"
    count = f"{abs(days)} business day{'s' if abs(days) > 1 else ''}"
    return f"{count} {'later' if days > 0 else 'earlier'} on the other side"
