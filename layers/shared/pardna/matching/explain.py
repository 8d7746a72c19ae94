"""From the engine's rows to matches and findings that a person can follow."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pardna.matching.codec import Finding
from pardna.matching.identity import distance, identity_match
from pardna.matching.model import Explanation, Leg, Match, Signal, Status
from pardna.money.model import Money
from pardna.transactions.model import Reference, Strength

if TYPE_CHECKING:
    from pardna.matching.engine import Result
    from pardna.matching.engine_base import Engine

_DECISIONS = (
    "SELECT d.l, d.level, d.rule, d.confidence, d.variance, CASE d.level WHEN 3 THEN 0 ELSE d.left_minor - d.right_minor END, d.type,"
    " d.value, d.other, d.days, d.margin, d.proposed, d.left_id, d.right_id, rival.id"
    " FROM decisions d LEFT JOIN rest_r rival ON rival.leg = d.rival"
    " ORDER BY d.left_id"
)
_FINDINGS = (
    "SELECT f.class, f.code, x.id, y.id, f.value, f.number, f.other FROM findings f"
    " LEFT JOIN rest_l x ON x.leg = f.l LEFT JOIN rest_r y ON y.leg = f.r"
    " ORDER BY x.id, y.id, f.code"
)
_MEMBERS = (
    "SELECT p.id, m.id FROM settlement_members s JOIN rest_l p ON p.leg = s.leg"
    " JOIN rest_l m ON m.leg = s.member ORDER BY p.source, p.id, m.source, m.id"
)
_REVERSALS = (
    "SELECT c.id, r.id, v.value FROM reversals v JOIN rest_r c ON c.leg = v.charge"
    " JOIN rest_r r ON r.leg = v.refund ORDER BY c.id"
)
_EXTRA = (
    "SELECT p.id, e.side, coalesce(a.id, b.id) FROM extra_members e JOIN rest_l p ON p.leg = e.l"
    " LEFT JOIN rest_l a ON e.side = 'l' AND a.leg = e.leg"
    " LEFT JOIN rest_r b ON e.side = 'r' AND b.leg = e.leg ORDER BY p.source, p.id, 2, 3"
)
_WAITING = (
    "SELECT x.id, y.id FROM waiting w LEFT JOIN rest_l x ON x.leg = w.l"
    " LEFT JOIN rest_r y ON y.leg = w.r"
)


def to_result(engine: Engine, left: Sequence[Leg], right: Sequence[Leg]) -> Result:
    """All that the engine decided, in the domain's words."""
    from pardna.matching.engine import Result

    known = {leg.transaction_id: leg for leg in (*left, *right)}
    members: dict[str, list[Leg]] = defaultdict(list)
    for payout, member in engine.con.sql(_MEMBERS).fetchall():
        members[payout].append(known[member])
    extra: dict[str, tuple[list[Leg], list[Leg]]] = defaultdict(lambda: ([], []))
    for anchor, side, leg in engine.con.sql(_EXTRA).fetchall():
        extra[anchor][side == "r"].append(known[leg])
    matches: list[Match] = []
    proposals: list[Match] = []
    for row in engine.con.sql(_DECISIONS).fetchall():
        made = _match(engine, row, known, members, extra)
        (proposals if made.status is Status.PROPOSED else matches).append(made)
    for charge, refund, value in engine.con.sql(_REVERSALS).fetchall():
        matches.append(_reversal(engine, known[charge], known[refund], value))
    findings = []
    for class_, code, l, r, value, number, other in engine.con.sql(_FINDINGS).fetchall():  # noqa: E741
        legs = tuple(known[i] for i in (l, r) if i)
        covered = (*legs, *members.get(l, ()))
        findings.append(Finding(class_, code, legs, covered, value or "", number or 0, other or 0))
    waiting = []
    for l, r in engine.con.sql(_WAITING).fetchall():  # noqa: E741
        waiting += [known[i] for i in (l, r) if i]
        waiting += members.get(l, ())
    waiting.sort(key=lambda leg: (leg.source, leg.transaction_id))
    return Result(
        tuple(matches), tuple(proposals), tuple(findings), tuple(waiting), dict(engine.caps)
    )


def _match(
    engine: Engine,
    row: tuple[Any, ...],
    known: dict[str, Leg],
    members: dict[str, list[Leg]],
    extra: dict[str, tuple[list[Leg], list[Leg]]],
) -> Match:
    (_, level, rule, confidence, variance, gap, type_, value, other, days, margin, proposed,
     left_id, right_id, rival) = row  # fmt: skip
    left, right = known[left_id], known[right_id]
    other = value if other is None else other
    if level == 1:
        reference = Reference(type_, value, Strength.STRONG)
        return identity_match(left, right, reference, days, engine.rules)
    base = Match(
        pair=engine.pair,
        currency=left.currency,
        level=level,
        rule_id=rule,
        rule_version=engine.rules.version,
        rules_hash=engine.rules.rules_hash,
        confidence_bp=confidence,
        explanation=Explanation(""),
        members=(left, right),
        variance_minor=gap,
        variance_kind=variance,
        status=Status.PROPOSED if proposed else Status.COMMITTED,
    )
    if rule == "group":
        more_left, more_right = extra[left_id]
        legs = (left, *more_left, right, *more_right)
        return replace(base, members=legs, explanation=_group_story(legs, int(other)))
    if rule == "reference_sum":
        more_left, more_right = extra[left_id]
        legs = (left, *more_left, right, *more_right)
        return replace(base, members=legs, explanation=_sum_story(legs, value))
    if level == 4:
        return replace(
            base,
            explanation=_probable_story(
                base, type_, value, other, days, rival, margin, engine.own.weights.amount_bp
            ),
        )
    if level == 3:
        return replace(
            base,
            members=(left, *members[left_id], right),
            explanation=settlement_story(left, members[left_id], right, value),
        )
    return replace(base, explanation=_rule_story(base, value, other, days, rival, margin))


