"""Large deliveries: matched straight from Parquet, DynamoDB arbitrates and keeps what stays open."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from benchmarks.matching import backfill
from pardna.matching.dynamodb import DynamoMatchState
from pardna.matching.legs_file import to_bytes
from pardna.matching.legs_wire import FileTexts
from pardna.matching.model import Match, Pair, Status
from pardna.matching.ports import Committed, LakePart, LegState, LegTexts
from pardna.matching.rules import Alias, default_rules
from pardna.runtime import keys
from pardna.transactions.lake import part_key
from pardna.transactions.model import Counterparty, Transaction, to_dict
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


def card_matches(*numbers: int) -> list[Match]:
    """Charges with their contributions, one of each payment."""
    both = [legs(contribution(n, 500), charge(n, 500), pair=Pair.INTERNAL_PSP) for n in numbers]
    return [a_match(*pair) for pair in both]


def test_many_at_a_time_write_what_one_at_a_time_writes() -> None:
    ours, line = contribution("b", 500, "bank"), bank_line("b", 500)
    proposal = a_match(*card_matches(99)[0].members, level=4, status=Status.PROPOSED)
    matches = [
        *card_matches(*range(40)), proposal, a_match(*legs(ours, line, pair=Pair.INTERNAL_BANK))
    ]  # fmt: skip
    stored = []
    for together in ("as read", "as rendered now", ""):
        with a_bench(shard_legs=1_000_000) as bench:
            if together:
                calls = bench.table.counts["calls"]
                texts = texts_of(matches) if together == "as read" else {}
                assert bench.state.commit_all(matches, texts) == [Committed.NOW] * len(matches)
                assert bench.table.counts["calls"] - calls <= 4
            else:
                assert [bench.state.commit(m) for m in matches] == [Committed.NOW] * len(matches)
            stored.append(bench.table.partitions)
    assert stored[0] == stored[1] == stored[2]


def texts_of(matches: Sequence[Match]) -> LegTexts:
    """What a file of their members says, of all but the last."""
    members = {x.transaction_id: x for m in matches[:-1] for x in m.members}
    with FileTexts(to_bytes(members.values())) as file:
        return file.of(members)


def test_of_many_at_a_time_only_those_fail_that_must() -> None:
    with a_bench(shard_legs=1_000_000) as bench:
        first, before, taken, refused, large, *free = card_matches(*range(30))
        assert bench.state.commit(before) is Committed.NOW
        rival = a_match(taken.members[0], *legs(charge("rival", 500)))
        assert bench.state.commit(rival) is Committed.NOW
        refuse(bench, refused)
        large = a_settled_match(8)
        twice = a_match(first.members[0], *legs(charge("again", 500)))
        matches = [first, before, taken, refused, large, twice, *free]
        expected = [
            Committed.NOW, Committed.BEFORE, Committed.LOST, Committed.REFUSED, Committed.NOW,
            Committed.LOST, *[Committed.NOW] * len(free),
        ]  # fmt: skip
        assert bench.state.commit_all(matches, {}) == expected
        again = [Committed.BEFORE if one is Committed.NOW else one for one in expected]
        assert bench.state.commit_all(matches, {}) == again


def a_settled_match(charges: int) -> Match:
    """A group that is larger than the bench's transactions."""
    records = [charge(f"s{n}", 100, fee=3, payout="po_9") for n in range(charges)]
    records += [payout("po_9", 97 * charges), bank_line("s", 97 * charges)]
    return a_match(*legs(*records, pair=Pair.PSP_BANK), level=3)


def refuse(bench: Bench, match: Match) -> None:
    """As if a person had said that these legs are not the same money."""
    assert bench.state.commit(match) is Committed.NOW
    assert bench.state.unmatch(TENANT, match.match_id, "by hand")
    head = keys.match(TENANT, match.match_id)
    bench.table.partitions[head[0]][head[1]]["refused_by"] = {"S": "ann"}


