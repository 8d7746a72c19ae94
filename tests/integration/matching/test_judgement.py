"""What the states after the matching say of a run: settlements added up again, and the gate."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pardna.matching.dynamodb_breaks import DynamoBreakBook
from pardna.matching.dynamodb_table import MatchTable
from pardna.matching.model import Status
from pardna.matching.runs import Reconciliation, Stores
from pardna.runtime import keys
from tests.support.matching import TABLE, TENANT, bank_line, charge, contribution, payout, weak
from tests.support.split_runs import REGION, Bench, a_bench


@pytest.fixture
def bench() -> Iterator[Bench]:
    """Two payouts settled, a run that has matched them."""
    with a_bench(1_000_000) as made:
        for number in range(6):
            po = f"po_{number // 3}"
            made.record(contribution(number, 500), charge(number, 500, 20, payout=po))
        for po in ("po_0", "po_1"):
            made.record(payout(po, 1_440), bank_line(po, 1_440, weak("payout", po)))
        yield made


def judged(bench: Bench) -> Reconciliation:
    book = DynamoBreakBook(MatchTable(TABLE, REGION))
    state = bench.state
    return Reconciliation(Stores(bench.runs, bench.files, book, state, state, state))


def member_of_a_settlement(bench: Bench) -> Any:
    """The item of one member of the first settlement, as it is stored."""
    settled = next(
        m
        for identifier in sorted(bench.state.of_status(TENANT, Status.COMMITTED))
        if (m := bench.state.get(TENANT, identifier)) and m.level == 3
    )
    charged = next(m for m in settled.members if m.kind == "charge")
    key = keys.match_member(TENANT, settled.match_id, charged.transaction_id)
    found = bench.table.item({"pk": {"S": key[0]}, "sk": {"S": key[1]}})
    assert found is not None
    return settled.match_id, found


@pytest.mark.parametrize("off", [-1, 1])
def test_a_settlement_that_no_longer_adds_up_is_named_and_holds_the_run(
    bench: Bench, off: int
) -> None:
    """Proved from what is stored, not from what was planned: one minor unit is seen."""
    run_id = bench.run()["run_id"]
    match_id, member = member_of_a_settlement(bench)
    member["basis_minor"] = {"N": str(int(member["basis_minor"]["N"]) + off)}

    proved = judged(bench).prove(TENANT, run_id)

    assert (proved["outcome"], proved["settlements_proved_count"]) == ("unproved", 1)
    assert proved["settlements_unproved"] == [match_id]
    gate = judged(bench).gate(TENANT, run_id, "posted")
    assert gate == {"outcome": "held", "reasons": ["1 settlements do not add up"]}
    assert bench.summary.summarise(TENANT, run_id)["outcome"] == "held"


def test_settlements_that_add_up_pass(bench: Bench) -> None:
    run_id = bench.run()["run_id"]
    proved = judged(bench).prove(TENANT, run_id)
    assert (proved["outcome"], proved["settlements_proved_count"]) == ("proved", 2)
    assert judged(bench).gate(TENANT, run_id, "nothing")["outcome"] == "passed"
    assert bench.summary.summarise(TENANT, run_id)["outcome"] == "passed"


@pytest.mark.parametrize(
    ("counts", "clearing", "reasons"),
    [
        ({"lost": 2}, "posted", ["2 matches lost a leg to another match"]),
        ({}, "refused", ["the ledger refused to clear some matches"]),
        ({"cap.candidates": 1}, "posted", ["a limit cut candidates off"]),
        ({"cap.amounts_shared_by_too_many_l": 9}, "posted", []),
        ({"refused": 3, "committed": 5, "waiting": 7}, "posted", []),
        (
            {"lost": 1, "cap.components_too_large": 1},
            "refused",
            [
                "1 matches lost a leg to another match",
                "the ledger refused to clear some matches",
                "a limit cut candidates off",
            ],
        ),
    ],
    ids=["lost", "clearing", "cap", "harmless cap", "harmless counts", "all of it"],
)
def test_the_gate_holds_a_run_for_each_reason_and_for_nothing_else(
    bench: Bench, counts: dict[str, int], clearing: str, reasons: list[str]
) -> None:
    run_id = bench.run()["run_id"]
    bench.runs.put_shard(TENANT, run_id, 0, {"status": "done", "counts": counts})
    gate = judged(bench).gate(TENANT, run_id, clearing)
    assert gate == {"outcome": "held" if reasons else "passed", "reasons": reasons}


def test_the_gate_names_shards_that_did_not_finish(bench: Bench) -> None:
    plan = bench.planner.plan(TENANT, bench.request())
    first, second = bench.due(plan)
    bench.worker.work(TENANT, plan["run_id"], first)
    gate = judged(bench).gate(TENANT, plan["run_id"], "posted")
    assert gate["reasons"] == [f"1 shards did not finish: [{second}]"]
    assert bench.summary.summarise(TENANT, plan["run_id"])["outcome"] == "partial"
