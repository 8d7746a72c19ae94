"""What every match state promises: the fake and the DynamoDB adapter alike."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.client import BaseClient

from benchmarks.matching.memory_table import MemoryTable, serving
from pardna.matching.dynamodb import DynamoMatchState
from pardna.matching.model import Match, Pair, Status
from pardna.matching.ports import Committed, LegState
from tests.fakes.match_state import FakeMatchState
from tests.support.matching import (
    GROUP_MAX,
    TABLE,
    TENANT,
    a_match,
    bank_line,
    charge,
    contribution,
    legs,
    match_table,
    payout,
    small_groups,
    strong,
)

State = FakeMatchState | DynamoMatchState


def dynamo_state(table: str) -> DynamoMatchState:
    return small_groups(table, "t")


@pytest.fixture(params=["fake", "dynamodb", "memory"])
def state(request: pytest.FixtureRequest) -> Iterator[State]:
    """``memory`` is the adapter on the table of volume tests and benchmarks."""
    if request.param == "fake":
        yield FakeMatchState()
        return
    if request.param == "memory":
        with serving(MemoryTable(TABLE)):
            one_call_at_a_time(request.getfixturevalue("monkeypatch"))
            yield dynamo_state(TABLE)
        return
    with match_table() as table:
        one_call_at_a_time(request.getfixturevalue("monkeypatch"))
        yield dynamo_state(table)


def one_call_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """moto's tables are not safe for threads; DynamoDB's calls are atomic, and so are these."""
    lock, original = threading.Lock(), BaseClient._make_api_call

    def locked(self: object, operation_name: str, api_params: dict[str, object]) -> object:
        with lock:
            return original(self, operation_name, api_params)

    monkeypatch.setattr(BaseClient, "_make_api_call", locked)


def open_ids(state: State, pair: Pair) -> set[str]:
    return {leg.external_id for leg in state.open_legs(TENANT, pair, "JMD")}


def pair_match(state: State, number: int = 1) -> Match:
    ours, theirs = legs(contribution(number, 500), charge(number, 500), pair=Pair.INTERNAL_PSP)
    state.record([ours])
    state.record([theirs])
    return a_match(ours, theirs)


def test_recorded_legs_are_open_and_come_back_whole(state: State) -> None:
    [ours] = legs(contribution(1, 500))
    assert state.record([ours]) == {Pair.INTERNAL_PSP: LegState.OPEN}
    assert state.record([ours]) == {Pair.INTERNAL_PSP: LegState.OPEN}
    assert list(state.open_legs(TENANT, Pair.INTERNAL_PSP, "JMD")) == [ours]
    assert list(state.open_legs(TENANT, Pair.INTERNAL_PSP, "USD")) == []
    assert list(state.open_legs("other", Pair.INTERNAL_PSP, "JMD")) == []


def test_candidates_are_those_with_the_same_strong_reference(state: State) -> None:
    match = pair_match(state)
    pair_match(state, 2)
    found = state.candidates(match.members[0], strong("contribution", "con_1"))
    assert {leg.external_id for leg in found} == {"con_1", "txn_1"}


def test_a_match_closes_its_legs_once(state: State) -> None:
    match = pair_match(state)
    assert state.commit(match) is Committed.NOW
    assert state.commit(match) is Committed.BEFORE
    assert open_ids(state, Pair.INTERNAL_PSP) == set()
    for leg in match.members:
        assert state.of_transaction(TENANT, leg.pair, leg.transaction_id) == match.match_id


def test_a_leg_is_in_one_match_at_most(state: State) -> None:
    match = pair_match(state)
    [other] = legs(charge(9, 500))
    state.record([other])
    assert state.commit(match) is Committed.NOW
    assert state.commit(a_match(match.members[0], other)) is Committed.LOST
    assert open_ids(state, Pair.INTERNAL_PSP) == {"txn_9"}


def test_an_unknown_or_older_leg_is_not_committed(state: State) -> None:
    ours, theirs = legs(contribution(1, 500), charge(1, 500))
    state.record([ours])
    assert state.commit(a_match(ours, theirs)) is Committed.LOST
    state.record(legs(charge(1, 500, fee=20), version=2))
    assert state.commit(a_match(ours, theirs)) is Committed.LOST
    assert state.commit(a_match(ours, legs(charge(1, 500, fee=20), version=2)[0])) is Committed.NOW


def test_a_bank_line_matched_in_one_pair_leaves_the_other(state: State) -> None:
    line, ours = bank_line(1, 500), contribution(1, 500, "bank")
    state.record(legs(line))
    state.record(legs(ours))
    assert open_ids(state, Pair.PSP_BANK) == {"line_1"}
    match = a_match(*legs(ours, line, pair=Pair.INTERNAL_BANK))
    assert state.commit(match) is Committed.NOW
    assert open_ids(state, Pair.PSP_BANK) == set()
    state.record(legs(payout("po_1", 500)))
    rival = a_match(*legs(payout("po_1", 500), line, pair=Pair.PSP_BANK))
    assert state.commit(rival) is Committed.LOST
    assert state.unmatch(TENANT, match.match_id, "mistake")
    assert open_ids(state, Pair.PSP_BANK) == {"line_1", "txn_po_1"}
    assert state.commit(rival) is Committed.NOW
    assert open_ids(state, Pair.INTERNAL_BANK) == {"con_1"}


def test_a_new_version_updates_the_leg_and_keeps_the_match(state: State) -> None:
    match = pair_match(state)
    state.commit(match)
    newer = legs(charge(1, 500, fee=20, payout="po_1"), version=2)
    assert state.record(newer) == {
        Pair.INTERNAL_PSP: LegState.MATCHED,
        Pair.PSP_BANK: LegState.OPEN,
    }
    assert open_ids(state, Pair.INTERNAL_PSP) == set()
    assert open_ids(state, Pair.PSP_BANK) == {"txn_1"}
    older = legs(charge(1, 500), version=1)
    assert state.record(older) == {Pair.INTERNAL_PSP: LegState.MATCHED}
    assert (
        state.of_transaction(TENANT, Pair.INTERNAL_PSP, older[0].transaction_id) == match.match_id
    )


def test_a_new_version_with_another_amount_opens_the_match_again(state: State) -> None:
    match = pair_match(state)
    state.commit(match)
    assert state.record(legs(charge(1, 400), version=2)) == {Pair.INTERNAL_PSP: LegState.REOPENED}
    assert open_ids(state, Pair.INTERNAL_PSP) == {"con_1", "txn_1"}


def test_an_older_version_changes_nothing(state: State) -> None:
    state.record(legs(charge(1, 400), version=2))
    assert state.record(legs(charge(1, 500))) == {Pair.INTERNAL_PSP: LegState.STALE}
    [leg] = state.open_legs(TENANT, Pair.INTERNAL_PSP, "JMD")
    assert (leg.version, leg.amount_minor) == (2, 400)


def test_unmatched_legs_can_be_matched_again_as_the_next_version(state: State) -> None:
    match = pair_match(state)
    state.commit(match)
    assert state.unmatch(TENANT, match.match_id, "by hand")
    assert not state.unmatch(TENANT, match.match_id, "by hand")
    assert not state.unmatch(TENANT, "m_unknown", "by hand")
    assert open_ids(state, Pair.INTERNAL_PSP) == {"con_1", "txn_1"}
    assert state.commit(match) is Committed.NOW
    assert open_ids(state, Pair.INTERNAL_PSP) == set()


def test_a_proposal_takes_nothing_and_can_be_confirmed(state: State) -> None:
    match = pair_match(state)
    proposal = a_match(*match.members, level=4, status=Status.PROPOSED)
    assert state.commit(proposal) is Committed.NOW
    assert state.commit(proposal) is Committed.BEFORE
    assert open_ids(state, Pair.INTERNAL_PSP) == {"con_1", "txn_1"}
    assert state.commit(match) is Committed.NOW
    assert state.commit(proposal) is Committed.LOST


def test_large_groups_commit_whole(state: State) -> None:
    group = a_settlement(state, GROUP_MAX * 2 + 1)
    assert state.commit(group) is Committed.NOW
    assert state.commit(group) is Committed.BEFORE
    assert open_ids(state, Pair.PSP_BANK) == set()
    assert open_ids(state, Pair.INTERNAL_BANK) == set()
    assert state.unmatch(TENANT, group.match_id, "by hand")
    assert len(open_ids(state, Pair.PSP_BANK)) == len(group.members)
    assert state.commit(group) is Committed.NOW


def test_a_large_group_that_lacks_one_leg_takes_none(state: State) -> None:
    group = a_settlement(state, GROUP_MAX + 3)
    rival = a_match(group.members[-2], level=3)
    assert state.commit(rival) is Committed.NOW
    assert state.commit(group) is Committed.LOST
    assert len(open_ids(state, Pair.PSP_BANK)) == len(group.members) - 1


def test_64_racing_claims_have_one_winner(state: State) -> None:
    [ours] = legs(contribution(1, 500))
    state.record([ours])
    rivals = [legs(charge(n, 500))[0] for n in range(8)]
    for rival in rivals:
        state.record([rival])
    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(state.commit, [a_match(ours, r) for r in rivals * 8]))
    assert outcomes.count(Committed.NOW) == 1
    assert outcomes.count(Committed.BEFORE) == 7  # the winner's own repetitions
    assert outcomes.count(Committed.LOST) == 56
    assert len(open_ids(state, Pair.INTERNAL_PSP)) == 7


def a_settlement(state: State, charges: int) -> Match:
    """A payout of that many charges and its bank line, all recorded."""
    records = [charge(n, 100, fee=3, payout="po_1") for n in range(charges)]
    records += [payout("po_1", 97 * charges), bank_line(1, 97 * charges, strong("payout", "po_1"))]
    for record in records:
        state.record(legs(record))
    return a_match(*legs(*records, pair=Pair.PSP_BANK), level=3)
