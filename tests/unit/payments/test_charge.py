"""Charging a card once, whatever is lost on the way."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pardna.payments.service import LEASE_SECONDS, ChargeCard
from pardna.runtime.errors import Unavailable
from tests.fakes.attempts import MemoryAttempts
from tests.fakes.payments import Killed, MemoryCardRail
from tests.support.payments import a_charge


class Till:
    def __init__(self) -> None:
        self.now = datetime(2026, 1, 9, tzinfo=UTC)
        self.rail = MemoryCardRail()
        self.charge = ChargeCard(self.rail, MemoryAttempts(lambda: self.now)).charge


@pytest.fixture
def till() -> Till:
    return Till()


def test_one_order_is_one_charge(till: Till) -> None:
    assert {till.charge(a_charge()) for _ in range(3)} == {till.charge(a_charge())}
    assert len(till.rail.charges) == 1
    till.charge(a_charge("con-2"))
    assert len(till.rail.charges) == 2


def test_an_answer_that_was_lost_is_looked_up(till: Till) -> None:
    till.rail.lose_answer = Unavailable
    with pytest.raises(Unavailable):
        till.charge(a_charge())
    assert till.charge(a_charge()).outcome == "charged"
    assert len(till.rail.charges) == 1


def test_a_process_killed_after_the_charge_charges_no_second_time(till: Till) -> None:
    till.rail.lose_answer = Killed
    with pytest.raises(Killed):
        till.charge(a_charge())
    with pytest.raises(Unavailable, match="in_progress"):
        till.charge(a_charge())
    till.now += timedelta(seconds=LEASE_SECONDS + 1)
    assert till.charge(a_charge()).charge_id == "ch_con-1"
    assert len(till.rail.charges) == 1


def test_a_declined_card_is_an_outcome(till: Till) -> None:
    till.rail.declines = True
    assert till.charge(a_charge()).code == "card_declined"
    till.rail.declines = False
    assert till.charge(a_charge()).outcome == "declined"
    assert till.rail.charges == []
