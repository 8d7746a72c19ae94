"""What every book of approvals and of waits promises: the fakes and the table alike."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from moto import mock_aws

from pardna.approvals.dynamodb import DynamoApprovals, DynamoWaits
from pardna.approvals.model import Approval, Status, approval_id
from pardna.money.model import Money
from pardna.runtime.errors import NotFound
from tests.fakes.approvals import MemoryApprovals, MemoryWaits
from tests.support.tables import workflow_table

NOW = datetime(2026, 1, 9, 12, tzinfo=UTC)


def an_approval(number: int = 1, tenant_id: str = "harbour") -> Approval:
    subject = f"payment:{number}"
    return Approval(
        tenant_id=tenant_id,
        approval_id=approval_id(tenant_id, "payout", subject),
        kind="payout",
        subject=subject,
        amount=Money(2_500_000, "JMD"),
        requested_by="ann",
        requested_at=NOW + timedelta(seconds=number),
        decide_before=NOW + timedelta(days=7),
        token="token-1",
        context={"circle_id": "cir-1"},
    )


@pytest.fixture(params=["memory", "dynamodb"])
def books(request: pytest.FixtureRequest) -> Iterator[tuple[Any, Any]]:
    if request.param == "memory":
        yield MemoryApprovals(), MemoryWaits()
        return
    with mock_aws():
        client = boto3.client("dynamodb")
        table = workflow_table(client)
        yield DynamoApprovals(client, table), DynamoWaits(client, table)


@pytest.fixture
def book(books: tuple[Any, Any]) -> Any:
    return books[0]


@pytest.fixture
def waits(books: tuple[Any, Any]) -> Any:
    return books[1]


def test_what_is_written_is_read(book: Any) -> None:
    one = an_approval()
    assert book.add(one) is True
    assert book.get("harbour", one.approval_id) == one
    assert book.add(one) is False
    assert book.get("elsewhere", one.approval_id) is None
    assert book.get("harbour", "apr-none") is None


def test_one_decision_stands(book: Any) -> None:
    one = an_approval()
    book.add(one)
    decided = book.decide("harbour", one.approval_id, Status.APPROVED, "ben", "fine", NOW)
    assert (decided.status, decided.decided_by, decided.comment) == (Status.APPROVED, "ben", "fine")
    assert book.decide("harbour", one.approval_id, Status.REJECTED, "cat", "", NOW) is None
    assert book.get("harbour", one.approval_id) == decided


def test_the_requester_cannot_be_written_as_the_decider(book: Any) -> None:
    one = an_approval()
    book.add(one)
    assert book.decide("harbour", one.approval_id, Status.APPROVED, "ann", "", NOW) is None


def test_of_many_deciders_at_once_one_decides(book: Any) -> None:
    one = an_approval()
    book.add(one)

    def decide(number: int) -> Approval | None:
        status = Status.APPROVED if number % 2 else Status.REJECTED
        return book.decide("harbour", one.approval_id, status, f"p{number}", "", NOW)

    with ThreadPoolExecutor(8) as pool:
        winners = [a for a in pool.map(decide, range(16)) if a is not None]
    assert len(winners) == 1
    assert book.get("harbour", one.approval_id) == winners[0]


def test_a_decision_stays_listed_until_its_machine_was_told(book: Any) -> None:
    one = an_approval()
    book.add(one)
    book.decide("harbour", one.approval_id, Status.APPROVED, "ben", "", NOW)
    assert len(book.open("harbour", "", 10)[0]) == 1
    book.mark_answered("harbour", one.approval_id, "token-1")
    assert book.open("harbour", "", 10) == ([], "")
    renewed = book.renew("harbour", one.approval_id, "token-2")
    assert renewed.status is Status.APPROVED
    assert not renewed.is_answered
    assert len(book.open("harbour", "", 10)[0]) == 1
    book.mark_answered("harbour", one.approval_id, "token-1")
    assert len(book.open("harbour", "", 10)[0]) == 1


def test_renewing_nothing_is_not_found(book: Any) -> None:
    with pytest.raises(NotFound):
        book.renew("harbour", "apr-none", "t")


def test_pages_are_in_order_and_complete(book: Any) -> None:
    for number in (3, 1, 2, 5, 4):
        book.add(an_approval(number))
    book.add(an_approval(9, "elsewhere"))
    seen, after = [], ""
    while True:
        page, after = book.open("harbour", after, 2)
        seen += [a.subject for a in page]
        if not after:
            break
    assert seen == [f"payment:{n}" for n in (1, 2, 3, 4, 5)]


def test_a_wait_holds_both_halves_in_either_order(waits: Any) -> None:
    waits.register("harbour", "payment:A", "t1")
    assert waits.say("harbour", "payment:A", {"outcome": "accepted"}).token == "t1"
    waits.say("harbour", "payment:B", {"outcome": "accepted"})
    assert waits.register("harbour", "payment:B", "t2").outcome == {"outcome": "accepted"}
    assert waits.say("elsewhere", "payment:A", {"outcome": "x"}).token == ""


def test_the_first_word_counts(waits: Any) -> None:
    waits.say("harbour", "payment:A", {"outcome": "accepted"})
    assert waits.say("harbour", "payment:A", {"outcome": "rejected"}).outcome == {
        "outcome": "accepted"
    }


def test_who_was_told_is_remembered(waits: Any) -> None:
    waits.register("harbour", "payment:A", "t1")
    waits.mark_resumed("harbour", "payment:A", "t1")
    assert waits.register("harbour", "payment:A", "t2").resumed_token == "t1"
