from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from pardna.matching.model import Pair
from pardna.matching.rules import BusinessDays, FeeSchedule, FeeTier, default_rules

days = st.dates(date(2025, 1, 1), date(2027, 12, 31))
closed = st.lists(days, max_size=20).map(tuple)


@given(days, days, closed)
def test_distances_count_business_days(first: date, second: date, shut: tuple[date, ...]) -> None:
    calendar = BusinessDays(shut)
    low, high = min(first, second), max(first, second)
    counted = sum(
        (day := low + timedelta(n)).weekday() < 5 and day not in shut
        for n in range(1, (high - low).days + 1)
    )
    assert calendar.between(low, high) == counted
    assert calendar.between(high, low) == -counted


@given(days, st.integers(0, 15), closed)
def test_adding_is_the_inverse_of_counting(day: date, count: int, shut: tuple[date, ...]) -> None:
    calendar = BusinessDays(shut)
    assert calendar.between(day, calendar.add(day, count)) == count


def test_fees_round_half_up_and_know_tiers_and_minimum() -> None:
    schedule = FeeSchedule("JMD", (FeeTier(100_000, 290, 5_000), FeeTier(0, 250, 5_000)), 6_000)
    assert schedule.fee_minor(50) == 6_000
    assert schedule.fee_minor(100_000) == 7_900
    assert schedule.fee_minor(100_001) == 7_500
    assert schedule.fee_minor(-100) == 0
    assert FeeSchedule("JMD", (FeeTier(0, 5_000),)).fee_minor(1) == 1  # 0.5 goes up


def test_the_hash_changes_with_any_rule_and_with_nothing_else() -> None:
    rules = default_rules()
    assert rules.rules_hash == default_rules().rules_hash
    changed = replace(rules, pairs=(replace(rules.of(Pair.PSP_BANK), waiting_days=6),))
    assert changed.rules_hash != rules.rules_hash
    assert changed.of(Pair.INTERNAL_PSP).pair is Pair.INTERNAL_PSP