def _reversal(engine: Engine, charge: Leg, refund: Leg, value: str) -> Match:
    amount = Money(charge.basis_minor or 0, charge.currency)
    return Match(
        pair=engine.pair,
        currency=charge.currency,
        level=2,
        rule_id="reversal",
        rule_version=engine.rules.version,
        rules_hash=engine.rules.rules_hash,
        confidence_bp=9_900,
        explanation=Explanation(
            sentence=(
                f"The charge {charge.external_id} of {amount} was given back in full by "
                f"{refund.external_id}: together they are nothing, and our books owe nothing."
            ),
            signals=(Signal("reference.charge", value, 9_900), Signal("amount", "exact")),
        ),
        members=(charge, refund),
    )


def settlement_story(payout: Leg, members: Sequence[Leg], line: Leg, name: str) -> Explanation:
    """The proof of a settlement: by kind, what its members come to, and that nothing is left."""
    by_kind: dict[str, list[int]] = defaultdict(list)
    for leg in members:
        by_kind[leg.kind.value].append(leg.basis_minor or 0)
    total = sum(sum(amounts) for amounts in by_kind.values())
    signals = [
        Signal(f"net.{kind}", f"{len(amounts)} of {Money(sum(amounts), payout.currency)}")
        for kind, amounts in sorted(by_kind.items())
    ]
    left = total + (payout.basis_minor or 0)
    signals.append(Signal("difference", str(left), 10_000))
    return Explanation(
        sentence=(
            f"Payout {name} of {Money(line.amount_minor, line.currency)} settles {len(members)} "
            f"movements whose net amounts come to {Money(total, payout.currency)}: "
            f"difference {Money(left, payout.currency)}; the bank shows the same amount."
        ),
        signals=tuple(signals),
    )


def _rule_story(
    match: Match, value: str, other: str, days: int, rival: str | None, margin: int | None
) -> Explanation:
    left, right = match.members
    same = f"Both carry the reference {value}" if value == other else (
        f"The references {value} and {other} differ in one character"
    )  # fmt: skip
    amount = Money(left.basis_minor or 0, left.currency)
    if not match.variance_minor:
        told = f"the same amount, {amount}"
    else:
        gap = Money(abs(match.variance_minor), left.currency)
        why = "what the fee schedule keeps" if match.variance_kind == "fee" else "within tolerance"
        told = f"amounts {amount} and {Money(right.basis_minor or 0, right.currency)}, {gap} apart, {why}"  # fmt: skip
    return Explanation(
        sentence=f"{same}, {told}, {distance(days)}.",
        signals=(
            Signal("reference", "equal" if value == other else "one edit", match.confidence_bp),
            Signal("amount", "exact" if not match.variance_minor else match.variance_kind),
            Signal("business_days", str(days)),
        ),
        runner_up=rival or "",
        margin_bp=margin or 0,
    )


def _sum_story(legs: Sequence[Leg], value: str) -> Explanation:
    left = [leg.basis_minor or 0 for leg in legs if leg.is_left]
    right = [leg.basis_minor or 0 for leg in legs if not leg.is_left]
    total = Money(sum(left), legs[0].currency)
    return Explanation(
        sentence=(
            f"{len(left)} and {len(right)} movements carry the reference {value} and come to the "
            f"same on both sides, {total}."
        ),
        signals=(Signal("reference", "equal", 9_700), Signal("difference", "0")),
    )


def _group_story(legs: Sequence[Leg], candidates: int) -> Explanation:
    left = [leg.basis_minor or 0 for leg in legs if leg.is_left]
    total = Money(sum(left), legs[0].currency)
    return Explanation(
        sentence=(
            f"{len(left)} and {len(legs) - len(left)} movements of {legs[0].name} come to the same on "
            f"both sides, {total}; no other set of the {candidates} that were looked at does. "
            "Only a person may confirm it."
        ),
        signals=(
            Signal("counterparty", "equal"),
            Signal("difference", "0"),
            Signal("candidates", str(candidates)),
        ),
    )


def _probable_story(
    match: Match,
    type_: str,
    value: str,
    other: str,
    days: int,
    rival: str | None,
    margin: int | None,
    amount_bp: int,
) -> Explanation:
    left, right = match.members
    amount = Money(left.basis_minor or 0, left.currency)
    shared = (
        f"the references {value} and {other} share a part" if type_ else "no reference is shared"
    )
    names = f"the names read {left.name or 'nothing'} and {right.name or 'nothing'}"
    how = "" if match.status is Status.COMMITTED else " Only a person may confirm it."
    return Explanation(
        sentence=f"The same amount, {amount}, {distance(days)}; {shared}; {names}.{how}",
        signals=(
            Signal("amount", "exact", amount_bp),
            Signal("reference", type_ or "none"),
            Signal("business_days", str(days)),
        ),
        runner_up=rival or "",
        margin_bp=margin or 0,
    )
