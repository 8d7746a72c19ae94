"""What people do with matching, in a match table in moto: services made of the real adapters."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from pardna.approvals.model import Approval, approval_id
from pardna.approvals.model import Status as Decided
from pardna.matching.acts import Asked, asked
from pardna.matching.break_pages import BreakPages
from pardna.matching.break_work import BreakWork
from pardna.matching.current_rules import CurrentRules
from pardna.matching.decisions import AskSecondPerson, CarryOut, subject_of
from pardna.matching.desk import Decision
from pardna.matching.dynamodb import DynamoMatchState
from pardna.matching.dynamodb_breaks import DynamoBreakBook
from pardna.matching.dynamodb_desk import DynamoDesk, DynamoRuleBook
from pardna.matching.dynamodb_table import MatchTable
from pardna.matching.match_pages import MatchPages
from pardna.matching.model import Break, BreakClass, Leg, Pair
from pardna.matching.people import HandMatching
from pardna.matching.rule_work import AliasWork, RuleList, RuleWork
from pardna.matching.unmatching import Unmatching
from pardna.money.model import Money
from tests.fakes.approvals import MemoryApprovals
from tests.support.matching import DAY, TENANT, small_groups

LIMIT = 100  # minor units that one person may let go in these tests


@dataclass
class Machine:
    """A decision machine that only remembers what it was asked to start."""

    started: list[Decision] = field(default_factory=list)

    def start(self, decision: Decision) -> None:
        """Once for each decision, as the real one by its name."""
        if decision.decision_id not in [d.decision_id for d in self.started]:
            self.started.append(decision)

    def go_on(self, decision: Decision) -> bool:
        """Never again: it never gives up."""
        before = len(self.started)
        self.start(decision)
        return len(self.started) > before


class Office:
    """Everything that people work with, for one table."""

    def __init__(self, table: str, prefix: str = "t") -> None:
        made, clock = MatchTable(table, "us-east-1"), Ticking()
        self.state: DynamoMatchState = small_groups(table, prefix)
        self.desk = DynamoDesk(made, self.state)
        self.book = DynamoRuleBook(made)
        self.breaks = DynamoBreakBook(made)
        self.machine = Machine()
        self.approvals = MemoryApprovals()
        self.current = CurrentRules(self.book, lambda: 0.0)
        second = AskSecondPerson(self.desk, self.machine, clock)
        self.hand = HandMatching(self.desk, self.rules_of, second, clock)
        self.unmatching = Unmatching(self.desk, clock)
        self.work = BreakWork(self.desk, self.rules_of, second, may_own, clock)
        self.rules = RuleWork(self.desk, self.book, second, clock)
        self.rule_list = RuleList(self.book)
        self.aliases = AliasWork(self.desk, self.book, clock)
        self.pages = BreakPages(self.breaks, self.desk, self.rules_of, clock)
        self.matches = MatchPages(self.state, self.desk)
        verbs = {
            "match": self.hand.matched_by_two,
            "resolve": self.work.resolved_by_two,
            "rules": self.rules.agreed_by_two,
        }
        self.carry_out = CarryOut(self.desk, self.approvals, verbs, clock)

    def rules_of(self, tenant_id: str) -> Any:
        """The tenant's rules, with a limit for one person."""
        return replace(self.current.of(tenant_id), write_off_approval_minor=LIMIT)

    def record(self, *some: Leg) -> None:
        """Write legs, transaction by transaction."""
        for transaction in sorted({leg.transaction_id for leg in some}):
            self.state.record([leg for leg in some if leg.transaction_id == transaction])

    def open(self, pair: Pair = Pair.INTERNAL_PSP) -> set[str]:
        """External ids of open legs."""
        return {leg.external_id for leg in self.state.open_legs(TENANT, pair, "JMD")}

    def second_person(
        self, decision: Decision, by: str = "ben", yes: bool = True
    ) -> dict[str, str]:
        """Somebody decides, and the machine goes on."""
        status = Decided.APPROVED if yes else Decided.REJECTED
        subject = subject_of(decision)
        identifier = approval_id(decision.tenant_id, decision.verb, subject)
        self.approvals.add(
            Approval(
                tenant_id=decision.tenant_id, approval_id=identifier, kind=decision.verb,
                subject=subject, amount=Money(decision.amount_minor, decision.currency),
                requested_by=decision.requested_by, requested_at=DAY, decide_before=DAY, token="t",
                status=status, decided_by=by,
            )
        )  # fmt: skip
        return self.carry_out.carry_out(decision.tenant_id, decision.decision_id, identifier)


class Ticking:
    """Monday noon, a millisecond later at each look."""

    def __init__(self) -> None:
        self._looks = itertools.count(1)

    def __call__(self) -> datetime:
        return DAY + timedelta(milliseconds=next(self._looks))


def may_own(principal: str, _tenant_id: str) -> bool:
    """Everybody but strangers."""
    return principal != "stranger"


def by(principal: str, key: str, what: Any = "", tenant_id: str = TENANT) -> Asked:
    """A request of somebody's."""
    return asked(tenant_id, principal, key, "test", json.dumps(what).encode())


def a_break(*some: Leg, amount: int = 500, **more: Any) -> Break:
    """An open break about these legs."""
    values: dict[str, Any] = {
        "class_": BreakClass.MISSING_PSP, "reason": "Nothing explains it.", "severity": "low",
        "opened_on": "2026-03-02", "due_at": "2026-03-16",
    }  # fmt: skip
    return Break(
        tenant_id=some[0].tenant_id, pair=some[0].pair, currency=some[0].currency,
        transaction_ids=tuple(sorted(leg.transaction_id for leg in some)), amount_minor=amount,
        legs_count=len(some), **(values | more),
    )  # fmt: skip


def verbs(office: Office, subject: str) -> list[tuple[str, str, str]]:
    """A subject's history: who did what, agreed by whom."""
    acts, _ = office.desk.history(TENANT, subject, "", 100)
    return [(a.principal, a.verb, a.approved_by) for a in acts]


def said(answer: Mapping[str, Any]) -> str:
    """An answer's status."""
    return str(answer["status"])
