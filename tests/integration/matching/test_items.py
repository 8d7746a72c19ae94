"""What stands in the match table: which items the index of open legs holds, which acts are appended."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks.matching.memory_table import MemoryTable, serving
from pardna.matching.dynamodb import DynamoMatchState
from pardna.matching.dynamodb_desk import DynamoDesk
from pardna.matching.dynamodb_table import MatchTable
from pardna.matching.dynamodb_unmatch import MACHINE as ENGINE
from pardna.matching.model import Match, Pair, Status
from pardna.matching.online import MatchOnline
from pardna.matching.ports import Committed
from pardna.matching.rules import default_rules
from pardna.transactions.recorded import TransactionRecorded
from tests.support.matching import (
    TABLE,
    TENANT,
    a_match,
    bank_line,
    charge,
    contribution,
    legs,
    payout,
    small_groups,
    strong,
)


@pytest.fixture
def table() -> Iterator[MemoryTable]:
    with serving(MemoryTable(TABLE)) as made:
        yield made


@pytest.fixture
def state(table: MemoryTable) -> DynamoMatchState:
    return small_groups(TABLE, "t")


def indexed(table: MemoryTable) -> set[str]:
    """What the index of open legs holds, by external id and pair: what a shard would have to read."""
    return {
        f"{item['external_id']['S']} {item['pair']['S']}"
        for place in table.indexes["open"].values()
        for item in place.values()
    }


def acts(state: DynamoMatchState, match_id: str) -> list[tuple[str, str]]:
    desk = DynamoDesk(MatchTable(TABLE, "us-east-1"), state)
    found, _ = desk.history(TENANT, f"match:{match_id}", "", 100)
    return [(a.verb, a.principal) for a in found]


def a_settlement(state: DynamoMatchState, charges: int) -> Match:
    """A payout of that many charges and its bank line, all recorded."""
    records = [charge(n, 100, fee=3, payout="po_1") for n in range(charges)]
    records += [payout("po_1", 97 * charges), bank_line(1, 97 * charges, strong("payout", "po_1"))]
    for record in records:
        state.record([x for x in legs(record) if x.pair is not Pair.INTERNAL_PSP])
    return a_match(*legs(*records, pair=Pair.PSP_BANK), level=3)


def test_only_open_legs_are_in_the_index(table: MemoryTable, state: DynamoMatchState) -> None:
    """References, matches, members, acts and closed legs are not: the index is as large as what waits."""
    for record in (contribution(1, 500), charge(1, 500), contribution(2, 700), bank_line(1, 900)):
        state.record(legs(record))
    assert indexed(table) == {
        "con_1 internal~psp", "txn_1 internal~psp", "con_2 internal~psp",
        "line_1 internal~bank", "line_1 psp~bank",
    }  # fmt: skip

    match = a_match(*legs(contribution(1, 500), charge(1, 500), pair=Pair.INTERNAL_PSP))
    state.commit(match)
    assert indexed(table) == {"con_2 internal~psp", "line_1 internal~bank", "line_1 psp~bank"}
    state.unmatch(TENANT, match.match_id, "by hand")
    assert {"con_1 internal~psp", "txn_1 internal~psp"} < indexed(table)


@pytest.mark.parametrize("charges", [1, 9], ids=["one transaction", "in chunks"])
def test_a_settled_group_leaves_the_index_in_every_pair(
    table: MemoryTable, state: DynamoMatchState, charges: int
) -> None:
    group = a_settlement(state, charges)
    assert len(indexed(table)) == charges + 3, "the line is in the index of both its pairs"
    state.commit(group)
    assert indexed(table) == set()


@pytest.mark.parametrize("charges", [1, 9], ids=["one transaction", "in chunks"])
def test_matching_and_unmatching_append_acts_and_take_none_away(
    table: MemoryTable, state: DynamoMatchState, charges: int
) -> None:
    group = a_settlement(state, charges)
    expected: list[tuple[str, str]] = []
    for _ in range(2):
        assert state.commit(group) is Committed.NOW
        assert state.commit(group) is Committed.BEFORE, "again is no act"
        expected.append(("matched", ENGINE))
        assert acts(state, group.match_id) == expected
        assert state.unmatch(TENANT, group.match_id, "a new version changed the amount")
        expected.append(("unmatched", ENGINE))
        assert acts(state, group.match_id) == expected


def test_the_stream_appends_them_too(table: MemoryTable, state: DynamoMatchState) -> None:
    online = MatchOnline(state, lambda _: default_rules())
    online.take(TransactionRecorded(contribution(1, 500), 1, None))
    done = online.take(TransactionRecorded(charge(1, 500), 1, None))
    assert [verb for verb, _ in acts(state, done.match_id)] == ["matched"]
    # The provider corrects the amount: the match is taken back, the legs wait again.
    online.take(TransactionRecorded(charge(1, 400), 2, charge(1, 500)))
    assert [verb for verb, _ in acts(state, done.match_id)] == ["matched", "unmatched"]
    assert list(state.of_status(TENANT, Status.COMMITTED)) == []
