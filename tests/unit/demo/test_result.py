"""The story's own judge: what holds passes, and each thing that could go wrong is named."""

from __future__ import annotations

import copy
from datetime import date
from typing import Any

import pytest

from local.demo import result
from local.demo.acts import Told
from local.demo.facts import CIRCLES, JMD_CIRCLE, USD_CIRCLE, Days

PAYOUTS = {JMD_CIRCLE.reference: 1_422_000, USD_CIRCLE.reference: 27_540}


@pytest.fixture
def told() -> Told:
    """A story that went as it should."""
    rounds = {
        circle.reference: {
            "status": "closed",
            "paid_minor": circle.pot_minor,
            "draw": {
                "net_minor": circle.pot_minor,
                "payment_status": "confirmed",
                "requested_by": "banker",
                "approved_by": "approver",
                "end_to_end_id": f"E2E-{circle.currency}",
            },
        }
        for circle in CIRCLES
    }
    payouts = {reference: {"amount": amount} for reference, amount in PAYOUTS.items()}
    return Told(Days(date(2026, 11, 23)), rounds=rounds, payouts=payouts)


@pytest.fixture
def books() -> dict[str, Any]:
    """What the ledger says after it."""
    return {
        "differences_minor": {"JMD": 0, "USD": 0},
        "accounts": [
            {"account": "bank:ncb:404385912", "currency": "JMD", "balance_minor": 45_400},
            {"account": "bank:bns:831047265", "currency": "USD", "balance_minor": -2_460},
        ],
        "open_items": [
            an_item("clearing:ncb:404385912", "stranger", -123_400),
            an_item("clearing:stripe:acct_1", "dispute", 10_000, "USD"),
            an_item("clearing:stripe:acct_1", "reversal", -10_000, "USD"),
        ],
    }


def an_item(account: str, transaction: str, amount: int, currency: str = "JMD") -> dict[str, Any]:
    return {
        "account": account,
        "currency": currency,
        "transaction_id": transaction,
        "amount_minor": amount,
    }


def a_break(amount: int = 123_400) -> dict[str, Any]:
    return {"currency": "JMD", "amount_minor": amount, "transaction_ids": ["stranger"]}


def payments() -> list[dict[str, Any]]:
    return [
        {"end_to_end": f"E2E-{circle.currency}", "amount_minor": circle.pot_minor}
        for circle in CIRCLES
    ]


def test_a_story_that_went_well_has_nothing_wrong(told: Told, books: dict[str, Any]) -> None:
    assert result._books_wrong(told, books) == []
    assert result._breaks_wrong(books, [a_break()]) == []
    assert result._levels_wrong({"1": 8, "2": 5, "3": 2}) == []
    for circle in CIRCLES:
        assert result._round_wrong(told, circle, payments()) == []


def test_a_ledger_that_does_not_balance_is_named(told: Told, books: dict[str, Any]) -> None:
    books["differences_minor"]["USD"] = 1

    assert result._books_wrong(told, books) == ["the trial balance in USD is 1, not zero"]


def test_a_missing_currency_is_named(told: Told, books: dict[str, Any]) -> None:
    del books["differences_minor"]["USD"]

    assert "not JMD and USD" in result._books_wrong(told, books)[0]


def test_a_bank_account_that_is_off_by_one_is_named(told: Told, books: dict[str, Any]) -> None:
    books["accounts"][0]["balance_minor"] += 1

    [problem] = result._books_wrong(told, books)
    assert problem == "bank:ncb:404385912 holds 45401 in the ledger, and 45400 moved at the bank"


def test_no_break_or_another_break_is_wrong(books: dict[str, Any]) -> None:
    assert "open breaks are []" in result._breaks_wrong(books, [])[0]
    assert result._breaks_wrong(books, [a_break(), a_break()])
    assert result._breaks_wrong(books, [a_break(123_401)])


def test_clearing_that_no_break_explains_is_named(books: dict[str, Any]) -> None:
    books["open_items"].append(an_item("clearing:ncb:404385912", "unknown", 700))

    [problem] = result._breaks_wrong(books, [a_break()])
    assert problem == "clearing:ncb:404385912 holds 700 JMD that no open break explains"


@pytest.mark.parametrize("levels", [{}, {"1": 8, "2": 4, "3": 2}, {"1": 8, "2": 5, "3": 2, "4": 1}])
def test_matches_at_another_level_are_wrong(levels: dict[str, int]) -> None:
    assert result._levels_wrong(levels)


@pytest.mark.parametrize(
    ("where", "value", "words"),
    [
        ("status", "paying", "the round is paying"),
        ("paid_minor", 2_000_000, "2000000 were paid in"),
        ("draw.net_minor", 1, "the draw is 1"),
        ("draw.payment_status", "uploaded", "the payment is uploaded"),
        ("draw.approved_by", "banker", "one person asked and approved"),
    ],
)
def test_a_round_that_did_not_end_well_is_named(
    told: Told, where: str, value: Any, words: str
) -> None:
    seen = copy.deepcopy(told.rounds[JMD_CIRCLE.reference])
    target, _, name = where.rpartition(".")
    (seen[target] if target else seen)[name] = value
    told.rounds[JMD_CIRCLE.reference] = seen

    assert result._round_wrong(told, JMD_CIRCLE, payments()) == [f"Half Way Tree Weekly: {words}"]


def test_paid_twice_or_not_at_all_is_wrong(told: Told) -> None:
    assert result._round_wrong(told, JMD_CIRCLE, [])
    assert result._round_wrong(told, JMD_CIRCLE, payments() + payments())


def test_the_story_adds_up_by_itself() -> None:
    for circle in CIRCLES:
        assert len(circle.members) == 5
        assert len(circle.by_card) == 3
        assert len(circle.by_bank) == 2
        assert len({member.account for member in circle.members}) == 5
    assert len({member.phone for circle in CIRCLES for member in circle.members}) == 10
    assert {circle.bank.statement for circle in CIRCLES} == {"camt.053", "MT940"}
