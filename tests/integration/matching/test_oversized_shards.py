"""Legs that belong together and are more than a shard should hold: not cut, and told."""

from __future__ import annotations

from typing import Any

from pardna.matching.summary import RunReader
from pardna.transactions.model import Transaction
from tests.support.matching import TENANT, bank_line, charge, contribution, payout, weak
from tests.support.split_runs import a_bench

#: A payout, its charges, and its line: seven legs that only one engine may look at.
CHARGES = 5


def a_settlement() -> list[Transaction]:
    numbers = range(CHARGES)
    made = [x for n in numbers for x in (contribution(f"c{n}", 500 + n), charge(f"c{n}", 500 + n, 20, payout="po_1"))]  # fmt: skip
    total = sum(500 + n - 20 for n in numbers)
    return [*made, payout("po_1", total), bank_line("p", total, weak("payout", "po_1"))]


def reconciled(shard_legs: int) -> tuple[dict[str, Any], dict[str, Any], list[Any]]:
    with a_bench(shard_legs=shard_legs) as bench:
        bench.record(*a_settlement())
        done = bench.run()
        bench.summary.summarise(TENANT, done["run_id"])
        shown = RunReader(bench.runs).show(TENANT, done["run_id"])
        return bench.told(done["run_id"]), shown, list(bench.runs.shards(TENANT, done["run_id"]))


def test_a_component_above_the_limit_is_one_shard_and_the_run_says_so() -> None:
    told, shown, shards = reconciled(shard_legs=4)
    large = [s for s in shards if s.get("legs_count", 0) > 4]
    assert [s["legs_count"] for s in large] == [CHARGES + 2]
    assert shown["oversized_shards"] == [large[0]["shard"]]
    assert shown["counts"]["cap.shards_above_limit"] == 1
    assert shown["progress"]["limits_hit"]["legs_above_limit"] == CHARGES + 2 - 4
    assert ("psp~bank", 3, "committed") in {m[:3] for m in told["matches"]}


def test_a_run_without_one_says_nothing_and_decides_the_same() -> None:
    told, shown, _ = reconciled(shard_legs=1_000)
    assert (shown["oversized_shards"], shown["progress"]["limits_hit"]) == ([], {})
    assert told == reconciled(shard_legs=4)[0]
