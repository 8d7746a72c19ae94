"""A writer of a large group that dies between any two writes leaves nothing that anybody trusts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.client import BaseClient

from pardna.matching.dynamodb import DynamoMatchState
from pardna.matching.model import Match, Pair, Status
from pardna.matching.ports import Committed
from tests.support.matching import (
    TABLE,
    TENANT,
    a_match,
    bank_line,
    charge,
    legs,
    match_table,
    payout,
    small_groups,
    strong,
)


class Killed(BaseException):
    """The process is gone."""


@pytest.fixture
def table() -> Iterator[str]:
    with match_table() as name:
        yield name


def a_state(prefix: str) -> DynamoMatchState:
    return small_groups(TABLE, prefix)


def a_settlement(state: DynamoMatchState) -> Match:
    records = [charge(n, 100, fee=3, payout="po_1") for n in range(6)]
    records += [payout("po_1", 582), bank_line(1, 582, strong("payout", "po_1"))]
    for record in records:
        state.record(legs(record))
    return a_match(*legs(*records, pair=Pair.PSP_BANK), level=3)


def die_at(monkeypatch: pytest.MonkeyPatch, write: int) -> None:
    """Let `write` writes of DynamoDB pass, then kill the caller."""
    left = [write]
    original = BaseClient._make_api_call

    def counted(self: Any, operation: str, parameters: Any) -> Any:
        if operation in ("TransactWriteItems", "UpdateItem", "PutItem"):
            if left[0] == 0:
                raise Killed
            left[0] -= 1
        return original(self, operation, parameters)

    monkeypatch.setattr(BaseClient, "_make_api_call", counted)


@pytest.mark.parametrize("write", range(0, 14))
def test_killed_after_any_write_readers_see_all_or_nothing_and_the_next_one_finishes(
    table: str, monkeypatch: pytest.MonkeyPatch, write: int
) -> None:
    dead, heir = a_state("dead"), a_state("heir")
    group = a_settlement(dead)
    with monkeypatch.context() as patch:
        die_at(patch, write)
        try:
            outcome = dead.commit(group)
        except Killed:
            outcome = None

    stored = heir.get(TENANT, group.match_id)
    committed = stored is not None and stored.status is Status.COMMITTED
    assert not committed or len(stored.members) == len(group.members)
    for leg in group.members:
        held = heir.of_transaction(TENANT, Pair.PSP_BANK, leg.transaction_id)
        assert held == (group.match_id if committed else "")

    still_open = list(heir.open_legs(TENANT, Pair.PSP_BANK, "JMD"))
    assert len(still_open) == (0 if committed else len(group.members))
    again = heir.commit(group)
    assert again is (Committed.BEFORE if committed else Committed.NOW)
    assert outcome in (None, Committed.NOW)
    assert list(heir.open_legs(TENANT, Pair.PSP_BANK, "JMD")) == []
    assert list(heir.open_legs(TENANT, Pair.INTERNAL_BANK, "JMD")) == []


def test_a_dead_writer_that_wakes_up_cannot_go_on(
    table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its claim was given up and a smaller match took a leg: the old token opens nothing."""
    slow, other = a_state("slow"), a_state("other")
    group = a_settlement(slow)
    chunks = slow._groups._take_chunk
    taken: list[int] = []

    def interrupted(*args: Any) -> None:
        if len(taken) == 1:
            list(other.open_legs(TENANT, Pair.PSP_BANK, "JMD"))
            assert other.commit(a_match(group.members[0], level=3)) is Committed.NOW
        taken.append(1)
        chunks(*args)

    monkeypatch.setattr(slow._groups, "_take_chunk", interrupted)

    assert slow.commit(group) is Committed.LOST
    assert len(list(other.open_legs(TENANT, Pair.PSP_BANK, "JMD"))) == len(group.members) - 1


def test_a_writer_that_sleeps_before_its_last_write_commits_nothing(
    table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It holds every leg when it is given up; the commit itself asks whose turn it is."""
    slow, other = a_state("slow"), a_state("other")
    group = a_settlement(slow)
    flip = slow._groups._flip

    def delayed(*args: Any) -> None:
        list(other.open_legs(TENANT, Pair.PSP_BANK, "JMD"))
        assert other.commit(a_match(group.members[0], level=3)) is Committed.NOW
        flip(*args)

    monkeypatch.setattr(slow._groups, "_flip", delayed)

    assert slow.commit(group) is Committed.LOST
    stored = other.get(TENANT, group.match_id)
    assert stored is None or stored.status is not Status.COMMITTED
    assert len(list(other.open_legs(TENANT, Pair.PSP_BANK, "JMD"))) == len(group.members) - 1


def test_an_unmatch_that_died_is_finished_by_repeating_it(
    table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = a_state("s")
    group = a_settlement(state)
    state.commit(group)
    with monkeypatch.context() as patch:
        die_at(patch, 3)
        with pytest.raises(Killed):
            state.unmatch(TENANT, group.match_id, "by hand")

    assert state.unmatch(TENANT, group.match_id, "by hand")
    assert len(list(state.open_legs(TENANT, Pair.PSP_BANK, "JMD"))) == len(group.members)
