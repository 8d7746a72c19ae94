"""Conversions: each currency balances alone, and the rate is applied exactly."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pardna.ledger.conversion import Rate, conversion, converted
from pardna.ledger.model import differences
from pardna.ledger.service import Ledger
from pardna.money.model import Money
from pardna.runtime.errors import InvalidInput
from tests.fakes.ledger import FakeBooks

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def a_rate(value: str = "0.00635", spread: int = 0) -> Rate:
    return Rate(value, "boj:weighted-average", NOON, spread)


@pytest.mark.parametrize(
    ("sold", "currency", "rate", "bought"),
    [
        (Money(1_000_000, "JMD"), "USD", "0.00635", 6350),
        (Money(100, "USD"), "JPY", "155.5", 156),  # 155.5 yen, half to even
        (Money(100, "USD"), "JPY", "154.5", 154),
        (Money(155, "JPY"), "USD", "0.0064516", 100),
        (Money(1, "KWD"), "USD", "3.25", 0),
    ],
)
def test_the_rate_is_applied_exactly(sold: Money, currency: str, rate: str, bought: int) -> None:
    if bought:
        assert converted(sold, currency, a_rate(rate)) == Money(bought, currency)
    else:
        with pytest.raises(InvalidInput):
            converted(sold, currency, a_rate(rate))


@given(st.integers(10_000, 10**12), st.integers(1, 10**6), st.integers(0, 50))
def test_each_currency_balances(amount: int, millionths: int, spread: int) -> None:
    rate = a_rate(f"{millionths}.{millionths:06d}", spread)
    journal = conversion("k", Money(amount, "JMD"), "bank:a", "bank:b", "USD", rate)
    assert not differences(journal.lines)
    assert journal.metadata["rate"] == rate.value


@pytest.mark.parametrize("rate", ["0", "-1", "NaN", "Infinity", "", "one", "1" * 31])
def test_a_rate_is_a_positive_decimal(rate: str) -> None:
    with pytest.raises(InvalidInput):
        converted(Money(100, "USD"), "JMD", a_rate(rate))


def test_a_conversion_posts_through_the_exchange_account() -> None:
    ledger = Ledger(FakeBooks())
    journal = conversion("k", Money(1_000_000, "JMD"), "bank:a", "bank:b", "USD", a_rate(spread=50))
    assert ledger.post("acme", "me", [journal])[0].stands
    found = {
        (b.account, b.currency): b.debits_minor - b.credits_minor
        for b in ledger.trial_balance("acme", "me").accounts
    }
    assert found == {
        ("bank:a", "JMD"): -1_000_000,
        ("bank:b", "USD"): 6300,
        ("exchange:fx", "JMD"): 1_000_000,
        ("exchange:fx", "USD"): -6350,
        ("fees:fx", "USD"): 50,
    }


@pytest.mark.parametrize(("amount", "currency"), [(0, "USD"), (-5, "USD"), (5, "JMD")])
def test_nothing_else_is_a_conversion(amount: int, currency: str) -> None:
    with pytest.raises(InvalidInput):
        conversion("k", Money(amount, "JMD"), "bank:a", "bank:b", currency, a_rate())
