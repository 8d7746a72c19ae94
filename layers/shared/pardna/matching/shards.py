"""A shard of a run: read the open legs, decide, write the plan, commit it.

**Checkpoint.** What the engine decides is written to the lake once (``plan``), before anything is
committed, and every attempt at the shard commits that plan. So a worker that is killed half-way
repeats without effect, and a shard never mixes two views of its legs.

**Progress and stopping.** Every `STEP` matches the shard's counts are written, and the run's header
is asked whether people want it to stop; then the shard ends where it is, and resuming it goes on.

**Pairs of a shard** run one after the other, because they may share legs: a bank line that a
settlement takes is not offered to transfers as well.
"""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Protocol

from pardna.matching.aliases import applied, as_recorded
from pardna.matching.codec import (
    Finding,
    finding_to_plain,
    leg_from_plain,
    leg_to_plain,
    match_from_plain,
    match_to_plain,
)
from pardna.matching.current_rules import fixed_rules
from pardna.matching.model import Leg, Match, Pair, Status, identities
from pardna.matching.ports import Committed, LegsAndRefusals, RunBook, RunFiles
from pardna.matching.refusals import set_aside
from pardna.matching.rules import Rules
from pardna.runtime.errors import NotFound

#: Left-over legs whose identity is looked up, to tell duplicates of matched legs from missing ones.
LOOKUPS_MAX = 500
#: Matches between two looks at the run's header.
STEP = 500


class Outcome(Protocol):
    """What the engine's `Result` offers here."""

    @property
    def matches(self) -> tuple[Match, ...]: ...
    @property
    def proposals(self) -> tuple[Match, ...]: ...
    @property
    def findings(self) -> tuple[Finding, ...]: ...
    @property
    def waiting(self) -> tuple[Leg, ...]: ...
    @property
    def caps(self) -> dict[str, int]: ...


class MatchLegs(Protocol):
    """The engine: pure, so that a shard can be decided anywhere."""

    def __call__(
        self, left: list[Leg], right: list[Leg], rules: Rules, pair: Pair, reference_date: date, /
    ) -> Outcome:
        """Match the legs of two sides."""
        ...


def plan_key(tenant_id: str, run_id: str, shard: int) -> str:
    """Where a shard's plan lies."""
    return f"runs/{tenant_id}/{run_id}/shard-{shard:05d}.json"


@dataclass(frozen=True, slots=True)
class ShardPlan:
    """What the engine decided for a shard.

    `spoken_for` are legs that the group's next pair must not use; `lake` says that members may
    have no item in the match state yet.
    """

    matches: tuple[Match, ...]
    findings: tuple[dict[str, Any], ...]
    legs_count: int
    waiting_count: int
    caps: Mapping[str, int]
    spoken_for: frozenset[str] = frozenset()
    lake: bool = False

    def to_bytes(self) -> bytes:
        """Canonical JSON, compressed; every leg is written once."""
        legs = {(m.pair.value, x.transaction_id): x for m in self.matches for x in m.members}
        number = {key: place for place, key in enumerate(sorted(legs))}
        plain = {
            "legs": [leg_to_plain(legs[key]) for key in sorted(legs)],
            "matches": [
                match_to_plain(replace(m, members=()))
                | {"members": [number[(m.pair.value, x.transaction_id)] for x in m.members]}
                for m in self.matches
            ],
            "findings": list(self.findings),
            "legs_count": self.legs_count,
            "waiting_count": self.waiting_count,
            "caps": dict(self.caps),
            "spoken_for": sorted(self.spoken_for),
            "lake": self.lake,
        }
        text = json.dumps(plain, sort_keys=True, ensure_ascii=False)
        return gzip.compress(text.encode(), 1, mtime=0)

    @classmethod
    def from_bytes(cls, body: bytes) -> ShardPlan:
        """The inverse of `to_bytes`."""
        plain = json.loads(gzip.decompress(body))
        legs = [leg_from_plain(leg) for leg in plain["legs"]]
        return cls(
            tuple(
                replace(
                    match_from_plain({**m, "members": ()}),
                    members=tuple(legs[place] for place in m["members"]),
                )
                for m in plain["matches"]
            ),
            tuple(plain["findings"]),
            plain["legs_count"],
            plain["waiting_count"],
            plain["caps"],
            frozenset(plain["spoken_for"]),
            bool(plain["lake"]),
        )


