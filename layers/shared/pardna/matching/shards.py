"""A shard of a run: read the open legs, decide, write the plan, commit it.

**Checkpoint.** What the engine decides is written to the lake once (``plan``), before anything is
committed, and every attempt at the shard commits that plan. So a worker that is killed half-way
repeats without effect, and a shard never mixes two views of its legs.

**Pairs of a shard** run one after the other, because they may share legs: a bank line that a
settlement takes is not offered to transfers as well.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Protocol

from pardna.matching.aliases import applied
from pardna.matching.codec import (
    Finding,
    finding_to_plain,
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
    """What the engine decided for a shard."""

    matches: tuple[Match, ...]
    findings: tuple[dict[str, Any], ...]
    legs_count: int
    waiting_count: int
    caps: Mapping[str, int]

    def to_bytes(self) -> bytes:
        """Canonical JSON."""
        plain = {
            "matches": [match_to_plain(m) for m in self.matches],
            "findings": list(self.findings),
            "legs_count": self.legs_count,
            "waiting_count": self.waiting_count,
            "caps": dict(self.caps),
        }
        return json.dumps(plain, sort_keys=True, ensure_ascii=False).encode()

    @classmethod
    def from_bytes(cls, body: bytes) -> ShardPlan:
        """The inverse of `to_bytes`."""
        plain = json.loads(body)
        return cls(
            tuple(match_from_plain(m) for m in plain["matches"]),
            tuple(plain["findings"]),
            plain["legs_count"],
            plain["waiting_count"],
            plain["caps"],
        )


class MatchShard:
    """The use case of the state "Match shard"."""

    def __init__(
        self, state: LegsAndRefusals, runs: RunBook, files: RunFiles, engine: MatchLegs
    ) -> None:
        self._state = state
        self._runs = runs
        self._files = files
        self._engine = engine

    def work(self, tenant_id: str, run_id: str, shard: int) -> Mapping[str, int]:
        """Decide, if nobody has, and commit. Returns counts, which are also on the shard's item.

        Raises NotFound for a shard that was never planned, Unavailable when a store is down.
        """
        header = self._runs.get(tenant_id, run_id)
        defined = {int(s["shard"]): s for s in self._runs.shards(tenant_id, run_id)}.get(shard)
        if header is None or defined is None:
            raise NotFound("reconciliation.no_shard", f"run {run_id} has no shard {shard}")
        key = plan_key(tenant_id, run_id, shard)
        body = self._files.get(key)
        if body is None:
            on = date.fromisoformat(header["reference_date"])
            rules = fixed_rules(self._files, tenant_id, run_id)
            made = self.decide(tenant_id, run_id, defined, rules, on).to_bytes()
            body = made if self._files.put_once(key, made) else self._files.get(key) or made
        plan = ShardPlan.from_bytes(body)
        counts = self._commit(plan)
        self._runs.put_shard(tenant_id, run_id, shard, {"status": "done", "counts": counts})
        return counts

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
            told = [f for f in result.findings if not _told_elsewhere(f, pair)] + refused
            matches += [replace(m, run_id=run_id) for m in found]
            findings += told
            caps.update(result.caps)
            seen |= {leg.transaction_id for leg in legs}
            spoken_for |= {
                leg.transaction_id
                for m in found
                if m.status is Status.COMMITTED
                for leg in m.members
            }
            spoken_for |= {leg.transaction_id for f in told for leg in f.covered}
            waiting |= {leg.transaction_id: leg for leg in result.waiting}
        findings = self._name_duplicates(findings, caps)
        return ShardPlan(
            tuple(matches),
            tuple(finding_to_plain(f) for f in findings),
            len(seen),
            len(waiting.keys() - spoken_for),
            dict(caps),
        )

    def _name_duplicates(self, findings: list[Finding], caps: Counter[str]) -> list[Finding]:
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
                for c in self._state.candidates(leg, references[0])
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

    def _commit(self, plan: ShardPlan) -> dict[str, int]:
        counts: Counter[str] = Counter(
            legs=plan.legs_count, waiting=plan.waiting_count, findings=len(plan.findings)
        )
        counts.update({f"cap.{name}": count for name, count in plan.caps.items()})
        for match in plan.matches:
            outcome = self._state.commit(match)
            kind = match.status.value
            if outcome in (Committed.LOST, Committed.REFUSED):
                counts[outcome.value] += 1
            else:
                counts[kind] += 1
                counts[f"{kind}.level_{match.level}"] += 1
        return dict(counts)


def _told_elsewhere(finding: Finding, pair: Pair) -> bool:
    """A leg of ours whose rail nobody knows is missing once, not once for each rail."""
    return (
        finding.code == "missing"
        and pair is Pair.INTERNAL_PSP
        and bool(finding.legs[0].exclusive)
        and finding.legs[0].is_left
    )
