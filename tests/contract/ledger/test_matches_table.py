"""What matching writes to the match table is what the ledger reads from it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import boto3
import pytest

from pardna.ledger.dynamodb import DynamoMatches
from pardna.ledger.model import MatchedLeg
from pardna.matching.dynamodb import DynamoMatchState
from pardna.matching.model import Pair
from pardna.runtime.errors import Unavailable
from pardna.transactions.model import Kind, Side
from tests.support.matching import (
    DAY,
    TENANT,
    a_match,
    bank_line,
    charge,
    contribution,
    legs,
    match_table,
    payout,
    small_groups,
)


@pytest.fixture
def table() -> Iterator[str]:
    with match_table() as name:
        yield name


@pytest.fixture
def state(table: str) -> DynamoMatchState:
    return small_groups(table, "t")


@pytest.fixture
def matches(table: str) -> DynamoMatches:
    return DynamoMatches(boto3.client("dynamodb"), table)


def test_a_match_is_read_with_its_members(state: DynamoMatchState, matches: DynamoMatches) -> None:
    ours, theirs = legs(contribution(1, 500), charge(1, 500), pair=Pair.INTERNAL_PSP)
    state.record([ours])
    state.record([theirs])
    match = a_match(ours, theirs)
    assert matches.get(TENANT, match.match_id) is None
    state.commit(match)
    found = matches.get(TENANT, match.match_id)
    assert found is not None
    assert (found.version, found.status, found.pair, found.at) == (
        1,
        "committed",
        "internal~psp",
        DAY,
    )
    kinds = {(leg.side, leg.kind, leg.amount_minor) for leg in found.legs}
    assert kinds == {(Side.INTERNAL, Kind.CONTRIBUTION, 500), (Side.PSP, Kind.CHARGE, 500)}
    assert all(isinstance(leg, MatchedLeg) and leg.currency == "JMD" for leg in found.legs)
    assert matches.get("other", match.match_id) is None


def test_a_settlement_is_read_on_the_pairs_basis(
    state: DynamoMatchState, matches: DynamoMatches
) -> None:
    told = payout("po_1", 941), bank_line(1, 941)
    for transaction in told:
        state.record(legs(transaction))
    paid, line = legs(*told, pair=Pair.PSP_BANK)
    state.commit(a_match(paid, line))
    found = matches.get(TENANT, a_match(paid, line).match_id)
    assert found is not None
    assert sorted(leg.amount_minor for leg in found.legs) == [-941, 941]


def test_what_was_decided_is_listed(state: DynamoMatchState, matches: DynamoMatches) -> None:
    made = []
    for number in range(1, 4):
        ours, theirs = legs(contribution(number, 500), charge(number, 500), pair=Pair.INTERNAL_PSP)
        state.record([ours])
        state.record([theirs])
        state.commit(a_match(ours, theirs))
        made.append(a_match(ours, theirs).match_id)
    state.unmatch(TENANT, made[0], "a person said so")
    states = {(s.match_id, s.version, s.status) for s in matches.decided_since(TENANT, DAY)}
    assert states == {
        (made[0], 1, "unmatched"),
        (made[1], 1, "committed"),
        (made[2], 1, "committed"),
    }
    assert list(matches.decided_since(TENANT, DAY + timedelta(seconds=1))) == []
    found = matches.get(TENANT, made[0])
    assert found is not None
    assert (found.status, found.version) == ("unmatched", 1)


def test_a_table_that_does_not_answer_is_unavailable(table: str) -> None:
    absent = DynamoMatches(boto3.client("dynamodb"), "absent")
    with pytest.raises(Unavailable):
        absent.get(TENANT, "m1")
