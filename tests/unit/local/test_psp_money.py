"""The simulated settlement source: fees, balance transactions, payouts."""

from __future__ import annotations

import csv
import io
from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local.psp import fees, settle
from local.psp.balance import balance_transactions
from local.psp.report import decimal, payout_report
from tests.unit.local.simulated import a_charge, a_refund, records


@settings(deadline=None)
@given(st.integers(min_value=0, max_value=10**12), st.sampled_from(["usd", "jmd"]))
def test_a_fee_is_the_percentage_rounded_half_up_plus_the_fixed_part(
    amount: int, currency: str
) -> None:
    exact = Decimal(amount) * Decimal("0.029")
    percentage = int(exact.quantize(Decimal(1), rounding=ROUND_HALF_UP))

    assert fees.charge_fee(amount, currency) == percentage + {"usd": 30, "jmd": 5_000}[currency]


@settings(deadline=None)
@given(
    st.lists(st.integers(min_value=10_000, max_value=10**9), min_size=1, max_size=8),
    st.integers(min_value=1, max_value=9_999),
)
def test_a_payout_is_the_sum_of_its_members_nets_and_the_list_sums_to_zero(
    amounts: list[int], refunded: int
) -> None:
    charges = [a_charge(number, amount) for number, amount in enumerate(amounts, start=1)]
    held = records(*charges, refunds=(a_refund(charges[0], amount=refunded),))
    settle.open_dispute(held, charges[-1]["id"], None, "fraudulent")
    settle.adjust(held, "jmd", -77, "Correction")

    payout, new = settle.pay_out(held, "jmd", "2026-11-23")

    assert new
    every = balance_transactions(held)
    assert sum(one["net"] for one in every) == 0
    gross = sum(amounts) - refunded - amounts[-1] - 77
    taken = sum(fees.charge_fee(one, "jmd") for one in amounts) + fees.dispute_fee("jmd")
    assert payout["amount"] == gross - taken
    assert all(one["net"] == one["amount"] - one["fee"] for one in every)


def test_a_second_payout_with_nothing_new_is_the_first_one_and_changes_nothing() -> None:
    held = records(a_charge(1), a_charge(2))
    first, _ = settle.pay_out(held, "JMD", "2026-11-23")
    before = held.canonical()

    again, new = settle.pay_out(held, "jmd", "2026-11-23")

    assert (again, new) == (first, False)
    assert held.canonical() == before


def test_a_later_payout_settles_only_what_came_since() -> None:
    held = records(a_charge(1))
    first, _ = settle.pay_out(held, "jmd", "2026-11-23")
    held.charges["ch_2"] = a_charge(2, id="ch_2")

    second, new = settle.pay_out(held, "jmd", "2026-11-24")

    assert new
    assert set(first["members"]).isdisjoint(second["members"])
    assert second["members"] == [held.charges["ch_2"]["balance_transaction"]]


def test_the_same_charges_make_the_same_payout_in_whatever_order_they_came() -> None:
    one, two = a_charge(1), a_charge(2)

    forth, _ = settle.pay_out(records(one, two), "jmd", "2026-11-23")
    back, _ = settle.pay_out(records(two, one), "jmd", "2026-11-23")

    assert forth == back


def test_currencies_are_never_settled_together() -> None:
    held = records(a_charge(1), a_charge(2, 10_000, "usd"))

    jmd, _ = settle.pay_out(held, "jmd", "2026-11-23")
    usd, _ = settle.pay_out(held, "usd", "2026-11-23")

    assert jmd["amount"] == 500_000 - 14_500 - 5_000
    assert usd["amount"] == 10_000 - 290 - 30


def test_a_payout_is_negative_when_more_was_taken_back_than_came_in() -> None:
    charge = a_charge(1)
    held = records(charge)
    settle.pay_out(held, "jmd", "2026-11-23")
    held.refunds["re_1"] = a_refund(charge, amount=500_000)

    payout, _ = settle.pay_out(held, "jmd", "2026-11-24")

    assert payout["amount"] == -500_000


def test_a_failed_or_uncaptured_charge_moves_no_money() -> None:
    held = records(
        a_charge(1, status="failed", balance_transaction=None),
        a_charge(2, captured=False, balance_transaction=None),
    )

    assert balance_transactions(held) == []
    with pytest.raises(settle.Refused, match="nothing to settle"):
        settle.pay_out(held, "jmd", "2026-11-23")


def test_a_won_dispute_gives_the_amount_back_but_not_the_fee() -> None:
    held = records(a_charge(1))
    dispute = settle.open_dispute(held, "ch_00000000000001", 200_000, "fraudulent")
    assert settle.open_dispute(held, "ch_00000000000001", 200_000, "fraudulent") == dispute

    settle.close_dispute(held, dispute["id"], "won")
    settle.close_dispute(held, dispute["id"], "won")

    lines = {one["reporting_category"]: one for one in balance_transactions(held)}
    assert lines["dispute"]["net"] == -200_000 - 240_000
    assert lines["dispute_reversal"]["net"] == 200_000
    with pytest.raises(settle.Refused, match="already won"):
        settle.close_dispute(held, dispute["id"], "lost")


def test_a_transaction_waits_until_a_payout_settles_it() -> None:
    held = records(a_charge(1))
    assert [one["status"] for one in balance_transactions(held)] == ["pending"]

    settle.pay_out(held, "jmd", "2026-11-23")

    assert {one["status"] for one in balance_transactions(held)} == {"available"}


@pytest.mark.parametrize(
    ("minor", "text"), [(0, "0.00"), (5, "0.05"), (-5, "-0.05"), (123456, "1234.56")]
)
def test_report_amounts_are_decimals_of_the_major_unit(minor: int, text: str) -> None:
    assert decimal(minor) == text


def test_the_itemised_report_ties_to_its_payout() -> None:
    charge = a_charge(1)
    held = records(charge, a_charge(2), refunds=(a_refund(charge),))
    payout, _ = settle.pay_out(held, "jmd", "2026-11-23")

    rows = list(csv.DictReader(io.StringIO(payout_report(held, payout))))

    assert sum(Decimal(row["net"]) for row in rows) * 100 == payout["amount"]
    assert {row["automatic_payout_id"] for row in rows} == {payout["id"]}
    refund = next(row for row in rows if row["reporting_category"] == "refund")
    assert (refund["charge_id"], refund["payment_metadata[contribution_id]"]) == (
        charge["id"],
        "con_1",
    )
