"""Large deliveries: matched straight from Parquet, DynamoDB arbitrates and keeps what stays open."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from pardna.matching.dynamodb import DynamoMatchState
from pardna.matching.model import Pair, Status
from pardna.matching.ports import Committed, LakePart, LegState
from pardna.transactions.lake import part_key
from pardna.transactions.model import Transaction, to_dict
from pardna.transactions.parquet import to_parquet
from tests.support.matching import (
    TENANT,
    a_match,
    bank_line,
    charge,
    contribution,
    legs,
    payout,
    strong,
    weak,
)
from tests.support.split_runs import Bench, a_bench


def delivered(bench: Bench, digest: str, transactions: Sequence[Transaction], rows: int = 10_000) -> None:  # fmt: skip
    """The parts of a large delivery, as recording it leaves them in the lake."""
    for number, start in enumerate(range(0, len(transactions), rows), start=1):
        some = transactions[start : start + rows]
        body = to_parquet((t.transaction_id, 1, json.dumps(to_dict(t))) for t in some)
        bench.s3.put_object(Bucket="lake", Key=part_key(TENANT, digest * 64, number), Body=body)


def a_file(first: int, last: int) -> list[Transaction]:
    """Charges of a payout, the payout, and one charge that nobody expects."""
    charges = [charge(n, 1_000, 50, payout="po_1") for n in range(first, last)]
    return [*charges, payout("po_1", 950 * len(charges)), charge("odd", 777, 7)]


def test_rows_of_the_lake_are_claimed_by_their_matches_and_recorded_when_open() -> None:
    with a_bench(shard_legs=1_000_000) as bench:
        bench.record(*(contribution(n, 1_000) for n in range(6)))
        bench.record(bank_line(1, 4_750, weak("payout", "po_1")))
        delivered(bench, "a", a_file(1, 6), rows=4)

        done = bench.run()
        assert done["outcome"] == "decided"
        assert bench.lake.pending(TENANT) == []
        told = bench.told(done["run_id"])
        assert Counter((pair, level) for pair, level, *_ in told["matches"]) == {
            ("internal~psp", 1): 5,
            ("psp~bank", 3): 1,
        }
        left = {x.external_id for p in Pair for x in bench.state.open_legs(TENANT, p, "JMD")}
        assert left == {"con_0", "txn_odd"}
        assert {f[2] for f in told["findings"]} == {("con_0",), ("txn_odd",)}

        # Whoever carries a matched identity again is known as its double, also to level 1 online.
        [again] = legs(charge(3, 1_000), pair=Pair.INTERNAL_PSP)
        found = bench.state.candidates(again, strong("contribution", "con_3"))
        assert {x.external_id for x in found} == {"con_3", "txn_3"}
        assert bench.state.record(legs(charge(3, 1_000, 50, payout="po_1"))) == {
            Pair.INTERNAL_PSP: LegState.MATCHED, Pair.PSP_BANK: LegState.MATCHED,
        }  # fmt: skip
        assert bench.run(bench.request("next"))["outcome"] == "decided"
        assert (
            Counter(m[:2] for m in bench.told(done["run_id"])["matches"])[("internal~psp", 1)] == 5
        )


def test_what_a_stream_has_brought_already_is_not_taken_from_the_lake() -> None:
    """A newer version is open in the match state: the lake's row is old."""
    with a_bench(shard_legs=1_000_000) as bench:
        delivered(bench, "a", [contribution(1, 1_000), charge(1, 999)])
        bench.record(charge(1, 1_000), version=2)
        done = bench.run()
        assert [m[:2] for m in bench.told(done["run_id"])["matches"]] == [("internal~psp", 1)]


