"""The circle's arithmetic: no cent is lost, every hand draws once, nothing leaves that is not there."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pardna.circles import model, names
from pardna.circles.calendar import is_business_day
from pardna.circles.model import (
    Circle,
    ContributionStatus,
    FeeModel,
    Frequency,
    PotModel,
    RoundStatus,
    Shortfall,
)
from pardna.money.model import Money, total
from pardna.runtime.errors import InvalidInput, RefusedByRule
from tests.support.circles import a_circle


@st.composite
def circles(draw: Any) -> Circle:
    """Circles that can work, of every kind."""
    hands = draw(st.lists(st.integers(1, 3), min_size=2, max_size=8))
    hand = draw(st.integers(100, 10**9))
    fee_model = draw(st.sampled_from(FeeModel))
    fee_value = {FeeModel.FLAT: hand // 2, FeeModel.BPS: draw(st.integers(0, 3000))}
    circle = a_circle(
        len(hands),
        hands=hands,
        hand=Money(hand, draw(st.sampled_from(["JMD", "USD"]))),
        frequency=draw(st.sampled_from(Frequency)),
        starts_on=draw(st.dates(date(2024, 1, 1), date(2030, 12, 31))),
        fee_model=fee_model,
        fee_value=fee_value.get(fee_model, 0),
        pot_model=draw(st.sampled_from(PotModel)),
        shortfall=draw(st.sampled_from(Shortfall)),
    )
    try:
        model.check(circle)
    except InvalidInput:  # one hand of two goes to the banker, say
        return a_circle(len(hands), hands=hands)
    return circle


@given(circles(), st.data())
def test_what_came_in_is_what_went_out_and_what_is_left(circle: Circle, data: Any) -> None:
    """Σ contributions = Σ draws + fees + unallocated, whatever was paid."""
    for round_ in model.schedule(circle, is_business_day):
        owed = [
            replace(
                c,
                status=data.draw(
                    st.sampled_from([ContributionStatus.PAID, ContributionStatus.LATE])
                ),
            )
            for c in model.contributions(circle, round_)
        ]
        currency = circle.terms.hand.currency
        cash = model.funded(owed, currency)
        try:
            draw = model.draw(circle, round_, owed)
        except RefusedByRule:
            continue
        unallocated = cash - draw.pot
        assert cash == draw.net + draw.fee + unallocated
        assert draw.net.amount_minor > 0
        assert draw.pot <= cash
        assert unallocated.amount_minor == 0


@given(circles())
def test_every_hand_draws_exactly_once(circle: Circle) -> None:
    rounds = model.schedule(circle, is_business_day)
    assert sorted(r.draw_position for r in rounds) == [s.position for s in circle.slots]
    assert len(rounds) == len(circle.slots)
    ids = {c.contribution_id for r in rounds for c in model.contributions(circle, r)}
    references = {c.payment_reference for r in rounds for c in model.contributions(circle, r)}
    assert len(ids) == len(references) == sum(len(model.contributions(circle, r)) for r in rounds)


@given(circles())
def test_over_the_whole_circle_the_totals_tie(circle: Circle) -> None:
    currency = circle.terms.hand.currency
    paid, drawn, fees = (Money(0, currency) for _ in range(3))
    for round_ in model.schedule(circle, is_business_day):
        owed = [
            replace(c, status=ContributionStatus.PAID) for c in model.contributions(circle, round_)
        ]
        draw = model.draw(circle, round_, owed)
        paid += total((c.amount for c in owed), currency)
        drawn += draw.net
        fees += draw.fee
    assert paid == drawn + fees


@given(circles())
def test_due_dates_are_business_days_in_order(circle: Circle) -> None:
    due = [r.due_on for r in model.schedule(circle, is_business_day)]
    assert due == sorted(due)
    assert all(is_business_day(day) for day in due)


def test_a_month_that_is_too_short_ends_on_its_last_day() -> None:
    circle = a_circle(3, frequency=Frequency.MONTHLY, starts_on=date(2026, 1, 31))
    due = [r.due_on for r in model.schedule(circle, lambda _: True)]
    assert due == [date(2026, 1, 31), date(2026, 2, 28), date(2026, 3, 31)]


def test_a_due_date_on_a_holiday_moves_to_the_next_business_day() -> None:
    circle = a_circle(2, starts_on=date(2026, 12, 25))
    assert model.schedule(circle, is_business_day)[0].due_on == date(2026, 12, 28)


@pytest.mark.parametrize(
    ("fee_model", "value", "fee_minor"),
    [
        (FeeModel.NONE, 0, 0),
        (FeeModel.FLAT, 12_345, 12_345),
        (FeeModel.BPS, 333, 83_250),
        (FeeModel.ONE_HAND, 0, 500_000),
    ],
)
def test_fees(fee_model: FeeModel, value: int, fee_minor: int) -> None:
    circle = a_circle(fee_model=fee_model, fee_value=value)
    assert model.fee(circle.terms, model.nominal_pot(circle)).amount_minor == fee_minor


def test_the_recipient_who_skips_owes_nothing_that_round() -> None:
    circle = a_circle(pot_model=PotModel.RECIPIENT_SKIPS)
    round_ = model.schedule(circle, is_business_day)[2]
    assert [c.position for c in model.contributions(circle, round_)] == [1, 2, 4, 5]
    assert model.nominal_pot(circle).amount_minor == 4 * 500_000


def test_references_say_circle_round_and_hand() -> None:
    assert names.payment_reference("7K3Q", 1, 4) == "PDN-7K3Q-R01-04"
    assert names.end_to_end_id("7K3Q", 12) == "DRW-7K3Q-R12"


def test_a_circle_that_waits_pays_nothing_while_a_hand_is_missing() -> None:
    circle = a_circle()
    round_ = model.schedule(circle, is_business_day)[0]
    with pytest.raises(RefusedByRule, match=r"round\.short_funded"):
        model.draw(circle, round_, model.contributions(circle, round_))


def test_money_that_is_taken_back_reopens_the_hand() -> None:
    circle = a_circle()
    round_ = model.schedule(circle, is_business_day)[0]
    owed = [replace(c, status=ContributionStatus.PAID) for c in model.contributions(circle, round_)]
    gone = owed[0].contribution_id
    others = {c.contribution_id for c in owed} - {gone}
    changes = model.progress(circle, round_, owed, others, round_.due_on)
    assert changes == {gone: ContributionStatus.PENDING}
    late = round_.due_on + timedelta(days=3)
    assert model.progress(circle, round_, owed, others, late) == {gone: ContributionStatus.LATE}


@pytest.mark.parametrize(
    ("days", "status"),
    [(0, RoundStatus.COLLECTING), (1, RoundStatus.GRACE), (3, RoundStatus.SHORT_FUNDED)],
)
def test_a_round_runs_late_by_the_calendar(days: int, status: RoundStatus) -> None:
    circle = a_circle()
    round_ = model.schedule(circle, is_business_day)[0]
    owed = model.contributions(circle, round_)
    today = round_.due_on + timedelta(days=days)
    assert model.collected(circle, round_, owed, today) is status


@pytest.mark.parametrize(
    "circle",
    [
        a_circle(1),
        a_circle(hand=Money(0, "JMD")),
        a_circle(2, fee_model=FeeModel.FLAT, fee_value=1_000_000),
        a_circle(hands=[0, 1, 1, 1, 1]),
        replace(a_circle(), card_source_id=""),
        a_circle(100, hands=[1] * 100),
    ],
    ids=["alone", "no hand", "fee eats all", "no slot", "no card source", "too many"],
)
def test_circles_that_cannot_work(circle: Circle) -> None:
    with pytest.raises(InvalidInput, match=r"circle\.invalid"):
        model.check(circle)
