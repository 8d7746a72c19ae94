"""How far a run is, looked at while shards are at work: counts by level, shard by shard."""

from __future__ import annotations

from typing import Any

from pardna.matching.summary import RunReader
from tests.support.matching import TENANT, bank_line, charge, contribution, payout, strong, weak
from tests.support.split_runs import Bench, a_bench

STEP, PAIRS = 4, 10


def record(bench: Bench) -> None:
    """Ten charges that match by identity and are settled by one payout; transfers by reference."""
    for n in range(PAIRS):
        bench.record(contribution(n, 500), charge(n, 500, 20, payout="po_1"))
        bench.record(contribution(f"t{n}", 700 + n, "bank"))
        bench.record(bank_line(n, 700 + n, weak("payment_reference", f"PDN7K3QR01T{n}")))
    bench.record(payout("po_1", PAIRS * 480), bank_line("p", PAIRS * 480, strong("payout", "po_1")))


def test_counts_by_level_grow_shard_by_shard_while_a_run_is_at_work() -> None:
    with a_bench(1_000_000, step=STEP, group_max=20) as bench:
        record(bench)
        plan = bench.planner.plan(TENANT, bench.request())
        reader, commit = RunReader(bench.runs), bench.state.commit
        seen: list[dict[str, Any]] = []

        def watched(match: Any) -> Any:
            seen.append(reader.show(TENANT, plan["run_id"]))
            return commit(match)

        bench.state.commit = watched  # type: ignore[method-assign]
        cards, banks = bench.due(plan)
        for shard in (cards, banks):
            bench.worker.work(TENANT, plan["run_id"], shard)
        ended = reader.show(TENANT, plan["run_id"])

    shown = [s["progress"] for s in seen]
    ones = [p["matched"].get("committed.level_1", 0) for p in shown[:PAIRS]]
    assert ones == [0] * STEP + [STEP] * STEP + [2 * STEP] * (PAIRS - 2 * STEP)
    assert [p["shards"] for p in shown[:PAIRS]] == (
        [{"planned": 2}] * STEP + [{"matching": 1, "planned": 1}] * (PAIRS - STEP)
    )
    # The first shard is done while the second one is on its way.
    assert shown[PAIRS]["shards"] == {"done": 1, "planned": 1}
    assert shown[PAIRS]["matched"] == {"committed.level_1": PAIRS}
    last = seen[-1]
    assert last["progress"]["shards"] == {"done": 1, "matching": 1}
    by_shard = {s["shard"]: s for s in last["shards"]}
    assert by_shard[cards]["counts"]["committed"] == PAIRS
    assert by_shard[banks]["planned"] == PAIRS + 1
    assert 0 < by_shard[banks]["counts"]["committed"] < PAIRS + 1
    assert ended["progress"]["matched"] == {
        "committed.level_1": PAIRS, "committed.level_2": PAIRS, "committed.level_3": 1,
    }  # fmt: skip
    assert ended["progress"]["shards"] == {"done": 2}
    assert last["status"] == "running"