def test_a_run_that_died_before_taking_in_the_rest_is_repeated_without_effect() -> None:
    with a_bench(shard_legs=1_000_000) as bench:
        bench.record(contribution(1, 1_000))
        delivered(bench, "a", [charge(1, 1_000), charge(2, 55)])
        waves = bench.waves(bench.request())
        while (plan := next(waves))["outcome"] == "planned":
            if bench.runs.shards(TENANT, plan["run_id"])[-1]["phase"] == "absorb":
                break
        before = set(bench.state.of_status(TENANT, Status.COMMITTED))
        assert len(before) == 1
        [part] = bench.lake.pending(TENANT)

        other = bench.run(bench.request("other"))
        assert other["run_id"] != plan["run_id"]
        assert set(bench.state.of_status(TENANT, Status.COMMITTED)) == before
        list(waves)
        assert bench.lake.pending(TENANT) == []
        assert [x.external_id for x in bench.state.open_legs(TENANT, Pair.INTERNAL_PSP, "JMD")] == ["txn_2"]  # fmt: skip
        assert isinstance(part, LakePart)


@pytest.mark.parametrize("claimed_first", [True, False])
def test_one_leg_of_the_lake_is_in_one_match_whoever_claims_it(claimed_first: bool) -> None:
    """A claim against another claim, and against the same leg recorded and matched meanwhile."""
    with a_bench(shard_legs=1_000_000) as bench:
        ours, theirs, rival = legs(contribution(1, 500), charge(1, 500), charge(9, 500))
        state: DynamoMatchState = bench.state
        if claimed_first:
            assert state.commit(a_match(ours, theirs)) is Committed.NOW
            assert state.commit(a_match(ours, rival)) is Committed.LOST
        else:
            state.record([ours])
            state.record([rival])
            assert state.commit(a_match(ours, rival)) is Committed.NOW
            assert state.commit(a_match(ours, theirs)) is Committed.LOST
        assert state.commit(a_match(*((ours, theirs) if claimed_first else (ours, rival)))) is Committed.BEFORE  # fmt: skip


def test_an_exclusive_line_of_the_lake_is_closed_in_its_other_pair() -> None:
    with a_bench(shard_legs=1_000_000) as bench:
        line, ours = bank_line(1, 500), contribution(1, 500, "bank")
        match = a_match(*legs(ours, line, pair=Pair.INTERNAL_BANK))
        assert bench.state.commit(match) is Committed.NOW
        assert bench.state.record(legs(line)) == {
            Pair.INTERNAL_BANK: LegState.MATCHED, Pair.PSP_BANK: LegState.MATCHED,
        }  # fmt: skip
        rival = a_match(*legs(payout("po_1", 500), line, pair=Pair.PSP_BANK))
        assert bench.state.commit(rival) is Committed.LOST
        assert bench.state.unmatch(TENANT, match.match_id, "mistake")
        assert {x.external_id for x in bench.state.open_legs(TENANT, Pair.PSP_BANK, "JMD")} == {"line_1"}  # fmt: skip


def test_a_large_group_of_the_lake_whose_writer_died_is_given_up_and_made_again(
    monkeypatch: Any,
) -> None:
    from tests.integration.matching.test_split_runs import Killed, die_at

    with a_bench(shard_legs=1_000_000) as bench:
        records = [charge(n, 100, fee=3, payout="po_1") for n in range(6)]
        records += [payout("po_1", 582), bank_line(1, 582, strong("payout", "po_1"))]
        group = a_match(*legs(*records, pair=Pair.PSP_BANK), level=3)
        for write in range(1, 12, 3):
            with monkeypatch.context() as patch:
                die_at(patch, write)
                with contextlib.suppress(Killed):
                    bench.state.commit(group)
            stored = bench.state.get(TENANT, group.match_id)
            committed = stored is not None and stored.status is Status.COMMITTED
            still_open = list(bench.state.open_legs(TENANT, Pair.PSP_BANK, "JMD"))
            assert not committed or not still_open
        assert bench.state.commit(group) in (Committed.NOW, Committed.BEFORE)
        assert list(bench.state.open_legs(TENANT, Pair.PSP_BANK, "JMD")) == []
