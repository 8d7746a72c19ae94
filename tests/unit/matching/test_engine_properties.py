"""The engine's promises, for any legs: order, conservation, no leg twice, amounts that tie."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pardna.matching.engine import Result, match
from pardna.matching.model import Leg, Pair
from pardna.matching.rules import default_rules
from pardna.transactions.model import Transaction
from tests.support.matching import (
    DAY,
    bank_line,
    charge,
    contribution,
    day,
    legs,
    payout,
    strong,
    weak,
)

numbers = st.integers(0, 5)
amounts = st.sampled_from([-500, 0, 499, 500, 501, 700])
days = st.integers(-3, 60).map(lambda n: DAY + timedelta(days=n))
RULES = default_rules()


@st.composite
def stories(draw: st.DrawFn) -> tuple[Pair, list[Transaction]]:
    """Few names and few amounts, so that everything collides."""
    pair = draw(st.sampled_from(list(Pair)))
    records: list[Transaction] = []
    for position in range(draw(st.integers(0, 9))):
        number, amount, at = draw(numbers), draw(amounts), draw(days)
        unique = {"external_id": f"x{position}", "occurred_at": at}
        references = (
            weak("payment_reference", f"PDN-7K3Q-R01-{number}"),
            weak("payout", f"po_{number}"),
        )
        if draw(st.booleans()):
            references = (*references, strong("end_to_end", f"E2E{number}"))
        made = {
            Pair.INTERNAL_PSP: [contribution(number, amount), charge(number, amount, draw(st.none() | st.integers(0, 9)))],
            Pair.INTERNAL_BANK: [contribution(number, amount, "bank"), bank_line(number, amount, *references)],
            Pair.PSP_BANK: [charge(number, amount, 0, payout=f"po_{number}"), payout(f"po_{number}", amount), bank_line(number, amount, *references)],
        }[pair]  # fmt: skip
        records.append(replace(draw(st.sampled_from(made)), **unique))
    return pair, records


def run(pair: Pair, found: list[Leg], on: str = "2026-03-20") -> Result:
    left = [leg for leg in found if leg.is_left]
    right = [leg for leg in found if not leg.is_left]
    return match(left, right, RULES, pair, day(on))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(stories(), st.randoms())
def test_order_decides_nothing_and_every_leg_ends_as_one_thing(story, random) -> None:
    pair, records = story
    found = legs(*records, pair=pair)
    result = run(pair, found)
    shuffled = list(found)
    random.shuffle(shuffled)
    assert run(pair, shuffled) == result

    places = [leg.transaction_id for m in result.matches for leg in m.members]
    places += [leg.transaction_id for f in result.findings for leg in f.covered]
    places += [leg.transaction_id for leg in result.waiting]
    assert sorted(places) == sorted(leg.transaction_id for leg in found)

    for made in result.matches:
        left = sum(leg.basis_minor or 0 for leg in made.members if leg.is_left)
        right = sum(leg.basis_minor or 0 for leg in made.members if not leg.is_left)
        if made.level == 3:
            assert left == 0
        else:
            assert left - right == made.variance_minor
