"""Money: properties first."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pardna.money.model import MINOR_MAX, Money, MoneyError, allocate, minor_from_text, total
from tests.support.strategies import currencies, monies

weights = st.lists(st.integers(0, 10**9), min_size=1, max_size=20).filter(any)


@given(monies, weights)
def test_allocation_keeps_the_total(money: Money, parts: list[int]) -> None:
    shares = allocate(money, parts)
    assert total(shares, money.currency) == money
    assert len(shares) == len(parts)


@given(monies, weights)
def test_no_share_is_further_than_one_minor_unit_from_fair(money: Money, parts: list[int]) -> None:
    for share, weight in zip(allocate(money, parts), parts, strict=True):
        assert abs(share.amount_minor * sum(parts) - money.amount_minor * weight) < sum(parts)


@given(monies)
def test_text_round_trip(money: Money) -> None:
    assert Money.parse(money.decimal_text(), money.currency) == money


@given(st.integers(), currencies)
def test_sum_and_difference_cancel(amount: int, currency: str) -> None:
    one, two = Money(amount % 10**12, currency), Money(7, currency)
    assert one + two - two == one
    negative = -one
    assert -negative == one


@pytest.mark.parametrize(
    ("text", "minor"),
    [("1000.50", 100050), ("-0.01", -1), ("+5", 500), ("7.500", 750), (".5", 50), ("0", 0)],
)
def test_plain_decimals(text: str, minor: int) -> None:
    assert minor_from_text(text, "JMD") == minor


@pytest.mark.parametrize(
    "text", ["", "1.005", "1e3", "NaN", "Infinity", "1,000", "٣", "--1", "1" * 41, "0x1", " 1"]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(MoneyError):
        minor_from_text(text, "JMD")


def test_currencies_never_mix() -> None:
    with pytest.raises(MoneyError, match="cannot combine"):
        Money(1, "JMD") + Money(1, "USD")
    with pytest.raises(MoneyError, match="cannot combine"):
        Money(1, "JMD") < Money(1, "USD")  # noqa: B015


@pytest.mark.parametrize("amount", [1.0, "1", None, True, MINOR_MAX + 1])
def test_minor_units_are_bounded_integers(amount: object) -> None:
    with pytest.raises(MoneyError):
        Money(amount, "JMD")  # type: ignore[arg-type]


def test_dollars_are_told_apart() -> None:
    assert str(Money(123456789, "JMD")) == "J$1,234,567.89"
    assert str(Money(-50, "USD")) == "-US$0.50"
    assert str(Money(5, "JPY")) == "JPY 5"


def test_unequal_weights_give_the_remainder_to_the_largest() -> None:
    shares = allocate(Money(100, "JMD"), [1, 1, 1])
    assert [s.amount_minor for s in shares] == [34, 33, 33]
    with pytest.raises(MoneyError):
        allocate(Money(1, "JMD"), [0, 0])
    with pytest.raises(MoneyError):
        allocate(Money(1, "JMD"), [2, -1])
