from __future__ import annotations

import pytest

from pardna.matching.model import Pair, break_id, match_id, pairs_of
from tests.support.matching import (
    a_match,
    a_transaction,
    bank_line,
    charge,
    contribution,
    legs,
    payout,
    strong,
)


@pytest.mark.parametrize(
    ("transaction", "pairs"),
    [
        (contribution(1, 500), [Pair.INTERNAL_PSP]),
        (contribution(1, 500, "bank"), [Pair.INTERNAL_BANK]),
        (
            a_transaction("internal", "contribution", "c", 5),
            [Pair.INTERNAL_PSP, Pair.INTERNAL_BANK],
        ),
        (a_transaction("internal", "draw", "d", -5), [Pair.INTERNAL_BANK]),
        (charge(1, 500), [Pair.INTERNAL_PSP]),
        (charge(1, 500, 20, payout="po_1"), [Pair.INTERNAL_PSP, Pair.PSP_BANK]),
        (payout("po_1", 480), [Pair.PSP_BANK]),
        (a_transaction("psp", "fee", "f", -5), []),
        (a_transaction("psp", "dispute", "d", -5, batch_id="po_1"), [Pair.PSP_BANK]),
        (bank_line(1, 480), [Pair.INTERNAL_BANK, Pair.PSP_BANK]),
        (bank_line(1, -480), [Pair.INTERNAL_BANK]),
        (bank_line(1, -480, strong("payout", "po_1")), [Pair.INTERNAL_BANK, Pair.PSP_BANK]),
        (a_transaction("bank", "fee", "f", -5), [Pair.INTERNAL_BANK]),
    ],
)
def test_pairs_of(transaction, pairs) -> None:
    assert list(pairs_of(transaction)) == pairs
    assert [leg.pair for leg in legs(transaction)] == pairs


def test_one_movement_of_ours_or_the_banks_is_exclusive_but_a_charge_is_not() -> None:
    first, second = legs(bank_line(1, 5))
    assert (first.exclusive, second.exclusive) == ((second.pair,), (first.pair,))
    assert all(leg.exclusive == () for leg in legs(charge(1, 500, 20, payout="po_1")))


def test_the_basis_is_gross_against_our_books_and_net_against_the_bank() -> None:
    ours, settled = legs(charge(1, 500, 20, payout="po_1"))
    assert (ours.basis_minor, settled.basis_minor) == (500, 480)
    assert legs(payout("po_1", 480))[0].basis_minor == -480
    unknown = legs(charge(1, 500, None, payout="po_1"), pair=Pair.PSP_BANK)
    assert unknown[0].basis_minor is None


def test_ids_ignore_order_and_know_their_pair() -> None:
    assert match_id(Pair.PSP_BANK, ["a", "b"]) == match_id(Pair.PSP_BANK, ["b", "a"])
    assert match_id(Pair.PSP_BANK, ["a", "b"]) != match_id(Pair.INTERNAL_PSP, ["a", "b"])
    assert break_id(Pair.PSP_BANK, ["a"]).startswith("b_")


def test_shapes() -> None:
    ours, theirs = legs(contribution(1, 5), charge(1, 5))
    settled = legs(charge(1, 5, 1, payout="po_1"), payout("po_1", 4), pair=Pair.PSP_BANK)
    [line] = legs(bank_line(1, 4), pair=Pair.PSP_BANK)
    assert a_match(ours, theirs).shape == "1:1"
    assert a_match(*settled, line).shape == "n:1"
