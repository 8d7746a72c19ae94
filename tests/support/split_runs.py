"""A reconciliation whose pairs are split, driven in one process on moto: plan, work, plan again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import boto3
from moto import mock_aws

from benchmarks.matching.memory_table import MemoryTable, serving
from pardna.matching.dynamodb_groups import GroupCommits
from pardna.matching.dynamodb_runs import DynamoRunBook
from pardna.matching.dynamodb_split import ClaimingTable, DynamoSplitState
from pardna.matching.engine import match
from pardna.matching.lake_legs import S3LakeLegs
from pardna.matching.model import Status
from pardna.matching.planning import PlanRun
from pardna.matching.rules import Rules, default_rules
from pardna.matching.s3 import S3RunFiles
from pardna.matching.shards import MatchShard, ShardPlan, plan_key
from pardna.matching.split_shards import SplitShards
from pardna.matching.summary import RunSummary
from tests.support.matching import DAY, TABLE, TENANT, legs

REGION = "us-east-1"


@dataclass
class Bench:
    """One tenant's match table and lake, and what works on them; `shard_legs` as the setting."""

    shard_legs: int
    table: MemoryTable
    step: int = 5
    rules: Rules = field(default_factory=default_rules)
    group_max: int = 4
    on: str = "2026-03-20"

    def __post_init__(self) -> None:
        self.s3 = boto3.client("s3", region_name=REGION)
        claiming, ids = ClaimingTable(TABLE, REGION), count()
        groups = GroupCommits(claiming, lambda: DAY, lambda: f"t{next(ids)}", self.group_max)
        self.state = DynamoSplitState(claiming, groups, lambda: DAY)
        self.runs = DynamoRunBook(claiming)
        self.files = S3RunFiles(self.s3, "lake")
        self.lake = S3LakeLegs(self.s3, "lake", self.files)
        self.planner = PlanRun(
            self.runs, self.files, self.state, self.lake, lambda _: self.rules, lambda: DAY,
            self.shard_legs,
        )  # fmt: skip
        parts = SplitShards(self.state, self.files, self.lake)
        self.worker = MatchShard(self.state, self.runs, self.files, match, parts, self.step)
        self.summary = RunSummary(self.runs, lambda: DAY)

    def record(self, *transactions: Any, version: int = 1) -> None:
        """Legs as the stream brings them, without matching them."""
        for one in transactions:
            self.state.record(legs(one, version=version))

    def request(self, inputs: str = "i") -> dict[str, Any]:
        """What the machine has gathered before it plans."""
        return {
            "tenant_id": TENANT,
            "execution": {"execution_id": f"{TENANT}-{'0' * 32}"},
            "completeness": {
                "reference_date": self.on, "window_days": 45, "inputs_hash": inputs,
                "currencies": ["JMD"], "transactions_count": 0, "projected_count": 0,
            },
        }  # fmt: skip

    def waves(self, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Plan a wave, yield it, work on it, and so on; ends with the plan that is none."""
        state = dict(request)
        while True:
            state["plan"] = self.planner.plan(TENANT, state)
            yield state["plan"]
            if state["plan"]["outcome"] != "planned":
                return
            for shard in self.due(state["plan"]):
                self.worker.work(TENANT, state["plan"]["run_id"], shard)

    def due(self, plan: dict[str, Any]) -> list[int]:
        """The shards that the manifest names."""
        import json

        return [one["shard"] for one in json.loads(self.files.get(plan["manifest_key"]) or b"[]")]

    def run(self, request: dict[str, Any] | None = None) -> dict[str, Any]:
        """Until nothing is planned any more; the last plan."""
        return list(self.waves(request or self.request()))[-1]

    def told(self, run_id: str) -> dict[str, Any]:
        """What a run came to: matches that stand, findings, legs still open."""
        matches = []
        for status in (Status.COMMITTED, Status.PROPOSED):
            for match_id in self.state.of_status(TENANT, status):
                stored = self.state.get(TENANT, match_id)
                assert stored is not None
                members = tuple(sorted(m.external_id for m in stored.members))
                matches.append((stored.pair.value, stored.level, status.value, members))
        findings: list[tuple[Any, ...]] = []
        for shard in self.runs.shards(TENANT, run_id):
            body = self.files.get(plan_key(TENANT, run_id, int(shard["shard"])))
            findings.extend(
                (f["class_"], f["code"], tuple(x["external_id"] for x in f["legs"]))
                for f in (ShardPlan.from_bytes(body).findings if body else ())
            )
        return {"matches": sorted(matches), "findings": sorted(findings)}


#: moto copies a table for every transaction; the table in memory does not, and keeps the contract.
APART: Any = {"core": {"passthrough": {"urls": [], "services": ["dynamodb"]}}}


@contextmanager
def a_bench(
    shard_legs: int, made: Callable[[str], MemoryTable] = MemoryTable, **more: Any
) -> Iterator[Bench]:
    """A bench on AWS of its own, with a table that `made` makes."""
    with mock_aws(config=APART), serving(made(TABLE)) as table:
        boto3.client("s3", region_name=REGION).create_bucket(Bucket="lake")
        yield Bench(shard_legs, table, **more)
