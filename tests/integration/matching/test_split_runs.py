"""Runs whose pairs are split: the same result, killed anywhere, stopped, resumed, partial."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from botocore.client import BaseClient

from pardna.matching.controlling import ControlRuns
from pardna.matching.dynamodb_desk import DynamoDesk
from pardna.matching.dynamodb_http import SignedCalls
from pardna.matching.dynamodb_table import MatchTable
from pardna.matching.model import Pair, Status
from pardna.matching.starting import Execution, find_run
from pardna.matching.summary import RunReader
from pardna.runtime.errors import Conflict, InvalidInput, NotFound
from pardna.transactions.model import Counterparty, Transaction
from tests.support.matching import (
    DAY,
    TABLE,
    TENANT,
    bank_line,
    charge,
    contribution,
    payout,
    strong,
    weak,
)
from tests.support.split_runs import REGION, Bench, a_bench

WHOLE = 1_000_000
#: Cards; their settlement, with every bank line of a credit; transfers, without the payout's line.
LEGS_READ = 6 + (3 + 1 + 9) + (3 + 3 + 2 + 3 + 3 + 2)


class Killed(BaseException):
    """The process is gone."""


def a_month(payments: int = 3) -> list[Transaction]:
    """Cards settled in payouts, transfers by identity, by reference, by name, and some breaks."""
    records: list[Transaction] = []
    for n in range(payments):
        po = f"po_{n // 3:02d}"
        records += [contribution(f"c{n}", 1_000 + n), charge(f"c{n}", 1_000 + n, 59, payout=po)]
        end_to_end = strong("end_to_end", f"E2Et{n}")
        ours = contribution(f"t{n}", 2_000 + n, "bank")
        records += [ours, bank_line(f"t{n}", 2_000 + n, end_to_end)]
        ours = contribution(f"r{n}", 3_000 + n, "bank")
        kept = tuple(r for r in ours.references if r.type != "end_to_end")
        reference = weak("payment_reference", f"pdn 7k3q r01 r{n}")
        records += [_with(ours, kept), bank_line(f"r{n}", 3_000 + n, reference)]
    for first in range(0, payments, 3):
        some = range(first, min(first + 3, payments))
        total = sum(1_000 + n - 59 for n in some)
        records += [payout(f"po_{first // 3:02d}", total)]
        records += [bank_line(f"p{first}", total, weak("payout", f"po_{first // 3:02d}"))]
    records.append(bank_line("odd", 9_999, weak("payment_reference", "NOBODY-KNOWS-01")))
    records.append(contribution("late", 5_000, "bank"))
    named = contribution("n", 7_700, "bank", counterparty=Counterparty("Avis Brown"))
    records.append(_with(named, tuple(r for r in named.references if r.type == "rail")))
    records.append(bank_line("n", 7_700, counterparty=Counterparty("AVIS BROWN")))
    return records


def _with(one: Transaction, references: tuple[Any, ...]) -> Transaction:
    from dataclasses import replace

    return replace(one, references=references)


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    """What one shard for each group makes of the month."""
    with a_bench(WHOLE) as bench:
        bench.record(*a_month())
        done = bench.run()
        assert done["outcome"] == "decided"
        assert {s["phase"] for s in bench.runs.shards(TENANT, done["run_id"])} == {"whole"}
        told = bench.told(done["run_id"])
    assert {(pair, level) for pair, level, *_ in told["matches"]} == {
        ("internal~psp", 1), ("internal~bank", 1), ("internal~bank", 2), ("psp~bank", 3),
        ("internal~bank", 4),
    }  # fmt: skip
    return told


def test_split_pairs_come_to_what_whole_pairs_come_to(expected: dict[str, Any]) -> None:
    with a_bench(shard_legs=8) as bench:
        bench.record(*a_month())
        done = bench.run()
        assert bench.told(done["run_id"]) == expected
        shards = bench.runs.shards(TENANT, done["run_id"])
        phases = {"whole", "read", "identity", "reference", "amount", "group"}
        assert {s["phase"] for s in shards} == phases, "six cards are one shard, the others are not"
        assert max(s.get("legs_count", 0) for s in shards) <= 8
        assert sum(s["counts"]["legs"] for s in shards) == LEGS_READ  # fmt: skip
        again = bench.run()
        assert bench.told(again["run_id"]) == expected
        assert len(bench.runs.shards(TENANT, done["run_id"])) == len(shards)
        summary = bench.summary.summarise(TENANT, done["run_id"])
        assert summary["matched_count"] == sum(m[2] == "committed" for m in expected["matches"])
        assert bench.run()["outcome"] == "nothing_new"


def die_at(patch: pytest.MonkeyPatch, write: int) -> list[int]:
    """Let `write` writes to any store pass, then kill the caller."""
    left = [write]
    writes = {"TransactWriteItems", "UpdateItem", "PutItem", "PutObject", "BatchWriteItem"}

    def counting(original: Any) -> Any:
        def counted(self: Any, operation: str, parameters: Any) -> Any:
            if operation in writes:
                if left[0] == 0:
                    raise Killed
                left[0] -= 1
            return original(self, operation, parameters)

        return counted

    patch.setattr(BaseClient, "_make_api_call", counting(BaseClient._make_api_call))
    patch.setattr(SignedCalls, "call", counting(SignedCalls.call))
    return left


def test_killed_again_and_again_at_every_kind_of_write_it_still_comes_to_the_same(
    monkeypatch: pytest.MonkeyPatch, expected: dict[str, Any]
) -> None:
    """A process that dies seventeen writes later than the last time, until it is through."""
    with a_bench(shard_legs=8) as bench:
        bench.record(*a_month())
        deaths = 0
        while True:
            with monkeypatch.context() as patch:
                die_at(patch, 2 + 17 * deaths)
                try:
                    done = bench.run()
                except Killed:
                    deaths += 1
                    continue
            break
        assert deaths > 3
        assert bench.told(done["run_id"]) == expected
        counts = RunReader(bench.runs).show(TENANT, done["run_id"])["progress"]
        assert counts["lost"] == 0
        assert counts["shards"] == {"done": len(bench.runs.shards(TENANT, done["run_id"]))}


class Executions:
    """`starting.StoppableMachine`: names of executions, and which of them are alive."""

    def __init__(self) -> None:
        self.alive: set[str] = set()
        self.started: dict[str, str] = {}

    def start(self, name: str, text: str) -> bool:
        new = name not in self.started
        self.started.setdefault(name, text)
        self.alive |= {name} if new else set()
        return new

    def look(self, name: str) -> Execution | None:
        known = name in self.started
        return Execution("running" if name in self.alive else "aborted") if known else None

    def stop(self, name: str) -> None:
        self.alive.discard(name)


def a_started(bench: Bench) -> tuple[ControlRuns, Executions, str]:
    machine = Executions()
    name = bench.request()["execution"]["execution_id"]
    machine.start(name, "")
    numbers = itertools.count()
    control = ControlRuns(machine, bench.runs, lambda: DAY, lambda: f"{next(numbers):03d}")
    return control, machine, name


def told_of(bench: Bench, name: str) -> list[tuple[str, str]]:
    """Who did what to a run, as its history tells, in order."""
    desk = DynamoDesk(MatchTable(TABLE, REGION), bench.state)
    acts, _ = desk.history(TENANT, f"run:{name}", "", 100)
    assert {a.act_id for a in acts} <= {
        a.act_id for a in desk.history(TENANT, DAY.isoformat()[:7], "", 100)[0]
    }, "the month's history tells it too"
    return [(a.principal, a.verb) for a in acts]


def test_a_run_stops_between_matches_and_resumes_with_the_rest_only(
    expected: dict[str, Any],
) -> None:
    with a_bench(shard_legs=WHOLE, step=2) as bench:
        bench.record(*a_month())
        control, machine, name = a_started(bench)
        plan = bench.planner.plan(TENANT, bench.request())
        commit, committed = bench.state.commit, []

        def stopped_on_the_way(match: Any) -> Any:
            committed.append(match.match_id)
            if len(committed) == 1:
                told = control.control(TENANT, name, "stop", "ann")
                assert told["status"] == "stopping"
                with pytest.raises(Conflict, match="not stopped yet"):
                    control.control(TENANT, name, "resume", "ann")
            return commit(match)

        bench.state.commit = stopped_on_the_way  # type: ignore[method-assign]
        for shard in bench.due(plan):
            bench.worker.work(TENANT, plan["run_id"], shard)
        assert len(committed) == 2, "it is asked after every second match"
        after = bench.planner.plan(TENANT, {**bench.request(), "plan": plan})
        assert after["outcome"] == "stopped"
        machine.alive.clear()
        shown = RunReader(bench.runs).show(TENANT, plan["run_id"])
        assert (shown["status"], shown["stopped_by"]) == ("stopped", "ann")
        assert shown["progress"]["shards"] == {"matching": 1, "planned": 1}
        assert control.control(TENANT, name, "stop", "ann")["status"] == "stopped"

        bench.state.commit = commit  # type: ignore[method-assign]
        for _ in range(2):
            answer = control.control(TENANT, plan["run_id"], "resume", "ben")
            assert (answer["status"], answer["attempt"]) == ("running", 1)
        assert machine.alive == {f"{plan['run_id']}-001"}
        done = bench.run({"tenant_id": TENANT, "run_id": plan["run_id"]})
        assert done["outcome"] == "decided"
        assert bench.told(plan["run_id"]) == expected
        bench.summary.summarise(TENANT, plan["run_id"])
        assert control.control(TENANT, name, "stop", "ann")["status"] == "finished"
        assert control.control(TENANT, name, "resume", "ann")["status"] == "finished"
        assert len(machine.started) == 2
        assert told_of(bench, plan["run_id"]) == [("ann", "stopped"), ("ben", "resumed")]


def test_a_stop_after_the_last_shard_lets_the_run_finish() -> None:
    with a_bench(shard_legs=WHOLE) as bench:
        bench.record(*a_month(1))
        control, _, name = a_started(bench)
        done = bench.run()
        assert control.control(TENANT, name, "stop", "ann")["status"] == "stopping"
        bench.summary.summarise(TENANT, done["run_id"])
        assert control.control(TENANT, name, "stop", "ann")["status"] == "finished"


def test_a_dead_run_can_be_stopped_and_resumed() -> None:
    """Its execution was ended from outside, so nobody is left to heed a wish."""
    with a_bench(shard_legs=WHOLE) as bench:
        control, machine, name = a_started(bench)
        plan = bench.planner.plan(TENANT, bench.request())
        machine.alive.clear()
        assert control.control(TENANT, name, "stop", "ann")["status"] == "stopped"
        assert control.control(TENANT, name, "resume", "ann")["attempt"] == 1
        machine.alive.clear()
        assert control.control(TENANT, plan["run_id"], "resume", "ann")["attempt"] == 2


@pytest.mark.parametrize("action", ["stop", "resume"])
def test_a_wish_and_who_wished_it_are_written_together(
    monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    """Killed before each write: a header that nobody is known to have changed does not exist."""
    with a_bench(shard_legs=WHOLE) as bench:
        control, machine, name = a_started(bench)
        plan = bench.planner.plan(TENANT, bench.request())
        if action == "resume":
            machine.alive.clear()
            control.control(TENANT, name, "stop", "ann")
        before = told_of(bench, plan["run_id"])
        with monkeypatch.context() as patch:
            die_at(patch, 0)
            with pytest.raises(Killed):
                control.control(TENANT, name, action, "ben")
        assert told_of(bench, plan["run_id"]) == before
        for _ in range(2):
            control.control(TENANT, name, action, "ben")
        done = {"stop": "stopped", "resume": "resumed"}[action]
        assert told_of(bench, plan["run_id"]) == [*before, ("ben", done)]


def test_who_controls_what() -> None:
    with a_bench(shard_legs=WHOLE) as bench:
        control, machine, name = a_started(bench)
        assert control.control(TENANT, name, "stop", "ann")["status"] == "aborted", (
            "not planned yet"
        )
        with pytest.raises(InvalidInput, match="stop or resume"):
            control.control(TENANT, name, "explode", "ann")
        plan = bench.planner.plan(TENANT, bench.request())
        assert find_run(machine, bench.runs, TENANT, name) == plan["run_id"]
        assert told_of(bench, name) == [("ann", "stopped")], "once, though nothing was planned"
        for tenant, unknown in (("mby-two", name), ("mby-two", plan["run_id"]), (TENANT, "r_0")):
            with pytest.raises(NotFound):
                control.control(tenant, unknown, "stop", "eve")


def test_a_shard_that_does_not_finish_leaves_a_partial_run_that_names_it(
    expected: dict[str, Any],
) -> None:
    with a_bench(shard_legs=8) as bench:
        bench.record(*a_month())
        waves = bench.waves(bench.request())
        next(waves), next(waves)
        plan = bench.planner.plan(TENANT, {"run_id": next(waves)["run_id"]})
        *most, unlucky = bench.due(plan)
        for shard in most:
            bench.worker.work(TENANT, plan["run_id"], shard)
        ended = bench.planner.plan(TENANT, {"plan": plan})
        assert ended["outcome"] == "partial"
        assert bench.summary.summarise(TENANT, plan["run_id"])["outcome"] == "partial"
        header = bench.runs.get(TENANT, plan["run_id"])
        assert header is not None
        assert (header["status"], header["unfinished_shards"]) == ("partial", [unlucky])

        control, machine, _ = a_started(bench)
        machine.alive.clear()
        assert control.control(TENANT, plan["run_id"], "resume", "ann")["status"] == "running"
        resumed = bench.planner.plan(TENANT, {"run_id": plan["run_id"]})
        assert bench.due(resumed) == [unlucky]
        bench.run({"run_id": plan["run_id"]})
        assert bench.told(plan["run_id"]) == expected


def test_a_late_version_reopens_its_match_and_nothing_else() -> None:
    with a_bench(shard_legs=8) as bench:
        bench.record(*a_month(3))
        done = bench.run()
        before = set(bench.state.of_status(TENANT, Status.COMMITTED))
        bench.summary.summarise(TENANT, done["run_id"])
        bench.record(bank_line("t0", 1_999, strong("end_to_end", "E2Et0")), version=2)

        late = bench.run(bench.request("j"))
        assert late["run_id"] != done["run_id"]
        after = set(bench.state.of_status(TENANT, Status.COMMITTED))
        assert after < before
        assert len(before - after) == 1
        found = bench.told(late["run_id"])["findings"]
        assert ("AMOUNT_MISMATCH", "amounts_differ", ("con_t0", "line_t0")) in found
        assert not list(bench.state.open_legs(TENANT, Pair.INTERNAL_PSP, "JMD"))