def spoken_for_in(body: bytes) -> frozenset[str]:
    """`ShardPlan.spoken_for` of a plan's bytes, without making objects of all the rest."""
    return frozenset(json.loads(gzip.decompress(body))["spoken_for"])


#: Commits matches, many at a time, each of them all or none.
CommitAll = Callable[[Sequence[Match]], list[Committed]]


class PartsOfPairs(Protocol):
    """Decides shards that hold a part of a pair only, and commits what they decide."""

    def decide(
        self, tenant_id: str, run_id: str, defined: Mapping[str, Any], rules: Rules, on: date
    ) -> ShardPlan:
        """Gather or match the shard's legs, and leave the rest in its file."""
        ...

    def committing(self, defined: Mapping[str, Any]) -> AbstractContextManager[CommitAll]:
        """While inside: what commits matches of the shard, whose members the lake may hold."""
        ...


class MatchShard:
    """The use case of the state "Match shard"."""

    def __init__(
        self,
        state: LegsAndRefusals,
        runs: RunBook,
        files: RunFiles,
        engine: MatchLegs,
        parts: PartsOfPairs | None = None,
        step: int = STEP,
    ) -> None:
        self._state = state
        self._runs = runs
        self._files = files
        self._engine = engine
        self._parts = parts
        self._step = step

    def work(self, tenant_id: str, run_id: str, shard: int) -> Mapping[str, int]:
        """Decide, if nobody has, and commit. Returns counts, which are also on the shard's item.

        Raises NotFound for a shard that was never planned, Unavailable when a store is down.
        """
        header = self._runs.get(tenant_id, run_id)
        defined = self._runs.shard(tenant_id, run_id, shard)
        if header is None or defined is None:
            raise NotFound("reconciliation.no_shard", f"run {run_id} has no shard {shard}")
        if defined["status"] == "done" or self._stopping(tenant_id, run_id):
            return dict(defined.get("counts", {}))
        key = plan_key(tenant_id, run_id, shard)
        body = self._files.get(key)
        plan = None
        if body is None:
            on = date.fromisoformat(header["reference_date"])
            rules = fixed_rules(self._files, tenant_id, run_id)
            part = defined.get("phase", "whole") != "whole"
            decide = self._parts.decide if part and self._parts else self.decide
            decided = decide(tenant_id, run_id, defined, rules, on)
            body = decided.to_bytes()
            if self._files.put_once(key, body):
                plan = decided
            else:
                body = self._files.get(key) or body
        made = plan or ShardPlan.from_bytes(body)
        if not (made.lake and made.matches and self._parts):
            return self._commit(tenant_id, run_id, shard, made, self._one_by_one)
        with self._parts.committing(defined) as commit:
            return self._commit(tenant_id, run_id, shard, made, commit)

    def _one_by_one(self, matches: Sequence[Match]) -> list[Committed]:
        return [self._state.commit(match) for match in matches]

    def _stopping(self, tenant_id: str, run_id: str) -> bool:
        return (self._runs.get(tenant_id, run_id) or {}).get("status") == "stopping"

    def decide(
        self, tenant_id: str, run_id: str, defined: Mapping[str, Any], rules: Rules, on: date
    ) -> ShardPlan:
        """What `rules` make of the open legs of a shard; writes nothing."""
        currency = defined["currency"]
        matches: list[Match] = []
        findings: list[Finding] = []
        seen: set[str] = set()
        spoken_for: set[str] = set()
        waiting: dict[str, Leg] = {}
        caps: Counter[str] = Counter()
        for pair in (Pair(p) for p in defined["pairs"]):
            legs = [
                leg
                for leg in self._state.open_legs(tenant_id, pair, currency)
                if leg.transaction_id not in spoken_for
            ]
            seen_legs = applied(legs, rules)
            result = self._engine(
                [leg for leg in seen_legs if leg.is_left],
                [leg for leg in seen_legs if not leg.is_left],
                rules,
                pair,
                on,
            )
            found, refused = set_aside(
                (*result.matches, *result.proposals), self._state.refused(tenant_id, pair)
            )
            told = [f for f in result.findings if not told_elsewhere(f, pair)] + refused
            recorded = {leg.transaction_id: leg for leg in legs} if rules.aliases else {}
            matches += [replace(as_recorded(m, recorded), run_id=run_id) for m in found]
            findings += told
            caps.update(result.caps)
            seen |= {leg.transaction_id for leg in legs}
            spoken_for |= spoken_for_by(found, told)
            waiting |= {leg.transaction_id: leg for leg in result.waiting}
        findings = name_duplicates(self._state, findings, caps)
        return ShardPlan(
            tuple(matches),
            tuple(finding_to_plain(f) for f in findings),
            len(seen),
            len(waiting.keys() - spoken_for),
            dict(caps),
        )

    def _commit(
        self, tenant_id: str, run_id: str, shard: int, plan: ShardPlan, commit: CommitAll
    ) -> Mapping[str, int]:
        counts: Counter[str] = Counter(
            legs=plan.legs_count, waiting=plan.waiting_count, findings=len(plan.findings)
        )
        counts.update({f"cap.{name}": count for name, count in plan.caps.items()})
        for first in range(0, len(plan.matches), self._step):
            if first:
                going = {"status": "matching", "counts": dict(counts), "planned": len(plan.matches)}
                self._runs.put_shard(tenant_id, run_id, shard, going)
                if self._stopping(tenant_id, run_id):
                    return dict(counts)
            some = plan.matches[first : first + self._step]
            for match, outcome in zip(some, commit(some), strict=True):
                if outcome in (Committed.LOST, Committed.REFUSED):
                    counts[outcome.value] += 1
                else:
                    counts[match.status.value] += 1
                    counts[f"{match.status.value}.level_{match.level}"] += 1
        done = {"status": "done", "counts": dict(counts), "planned": len(plan.matches)}
        self._runs.put_shard(tenant_id, run_id, shard, done)
        return dict(counts)


