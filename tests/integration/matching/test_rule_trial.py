"""Trying rules: the real engine, a run in a match table, and nothing written to match state."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest

from pardna.matching.current_rules import fix_rules
from pardna.matching.dynamodb_runs import DynamoRunBook
from pardna.matching.dynamodb_table import MatchTable
from pardna.matching.engine import match as engine
from pardna.matching.rule_trial import RuleTrials, TrialRequest, TryRules
from pardna.matching.shards import MatchShard
from pardna.matching.starting import Execution
from pardna.runtime.errors import Conflict, InvalidInput, NotFound
from tests.support.matching import (
    DAY,
    TABLE,
    TENANT,
    bank_line,
    contribution,
    legs,
    match_table,
    weak,
)
from tests.support.people import Office, by

RUN = "r_" + "1" * 32
TOLERANT = json.dumps({"pairs": [{"pair": "internal~bank", "tolerance_minor": 5}]})
STRICT = json.dumps({"pairs": [{"pair": "internal~bank"}]})


@dataclass
class Shelf:
    """The lake in memory."""

    kept: dict[str, bytes] = field(default_factory=dict)

    def put_once(self, key: str, body: bytes) -> bool:
        return self.kept.setdefault(key, body) is body

    def get(self, key: str) -> bytes | None:
        return self.kept.get(key)


@dataclass
class Machine:
    """A machine that is told what to try."""

    started: list[str] = field(default_factory=list)

    def start(self, name: str, text: str) -> bool:
        assert json.loads(text) == {"tenant_id": TENANT, "trial_id": name}
        self.started.append(name)
        return True

    def look(self, name: str) -> Execution | None:
        return Execution("running") if name in self.started else None


class Trials:
    """Everything that a trial needs."""

    def __init__(self) -> None:
        self.office, self.shelf, self.machine = Office(TABLE), Shelf(), Machine()
        self.runs = DynamoRunBook(MatchTable(TABLE, "us-east-1"))
        self.trials = RuleTrials(self.shelf, self.runs, self.runs, self.machine, lambda: DAY)
        state = self.office.state
        self.work = TryRules(state, self.runs, self.shelf, self.office.current, engine)
        self.shard = MatchShard(state, self.runs, self.shelf, engine)

    def run(self) -> None:
        """A run with one shard, that has matched what it could."""
        header = {"run_id": RUN, "status": "running", "reference_date": "2026-03-12"}
        self.runs.begin(TENANT, RUN, header)
        shard = {"pairs": ["psp~bank", "internal~bank"], "currency": "JMD", "status": "planned"}
        self.runs.put_shard(TENANT, RUN, 0, shard)
        fix_rules(self.shelf, TENANT, RUN, self.office.current.of(TENANT))
        self.shard.work(TENANT, RUN, 0)

    def difference(self, rules: str, **more: Any) -> dict[str, Any]:
        """What a trial says."""
        number = len(self.machine.started)
        request = TrialRequest(rules, **more)
        started = self.trials.start(by("ann", f"t{number}", number), request)
        assert self.trials.show(TENANT, started["trial_id"])["status"] == "running"
        self.work.work(TENANT, started["trial_id"])
        return self.trials.show(TENANT, started["trial_id"])


@pytest.fixture
def trials() -> Iterator[Trials]:
    with match_table():
        made = Trials()
        for number, theirs in ((1, 1_000), (2, 1_003)):
            ours = contribution(number, 1_000, "bank")
            reference = weak("payment_reference", f"PDN-7K3Q-R01-{number}")
            line = bank_line(number, theirs, reference)
            made.office.record(*legs(ours))
            made.office.record(*legs(line))
        made.run()
        yield made


def everything() -> list[Any]:
    table = boto3.client("dynamodb", region_name="us-east-1")
    return sorted(json.dumps(i, sort_keys=True) for i in table.scan(TableName=TABLE)["Items"])


def test_a_looser_rule_gains_a_match_and_loses_breaks_and_writes_nothing(trials: Trials) -> None:
    before = everything()
    told = trials.difference(TOLERANT)
    assert told["status"] == "finished"
    assert told["matches_gained"] == {"level 2 committed": 1}
    assert told["matches_lost"] == told["matches_changed"] == {}
    assert sum(told["breaks_lost"].values()) >= 1
    assert told["breaks_gained"] == {}
    [example] = told["examples"]["matches_gained"]
    assert (abs(example["variance_minor"]), example["pair"]) == (3, "internal~bank")
    assert told["rules_hash_before"] != told["rules_hash_after"]
    assert everything() == before


def test_the_same_rules_change_nothing(trials: Trials) -> None:
    told = trials.difference(STRICT, matched_too=True)
    assert told["legs_count"] > trials.difference(STRICT)["legs_count"], "past matches, too"
    for name in ("matches_gained", "matches_lost", "matches_changed", "breaks_gained", "breaks_lost"):  # fmt: skip
        assert told[name] == {}, name


def test_a_stricter_rule_loses_a_past_match(trials: Trials) -> None:
    narrow = {"pair": "internal~bank", "rule_window": {"before": 0, "after": 0}, "soft_types": ["none"]}  # fmt: skip
    told = trials.difference(json.dumps({"pairs": [narrow]}), matched_too=True)
    assert sum(told["matches_lost"].values()) + sum(told["matches_changed"].values()) == 1


def test_a_trial_that_cannot_be_is_refused(trials: Trials) -> None:
    with pytest.raises(InvalidInput, match=r"pairs\.0\.tolerance_bp"):
        trials.trials.start(by("ann", "1"), TrialRequest('{"pairs": [{"pair": "psp~bank", "tolerance_bp": -1}]}'))  # fmt: skip
    with pytest.raises(NotFound, match=r"no such run"):
        trials.trials.start(by("ann", "2"), TrialRequest(STRICT, "r_" + "9" * 32))
    with pytest.raises(NotFound):
        trials.trials.start(by("eve", "3", tenant_id="other"), TrialRequest(STRICT, RUN))
    started = trials.trials.start(by("ann", "4", "a"), TrialRequest(STRICT))
    assert trials.trials.start(by("ann", "4", "a"), TrialRequest(STRICT)) == started
    with pytest.raises(Conflict, match=r"key_reused"):
        trials.trials.start(by("ann", "4", "b"), TrialRequest(TOLERANT))
    for tenant, name in (("other", started["trial_id"]), (TENANT, RUN), (TENANT, "t_nothing")):
        with pytest.raises(NotFound):
            trials.trials.show(tenant, name)
