"""Asking and deciding: who may, who wins, and that the machine hears of it once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from pardna.approvals.model import Approval, Status
from pardna.approvals.service import Approvals
from pardna.money.model import Money
from pardna.runtime.errors import (
    AlreadyDecided,
    Conflict,
    InvalidInput,
    NotFound,
    NotPermitted,
    PardnaError,
    RefusedByRule,
    Unavailable,
)
from tests.fakes.approvals import MemoryApprovals, MemoryTasks, SomeTenants
from tests.fakes.payments import Killed

AMOUNT = Money(2_500_000, "JMD")
YES, NO = Status.APPROVED, Status.REJECTED


class Office:
    def __init__(self) -> None:
        self.now = datetime(2026, 1, 9, tzinfo=UTC)
        self.tasks = MemoryTasks()
        self.book = MemoryApprovals()
        self.approvals = Approvals(self.book, self.tasks, lambda: self.now)

    def ask(self, token: str = "t1", by: str = "ann", amount: Money = AMOUNT) -> Approval:
        return self.approvals.request(
            "harbour", "payout", "payment:1", amount, by, token, valid_seconds=3600
        )

    def decide(self, by: str, status: Status = YES, comment: str = "") -> Approval:
        return self.approvals.decide("harbour", by, self.ask_id, status, comment)

    @property
    def ask_id(self) -> str:
        return next(iter(self.book.items.values())).approval_id


@pytest.fixture
def office() -> Office:
    return Office()


def test_a_second_persons_yes_lets_the_machine_go_on(office: Office) -> None:
    asked = office.ask()
    assert office.approvals.pending("harbour")[0] == [asked]
    office.decide("ben", YES, "looks right")
    assert office.tasks.answers == {
        "t1": {"outcome": "approved", "approval_id": asked.approval_id, "decided_by": "ben"}
    }
    assert office.approvals.pending("harbour") == ([], "")


def test_nobody_decides_their_own_request(office: Office) -> None:
    office.ask(by="ann")
    with pytest.raises(NotPermitted, match=r"approval\.own_request"):
        office.decide("ann")
    assert office.tasks.answers == {}


def test_the_same_decision_again_is_the_same_answer(office: Office) -> None:
    office.ask()
    assert office.decide("ben").decided_at == office.decide("ben").decided_at
    assert list(office.tasks.answers) == ["t1"]


@pytest.mark.parametrize(("by", "status"), [("ben", NO), ("cat", YES), ("cat", NO)])
def test_another_decision_is_refused(office: Office, by: str, status: Status) -> None:
    office.ask()
    office.decide("ben", YES)
    with pytest.raises(AlreadyDecided):
        office.decide(by, status)
    assert office.tasks.answers["t1"]["outcome"] == "approved"


def test_two_approvers_at_once_make_one_decision(office: Office) -> None:
    office.ask()

    def decide(number: int) -> str:
        try:
            return office.decide(f"p{number}", YES if number % 2 else NO).decided_by
        except PardnaError as error:
            return error.code

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(decide, range(16)))
    assert len([a for a in answers if a != "approval.decided"]) == 1
    assert len(office.tasks.answers) == 1


def test_time_runs_out(office: Office) -> None:
    office.ask()
    office.now += timedelta(hours=1)
    with pytest.raises(RefusedByRule, match=r"approval\.expired"):
        office.decide("ben")


def test_asking_differently_about_the_same_thing_is_refused(office: Office) -> None:
    office.ask()
    with pytest.raises(Conflict, match=r"approval\.differs"):
        office.ask("t2", amount=Money(1, "JMD"))


def test_a_machine_that_asks_again_hears_the_decision_that_was_made(office: Office) -> None:
    office.ask("t1")
    office.ask("t2")
    office.decide("ben")
    assert list(office.tasks.answers) == ["t2"]
    office.ask("t3")
    assert office.tasks.answers["t3"]["decided_by"] == "ben"


def test_killed_between_the_decision_and_the_callback(office: Office) -> None:
    office.ask()
    office.tasks.fail = Killed()
    with pytest.raises(Killed):
        office.decide("ben")
    assert office.tasks.answers == {}
    office.decide("ben")
    assert office.tasks.answers["t1"]["outcome"] == "approved"


def test_killed_after_the_callback_nothing_happens_twice(office: Office) -> None:
    office.ask()
    office.tasks.die = Killed()
    with pytest.raises(Killed):
        office.decide("ben")
    office.decide("ben")
    assert len(office.tasks.answers) == 1
    assert office.approvals.sweep(SomeTenants("harbour")) == 0


def test_the_sweep_tells_what_a_dead_process_did_not(office: Office) -> None:
    office.ask()
    office.tasks.fail = Unavailable("task.unavailable", "no answer")
    with pytest.raises(Unavailable):
        office.decide("ben")
    assert office.approvals.sweep(SomeTenants("harbour", "elsewhere")) == 1
    assert office.tasks.answers["t1"]["outcome"] == "approved"
    assert office.approvals.sweep(SomeTenants("harbour")) == 0


def test_what_nobody_asked_cannot_be_decided(office: Office) -> None:
    with pytest.raises(NotFound):
        office.approvals.decide("harbour", "ben", "apr-none", YES)


def test_a_comment_has_a_length(office: Office) -> None:
    office.ask()
    with pytest.raises(InvalidInput, match=r"approval\.comment"):
        office.decide("ben", YES, "x" * 501)
