"""What every memory of attempts promises: the fake and the table alike."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from moto import mock_aws

from pardna.runtime.attempts import Attempts, Begun, DynamoAttempts
from pardna.runtime.errors import Conflict
from tests.fakes.attempts import MemoryAttempts
from tests.support.tables import workflow_table


class Clock:
    now = datetime(2026, 1, 2, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["memory", "dynamodb"])
def attempts(request: pytest.FixtureRequest, clock: Clock) -> Iterator[Attempts]:
    if request.param == "memory":
        yield MemoryAttempts(clock)
        return
    with mock_aws():
        client = boto3.client("dynamodb")
        yield DynamoAttempts(client, workflow_table(client), clock=clock)


def test_one_begins_and_the_others_wait(attempts: Attempts) -> None:
    assert attempts.begin("harbour", "upload:1", 60).begun is Begun.FIRST
    assert attempts.begin("harbour", "upload:1", 60).begun is Begun.BUSY
    assert attempts.begin("harbour", "upload:2", 60).begun is Begun.FIRST
    assert attempts.begin("elsewhere", "upload:1", 60).begun is Begun.FIRST


def test_what_is_done_stays_done(attempts: Attempts, clock: Clock) -> None:
    first = attempts.begin("harbour", "upload:1", 60)
    attempts.finish("harbour", "upload:1", first.token, {"outcome": "uploaded"})
    clock.forward(1_000_000)
    again = attempts.begin("harbour", "upload:1", 60)
    assert (again.begun, dict(again.outcome)) == (Begun.DONE, {"outcome": "uploaded"})


def test_who_dies_leaves_doubt_behind(attempts: Attempts, clock: Clock) -> None:
    attempts.begin("harbour", "upload:1", 60)
    clock.forward(61)
    assert attempts.begin("harbour", "upload:1", 60).begun is Begun.IN_DOUBT
    assert attempts.begin("harbour", "upload:1", 60).begun is Begun.BUSY


def test_who_knows_that_nothing_happened_leaves_no_doubt(attempts: Attempts) -> None:
    first = attempts.begin("harbour", "upload:1", 60)
    attempts.release("harbour", "upload:1", first.token)
    assert attempts.begin("harbour", "upload:1", 60).begun is Begun.FIRST


def test_doubt_can_be_left_at_once(attempts: Attempts) -> None:
    first = attempts.begin("harbour", "upload:1", 60)
    attempts.leave_in_doubt("harbour", "upload:1", first.token)
    assert attempts.begin("harbour", "upload:1", 60).begun is Begun.IN_DOUBT


def test_a_late_finisher_cannot_overrule_its_successor(attempts: Attempts, clock: Clock) -> None:
    slow = attempts.begin("harbour", "upload:1", 60)
    clock.forward(61)
    quick = attempts.begin("harbour", "upload:1", 60)
    with pytest.raises(Conflict, match=r"attempt\.lease_lost"):
        attempts.finish("harbour", "upload:1", slow.token, {})
    attempts.finish("harbour", "upload:1", quick.token, {"outcome": "quick"})
    with pytest.raises(Conflict):
        attempts.release("harbour", "upload:1", quick.token)


def test_of_many_at_once_one_begins(attempts: Attempts) -> None:
    with ThreadPoolExecutor(8) as pool:
        begun = list(pool.map(lambda _: attempts.begin("harbour", "charge:1", 60).begun, range(16)))
    assert sorted(begun) == [*[Begun.BUSY] * 15, Begun.FIRST]
