"""What one person may not do alone in matching: asked for, decided by a second person, carried out.

Write boundaries: 1 the decision is written with the request, 2 its machine is started, 3 the second
person decides (`approvals`), 4 what was asked is done, with the decision closed in the same
transaction. After a death between 1 and 2 the same request again starts the machine, whose name is
the decision's; so does the sweep, when nobody asks again. After 3 the machine repeats 4, which happens
once; a machine that gave up is followed by another (`GoOn`), which hears the decision that was made.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from pardna.approvals.model import Status
from pardna.approvals.ports import ApprovalBook
from pardna.matching.acts import Asked, Deed, act
from pardna.matching.desk import BreakChanged, Change, Decision, DecisionAsked, DecisionClosed, Desk
from pardna.money.model import Money
from pardna.runtime.clock import Clock, iso
from pardna.runtime.errors import (
    Conflict,
    NotFound,
    NotPermitted,
    PardnaError,
    RefusedByRule,
    Unavailable,
)

WAITING = "waiting_for_approval"


class DecisionMachine(Protocol):
    """The machine that asks a second person and then has the decision carried out."""

    def start(self, decision: Decision) -> None:
        """Start it; once for each decision, however often it is called."""
        ...


class LastingMachine(DecisionMachine, Protocol):
    """A machine that can be followed by another when it ended without an answer."""

    def go_on(self, decision: Decision) -> bool:
        """Start it if nobody has, or once more if it gave up; whether it was started now."""
        ...


class NobodyElse:
    """`DecisionMachine` where a decision has been made: asking for another is a defect of ours."""

    def start(self, decision: Decision) -> None:
        """Never."""
        raise RefusedByRule("matching.decided", f"{decision.subject} has been decided on")


@dataclass(frozen=True, slots=True)
class Stake:
    """What a decision is about: the use case, its subject, and the money at stake.

    `told` is what its answer says besides.
    """

    verb: str
    subject: str
    amount: Money
    told: Mapping[str, Any] = field(default_factory=dict)


def decision_id(by: Asked) -> str:
    """The id that a request determines."""
    text = "\x1f".join((by.tenant_id, by.principal, by.key))
    return "d_" + hashlib.sha256(text.encode()).hexdigest()[:24]


class AskSecondPerson:
    """Puts a request before a second person."""

    def __init__(self, desk: Desk, machine: DecisionMachine, clock: Clock) -> None:
        self._desk = desk
        self._machine = machine
        self._clock = clock

    def ask(
        self, by: Asked, stake: Stake, request: Mapping[str, Any], reason: str, *changes: Change
    ) -> Mapping[str, Any]:
        """Write the decision down with `changes`, and let it wait. Raises Conflict when lost."""
        identifier, at = decision_id(by), iso(self._clock())
        decision = Decision(
            tenant_id=by.tenant_id,
            decision_id=identifier,
            verb=stake.verb,
            subject=stake.subject,
            request=request,
            requested_by=by.principal,
            requested_at=at,
            amount_minor=stake.amount.amount_minor,
            currency=stake.amount.currency,
        )
        answer = {"status": WAITING, "decision_id": identifier, "subject": stake.subject}
        answer |= stake.told
        acts = (
            act(by, stake.subject, f"asked_{stake.verb}", at, reason, decision_id=identifier),
            act(by, f"decision:{identifier}", "asked", at, reason, subject=stake.subject),
        )
        if not self._desk.write(Deed(by, acts, answer), DecisionAsked(decision), *changes):
            return self.again(by) or _changed(stake.subject)
        self._machine.start(decision)
        return answer

    def again(self, by: Asked) -> Mapping[str, Any] | None:
        """The answer to a request that was sent before; what it left half-way goes on."""
        answer = self._desk.answered(by)
        if answer is not None and answer.get("status") == WAITING:
            decision = self._desk.decision(by.tenant_id, str(answer["decision_id"]))
            if decision is not None and decision.status == "waiting":
                self._machine.start(decision)
        return answer


class GoOn:
    """What the sweep does for decisions that wait: sees to it that each has a machine that lives."""

    def __init__(self, desk: Desk, machine: LastingMachine) -> None:
        self._desk = desk
        self._machine = machine

    def sweep(self, tenant_ids: Iterable[str]) -> int:
        """Start what was never started and what gave up; how many. Raises Unavailable."""
        return sum(
            self._machine.go_on(decision)
            for tenant_id in tenant_ids
            for decision in self._desk.waiting(tenant_id)
        )


def _changed(subject: str) -> Mapping[str, Any]:
    raise Conflict(
        "matching.changed", f"{subject} has changed meanwhile; look at it again, then repeat"
    )


#: Does what a decision was asked for, with changes that close it.
Verb = Callable[[Asked, Mapping[str, Any], Change], Mapping[str, Any]]


class CarryOut:
    """The use case of the state "Carry out decision"."""

    def __init__(
        self, desk: Desk, approvals: ApprovalBook, verbs: Mapping[str, Verb], clock: Clock
    ) -> None:
        self._desk = desk
        self._approvals = approvals
        self._verbs = verbs
        self._clock = clock

    def carry_out(self, tenant_id: str, identifier: str, approval_id: str) -> dict[str, str]:
        """Do what was approved, or say that it was not. Repeatable.

        What stands in the book of approvals counts, not what the machine says. Outcome ``done``,
        ``declined`` or ``failed`` with a code. Raises NotFound, Unavailable.
        """
        decision = self._desk.decision(tenant_id, identifier)
        if decision is None:
            raise NotFound("matching.no_decision", "there is no such decision")
        if decision.status != "waiting":
            return {"outcome": decision.status, "code": decision.code}
        by = Asked(tenant_id, decision.requested_by, f"decision:{identifier}", identifier)
        second = self._second(decision, approval_id)
        if not second:
            return self._close(by, decision, "declined", "")
        agreed = Asked(by.tenant_id, by.principal, by.key, by.request_hash, second)
        closed = DecisionClosed(decision, "done")
        try:
            self._verbs[decision.verb](agreed, decision.request, closed)
        except Unavailable:
            raise
        except PardnaError as error:
            return self._close(agreed, decision, "failed", error.code)
        return {"outcome": "done", "code": ""}

    def _second(self, decision: Decision, approval_id: str) -> str:
        """Who approved; "" when nobody did. Raises NotPermitted for an approval of something else."""
        if not approval_id:
            return ""
        found = self._approvals.get(decision.tenant_id, approval_id)
        if found is None or found.status is not Status.APPROVED:
            return ""
        if (
            found.subject != subject_of(decision)
            or found.kind != decision.verb
            or found.amount != Money(decision.amount_minor, decision.currency)
            or found.requested_by != decision.requested_by
            or found.decided_by in ("", decision.requested_by)
        ):
            raise NotPermitted("matching.not_approved", "that approval is about something else")
        return found.decided_by

    def _close(self, by: Asked, decision: Decision, status: str, code: str) -> dict[str, str]:
        at, subject = iso(self._clock()), decision.subject
        acts = (
            act(by, f"decision:{decision.decision_id}", status, at, code=code),
            act(by, subject, f"{status}_{decision.verb}", at, code=code),
        )
        changes: list[Change] = [DecisionClosed(decision, status, code)]
        if subject.startswith("break:"):
            changes += _released(self._desk, decision)
        if not self._desk.write(Deed(by, acts, {"status": status}), *changes):
            raise Unavailable("matching.contended", "the decision is being closed; try again")
        return {"outcome": status, "code": code}


def subject_of(decision: Decision) -> str:
    """What the approval is asked under: a decision is asked for once, its subject perhaps again."""
    return f"{decision.subject}/{decision.decision_id}"


def _released(desk: Desk, decision: Decision) -> list[Change]:
    """A break waits no longer for a decision that came to nothing."""
    found = desk.breaks(decision.tenant_id, [decision.subject.removeprefix("break:")])
    return [
        BreakChanged(seen, replace(seen, waits_for=""))
        for seen in found
        if seen.waits_for == decision.decision_id
    ]