def spoken_for_by(matches: Iterable[Match], findings: Iterable[Finding]) -> set[str]:
    """Legs that a pair has decided: the pairs after it in the group leave them alone."""
    taken = {x.transaction_id for m in matches if m.status is Status.COMMITTED for x in m.members}
    return taken | {x.transaction_id for f in findings for x in f.covered}


def told_elsewhere(finding: Finding, pair: Pair) -> bool:
    """A leg of ours whose rail nobody knows is missing once, not once for each rail."""
    return (
        finding.code == "missing"
        and pair is Pair.INTERNAL_PSP
        and bool(finding.legs[0].exclusive)
        and finding.legs[0].is_left
    )


def name_duplicates(
    state: LegsAndRefusals, findings: list[Finding], caps: Counter[str]
) -> list[Finding]:
    """A leg that seems missing may carry the identity of one that was matched before."""
    named, lookups = [], 0
    for finding in findings:
        leg = finding.legs[0]
        references = identities(leg) if finding.code == "missing" else ()
        if not references:
            named.append(finding)
            continue
        lookups += 1
        if lookups > LOOKUPS_MAX:
            caps["duplicates_not_looked_up"] += 1
            named.append(finding)
            continue
        twins = [
            c
            for c in state.candidates(leg, references[0])
            if c.side is leg.side and c.transaction_id != leg.transaction_id
        ]
        if twins:
            first = references[0]
            finding = replace(  # noqa: PLW2901  (the finding that is told instead)
                finding,
                class_="DUPLICATE",
                code="duplicate",
                value=f"{first.type} {first.value}",
            )
        named.append(finding)
    return named
