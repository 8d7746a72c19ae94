"""The completeness check against a real database: page by page, resumable, and it repairs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

import pytest

from pardna.database.session import Connection
from pardna.matching.completeness import CheckCompleteness, CheckRun, Completeness
from pardna.matching.model import Leg, Pair, legs_of
from pardna.matching.online import MatchOnline
from pardna.matching.postgres import PostgresTruth
from pardna.matching.rules import default_rules
from pardna.runtime.errors import InvalidInput, Unavailable
from pardna.transactions.postgres import record_in
from tests.fakes.match_state import FakeMatchState
from tests.support.matching import DAY, TENANT, bank_line, contribution
from tests.support.postgres import TestDatabase

MANY = 10_050
FIRST = date(2026, 1, 1)


class Legs(FakeMatchState):
    """Match state in memory that also says which versions it has, and counts how it is asked."""

    asked_most = 0

    def versions(
        self, tenant_id: str, ids: Sequence[tuple[Pair, str]]
    ) -> dict[tuple[Pair, str], int]:
        self.asked_most = max(self.asked_most, len(ids))
        found = {key: self.legs.get((tenant_id, *key)) for key in ids}
        return {key: leg.version for key, leg in found.items() if leg is not None}

    def taken(self, tenant_id: str, ids: Sequence[tuple[Pair, str]]) -> set[tuple[Pair, str]]:
        return {key for key in ids if (tenant_id, *key) in self.held}


def a_check(
    database: TestDatabase, legs: Legs, in_lake: Callable[[str], set[str]] = lambda _: set(), **more: Any
) -> CheckCompleteness:  # fmt: skip
    online = MatchOnline(legs, lambda _: default_rules())
    return CheckCompleteness(PostgresTruth(database.session()), legs, online, in_lake, **more)


def recorded(database: TestDatabase, *transactions: Any) -> list[Leg]:
    """Write transactions into the truth; their legs as the stream would bring them."""
    connection: Connection
    with database.session().transaction(TENANT, "test") as connection:
        done = record_in(connection, TENANT, transactions, "test")
    return [leg for one in done for leg in legs_of(one.transaction, one.version)]


def known(legs: Sequence[Leg]) -> Legs:
    state = Legs()
    state.legs = {(leg.tenant_id, leg.pair, leg.transaction_id): leg for leg in legs}
    return state


def test_one_lost_among_more_than_ten_thousand_is_found_and_projected_again(
    database: TestDatabase,
) -> None:
    lines = [bank_line(n, -100 - n) for n in range(MANY)]
    state = known(recorded(database, *lines))
    lost = next(key for key, leg in state.legs.items() if leg.external_id == "line_7777")
    del state.legs[lost]

    found = a_check(database, state).check(TENANT, FIRST)

    assert (found.transactions_count, found.projected_count, found.complete) == (MANY, 1, True)
    assert state.legs[lost].external_id == "line_7777"
    assert state.asked_most <= 100
    again = a_check(database, state).check(TENANT, FIRST)
    assert (again.projected_count, again.inputs_hash) == (0, found.inputs_hash)


@pytest.mark.parametrize("pages_max", [1, 3])
def test_a_check_in_many_calls_comes_to_what_one_call_comes_to(
    database: TestDatabase, pages_max: int
) -> None:
    legs = recorded(database, *(bank_line(n, -100 - n) for n in range(25)))
    whole = a_check(database, known(legs), page=5).check(TENANT, FIRST)
    state = known(legs[3:])

    check = CheckRun(a_check(database, state, page=5, pages_max=pages_max), lambda: DAY)
    event: dict[str, Any] = {"tenant_id": TENANT}
    calls = 0
    while event.get("completeness", {}).get("outcome", "more") == "more":
        event["completeness"] = check.check(event)
        calls += 1

    found = event["completeness"]
    assert calls == -(-6 // pages_max), "five full pages, and an empty one that says it is over"
    assert found["inputs_hash"] == whole.inputs_hash
    assert (found["transactions_count"], found["projected_count"]) == (25, 3)
    assert (found["reference_date"], found["window_days"]) == ("2026-03-02", 45)
    assert Completeness.from_plain(found).to_plain().items() <= found.items()


def test_a_store_that_fails_on_the_way_costs_one_page(database: TestDatabase) -> None:
    legs = recorded(database, *(bank_line(n, -100 - n) for n in range(20)))
    state = Legs()
    check = a_check(database, state, page=5, pages_max=2)
    first = check.check(TENANT, FIRST)
    state.fail_next = 1
    with pytest.raises(Unavailable):
        check.check(TENANT, FIRST, first)
    done = check.check(TENANT, FIRST, check.check(TENANT, FIRST, first))
    assert done.complete
    assert len(state.legs) == len(legs)


def test_rows_that_stand_in_the_lake_are_left_to_the_batch(database: TestDatabase) -> None:
    large = "a" * 64
    recorded(database, bank_line(1, -5), bank_line(2, -6, raw_sha256=large))
    state = Legs()
    found = a_check(database, state, lambda _: {large}).check(TENANT, FIRST)
    assert (found.transactions_count, found.projected_count) == (2, 1)
    assert [leg.external_id for leg in state.legs.values()] == ["line_1"]


def test_another_version_is_another_input_and_an_older_one_is_brought_up(
    database: TestDatabase,
) -> None:
    state = known(recorded(database, contribution(1, 500)))
    before = a_check(database, state).check(TENANT, FIRST)
    recorded(database, contribution(1, 500, account="JMD-1"))
    after = a_check(database, state).check(TENANT, FIRST)
    assert after.projected_count == 1
    assert after.inputs_hash != before.inputs_hash
    assert {leg.version for leg in state.legs.values()} == {2}


def test_a_date_that_is_none_is_refused(database: TestDatabase) -> None:
    check = CheckRun(a_check(database, Legs()), lambda: DAY)
    for event in ({"reference_date": "yesterday"}, {"window_days": 500}):
        with pytest.raises(InvalidInput):
            check.check({"tenant_id": TENANT, **event})
