"""What people resolve, through to the ledger: posted once, and taken back when they think again."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from pardna.matching import wiring
from pardna.matching.acts import asked
from pardna.matching.break_work import BreakWork
from pardna.matching.model import Pair
from pardna.matching.people import HandMatching, ManualMatch
from pardna.matching.unmatching import Unmatching
from pardna.runtime.clock import utc_now
from tests.statemachines.matching.conftest import Product
from tests.support.matching import TENANT, bank_line, contribution, legs

FAR = "2026-03-12"


def by(key: str) -> Any:
    """Ann asks, and a second person has agreed."""
    return replace(asked(TENANT, "ann", key, "test", b""), approved_by="ben")


@pytest.fixture
def people(product: Product) -> tuple[BreakWork, HandMatching, Unmatching]:
    """Services on the product's own stores; nobody else is asked."""
    from pardna.matching.decisions import AskSecondPerson, NobodyElse

    desk, rules_of = wiring._desk(), wiring.current_rules().of
    second = AskSecondPerson(desk, NobodyElse(), utc_now)
    return (
        BreakWork(desk, rules_of, second, lambda *_: True, utc_now),
        HandMatching(desk, rules_of, second, utc_now),
        Unmatching(desk, utc_now),
    )


def posted(product: Product) -> dict[str, int]:
    """Balances that are not zero, after the ledger has caught up twice."""
    for _ in range(2):
        product.invoke("PostMatchesFunction", {"tenant_id": TENANT, "run_id": "r_1"})
    with product.database.session().transaction(TENANT, "test") as connection:
        rows = connection.execute(
            "SELECT code, debits_minor - credits_minor FROM ledger.account_balances"
            " WHERE debits_minor <> credits_minor"
        ).fetchall()
    return {code: int(total) for code, total in rows}


def test_a_write_off_moves_the_leg_to_its_variance_and_reopening_moves_it_back(
    product: Product, people: tuple[BreakWork, HandMatching, Unmatching]
) -> None:
    work, _, _ = people
    product.record(contribution(1, 500), project=True)
    ended = product.run(on=FAR)
    assert ended["status"] == "SUCCEEDED", json.dumps(ended["output"])
    [one] = wiring.break_book().listed(TENANT, "open")
    before = posted(product)
    work.resolve(by("1"), one.break_id, "written_off", "uncollectable", "Left the country.")
    after = posted(product)
    assert abs(after["variance:internal~psp:written_off"]) == 500
    assert sum(after.values()) == sum(before.values()), "what one account gives another takes"
    work.reopen(by("2"), one.break_id, "The money has come.")
    assert posted(product) == before


def test_a_match_by_hand_is_posted_with_its_remainder_and_reversed(
    product: Product, people: tuple[BreakWork, HandMatching, Unmatching]
) -> None:
    _, hand, unmatching = people
    ours, line = contribution(2, 500, "bank"), bank_line(2, 490)
    product.record(ours, line, project=True)
    before = posted(product)
    ids = tuple(leg.transaction_id for leg in legs(ours, line, pair=Pair.INTERNAL_BANK))
    request = ManualMatch(Pair.INTERNAL_BANK, ids, "The bank kept ten.", 10, "fee")
    answer = hand.match(by("m"), request)
    after = posted(product)
    assert abs(after["variance:internal~bank:fee"]) == 10
    unmatching.unmatch(by("u"), str(answer["match_id"]), "Another payer's.")
    assert posted(product) == before