def test_rows_that_stay_open_are_recorded_unless_somebody_was_first() -> None:
    with a_bench(shard_legs=1_000_000) as bench:
        newer, line = charge(1, 400), bank_line(1, 500)
        bench.record(newer, version=2)
        [match] = [a_match(*legs(contribution("x", 500, "bank"), line, pair=Pair.INTERNAL_BANK))]
        assert bench.state.commit(match) is Committed.NOW
        groups = [legs(charge(n, 500)) for n in range(60)] + [legs(line)]
        for _ in range(2):
            bench.state.record_all(groups, {})
            left = {x.external_id: x.version for x in bench.state.open_legs(TENANT, Pair.INTERNAL_PSP, "JMD")}  # fmt: skip
            assert left == {f"txn_{n}": 2 if n == 1 else 1 for n in range(60)}
            assert not list(bench.state.open_legs(TENANT, Pair.PSP_BANK, "JMD"))
        [twin] = bench.state.candidates(legs(charge(7, 1))[0], strong("contribution", "con_7"))
        assert twin.external_id == "txn_7"


@pytest.mark.parametrize("steps", [3, 7])
def test_a_large_delivery_killed_again_and_again_comes_to_the_same(
    monkeypatch: Any, steps: int
) -> None:
    from tests.integration.matching.test_split_runs import Killed, die_at

    rows = [*(contribution(n, 1_000) for n in range(40)), *a_file(1, 40)]
    rows.append(bank_line(1, 39 * 950, weak("payout", "po_1")))
    told, deaths = [], 0
    for kills in (False, True):
        with a_bench(shard_legs=30, step=10) as bench:
            delivered(bench, "a", rows, rows=25)
            while True:
                with monkeypatch.context() as patch:
                    if kills:
                        die_at(patch, 2 + steps * deaths)
                    try:
                        done = bench.run()
                    except Killed:
                        deaths += 1
                        continue
                break
            assert bench.lake.pending(TENANT) == []
            left = sorted(
                (p, x.external_id) for p in Pair for x in bench.state.open_legs(TENANT, p, "JMD")
            )
            told.append((bench.told(done["run_id"]), left))
    assert deaths > 3
    assert told[0] == told[1]
    assert len(told[0][0]["matches"]) == 40


def test_ten_thousand_rows_are_few_calls() -> None:
    """As the benchmark measures it, for its time."""
    found = backfill.measure(10_000)
    assert found["legs_left_open"] == 49, "one contribution in a hundred never came"
    assert found["matches"] == (found["rows"] - 49) / 2
    assert found["calls_per_row"] < 0.25


@pytest.mark.parametrize("where", ["lake", "items"])
@pytest.mark.parametrize("shard_legs", [1_000_000, 2], ids=["whole", "cut"])
def test_an_alias_decides_and_is_not_kept(where: str, shard_legs: int) -> None:
    """What a person taught joins the legs; their items go on saying what their records say."""
    aliases = (
        Alias("reference", "ACME JA LTD 2026", "PDN-7K3Q-R01-4"),
        Alias("name", "A. Brown Esq.", "Avis Brown"),
    )
    brown = Counterparty("a brown ESQ")
    line = bank_line(4, 10_000, weak("payment_reference", "Acme JA Ltd 2026"), counterparty=brown)
    records = [contribution(4, 10_000, "bank"), line]
    records += [contribution(n, n, "bank") for n in (6, 7, 8)]
    with a_bench(shard_legs, rules=replace(default_rules(), aliases=aliases)) as bench:
        if where == "lake":
            delivered(bench, "a", records)
        else:
            bench.record(*records)
        told = bench.told(bench.run()["run_id"])
        assert [m[:3] for m in told["matches"]] == [("internal~bank", 2, "committed")]
        for leg in legs(line):
            key = keys.leg(TENANT, leg.pair.value, leg.transaction_id)
            item = bench.table.item({"pk": {"S": key[0]}, "sk": {"S": key[1]}})
            assert item is not None
            said = json.loads(item["body"]["S"])
            assert said["references"] == [["payment_reference", "Acme JA Ltd 2026", "weak"]]
            assert said["name"] == "a brown ESQ"
        [match_id] = bench.state.of_status(TENANT, Status.COMMITTED)
        bench.state.unmatch(TENANT, match_id, "the alias was wrong")
        [open_again] = [x for x in bench.state.open_legs(TENANT, Pair.INTERNAL_BANK, "JMD") if x.external_id == "line_4"]  # fmt: skip
        assert (open_again.name, len(open_again.references)) == ("a brown ESQ", 1)
