"""Trying rules before they hold: the same legs decided under today's rules and under others.

Both are pure, so that what differs is what the change does, and nothing is written to match state.
The legs are those that are open now and, on request, those that a run has matched: these are decided
anew under both, as if they were open.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import product
from typing import Any, Protocol

from pardna.matching.acts import Asked
from pardna.matching.breaks import break_of_finding
from pardna.matching.codec import finding_from_plain
from pardna.matching.current_rules import CurrentRules
from pardna.matching.model import Break, Leg, Match, Pair
from pardna.matching.ports import Committed, LegsAndRefusals, LegState, RunBook, RunFiles
from pardna.matching.rules import Rules
from pardna.matching.runs import GROUPS
from pardna.matching.shards import MatchLegs, MatchShard, ShardPlan, plan_key
from pardna.matching.starting import Machine
from pardna.matching.tenant_rules import from_plain, read, to_plain
from pardna.runtime.clock import Clock, iso
from pardna.runtime.errors import Conflict, InvalidInput, NotFound, TooLarge
from pardna.transactions.model import Reference

#: Legs of one trial; the engine holds them in memory, twice.
LEGS_MAX = 300_000
#: Examples of each kind of difference; the counts are of all.
EXAMPLES_MAX = 50


class LatestRun(Protocol):
    """Which run was planned last."""

    def latest(self, tenant_id: str) -> str:
        """Its id; "" when there is none."""
        ...


@dataclass(frozen=True, slots=True)
class TrialRequest:
    """Rules to try (JSON), on what is open now or also on what `run_id` matched."""

    rules: str
    run_id: str = ""
    matched_too: bool = False


class RuleTrials:
    """Starts trials and shows what came of them."""

    def __init__(
        self, files: RunFiles, runs: RunBook, latest: LatestRun, machine: Machine, clock: Clock
    ) -> None:
        self._files = files
        self._runs = runs
        self._latest = latest
        self._machine = machine
        self._clock = clock

    def start(self, by: Asked, request: TrialRequest) -> dict[str, str]:
        """Start a trial; the same request again finds it. Raises InvalidInput naming fields, NotFound
        without a run, Conflict for a key that was used for another trial."""
        rules = read(request.rules, 0)
        run_id = request.run_id or self._latest.latest(by.tenant_id)
        if not run_id or self._runs.get(by.tenant_id, run_id) is None:
            raise NotFound(
                "trial.no_run", "there is no such run here; start a reconciliation first"
            )
        text = "\x1f".join((by.tenant_id, by.principal, by.key))
        identifier = "t_" + hashlib.sha256(text.encode()).hexdigest()[:32]
        body = {
            "rules": to_plain(rules),
            "run_id": run_id,
            "matched_too": request.matched_too,
            "requested_by": by.principal,
            "request_hash": by.request_hash,
        }
        key = _key(by.tenant_id, identifier, "request")
        told = json.dumps(body | {"requested_at": iso(self._clock())}, sort_keys=True).encode()
        if not self._files.put_once(key, told):
            before = json.loads(self._files.get(key) or b"{}")
            if before.get("request_hash") != by.request_hash:
                raise Conflict(
                    "request.key_reused", "this Idempotency-Key was used for another trial"
                )
        document = json.dumps({"tenant_id": by.tenant_id, "trial_id": identifier})
        self._machine.start(identifier, document)
        return {"trial_id": identifier, "status": "started"}

    def show(self, tenant_id: str, identifier: str) -> dict[str, Any]:
        """What a trial came to, or how it stands. Raises NotFound."""
        if not identifier.startswith("t_"):
            raise NotFound("trial.not_found", "there is no such trial here")
        body = self._files.get(_key(tenant_id, identifier, "result"))
        if body is not None:
            found: dict[str, Any] = json.loads(body)
            return found | {"trial_id": identifier, "status": "finished"}
        if self._files.get(_key(tenant_id, identifier, "request")) is None:
            raise NotFound("trial.not_found", "there is no such trial here")
        execution = self._machine.look(identifier)
        return {"trial_id": identifier, "status": execution.status if execution else "starting"}


class TryRules:
    """The use case of the state "Try rules"; loads the engine."""

    def __init__(
        self,
        state: LegsAndRefusals,
        runs: RunBook,
        files: RunFiles,
        current: CurrentRules,
        engine: MatchLegs,
    ) -> None:
        self._state = state
        self._runs = runs
        self._files = files
        self._current = current
        self._engine = engine

    def work(self, tenant_id: str, identifier: str) -> dict[str, Any]:
        """Decide twice and write down what differs; repeatable. Raises NotFound, TooLarge."""
        body = self._files.get(_key(tenant_id, identifier, "request"))
        if body is None:
            raise NotFound("trial.not_found", "there is no such trial")
        request = json.loads(body)
        run_id = str(request["run_id"])
        header = self._runs.get(tenant_id, run_id)
        if header is None:
            raise NotFound("trial.no_run", "there is no such run")
        on = date.fromisoformat(str(header["reference_date"]))
        before = self._current.of(tenant_id)
        after = self._current.with_aliases(tenant_id, from_plain(request["rules"]))
        told = Difference()
        shards = self._runs.shards(tenant_id, run_id)
        past = self._matched(tenant_id, run_id, shards) if request["matched_too"] else []
        currencies = sorted({str(s["currency"]) for s in shards if s["currency"]})
        for currency, group in product(currencies, GROUPS):
            defined = {"pairs": [p.value for p in group], "currency": currency}
            legs = self._legs(tenant_id, group, currency, past)
            told.legs_count += len(legs)
            if told.legs_count > LEGS_MAX:
                raise TooLarge("trial.too_large", f"a trial takes at most {LEGS_MAX} legs")
            shard = MatchShard(_Pool(self._state, legs), self._runs, self._files, self._engine)
            told.add(
                shard.decide(tenant_id, run_id, defined, before, on),
                shard.decide(tenant_id, run_id, defined, after, on),
                (before, after),
                on,
            )
        result = told.plain() | {"run_id": run_id, "rules_hash_before": before.rules_hash, "rules_hash_after": after.rules_hash}  # fmt: skip
        key = _key(tenant_id, identifier, "result")
        self._files.put_once(key, json.dumps(result, sort_keys=True, ensure_ascii=False).encode())
        return {"outcome": "tried", "legs_count": told.legs_count}

    def _legs(
        self, tenant_id: str, pairs: Sequence[Pair], currency: str, past: Sequence[Leg]
    ) -> list[Leg]:
        found: dict[tuple[Pair, str], Leg] = {}
        for pair in pairs:
            for leg in self._state.open_legs(tenant_id, pair, currency):
                found[(pair, leg.transaction_id)] = leg
                if len(found) > LEGS_MAX:
                    raise TooLarge("trial.too_large", f"a trial takes at most {LEGS_MAX} legs")
        for leg in past:
            if leg.pair in pairs and leg.currency == currency:
                found.setdefault((leg.pair, leg.transaction_id), leg)
        return list(found.values())

    def _matched(
        self, tenant_id: str, run_id: str, shards: Sequence[Mapping[str, Any]]
    ) -> list[Leg]:
        """The legs that the run matched, as it saw them."""
        found: list[Leg] = []
        for shard in shards:
            body = self._files.get(plan_key(tenant_id, run_id, int(shard["shard"])))
            if body is not None:
                found += [leg for m in ShardPlan.from_bytes(body).matches for leg in m.members]
            if len(found) > LEGS_MAX:
                raise TooLarge("trial.too_large", f"a trial takes at most {LEGS_MAX} legs")
        return found


class _Pool:
    """Legs as if they were open, and nothing that could be written."""

    def __init__(self, state: LegsAndRefusals, legs: Sequence[Leg]) -> None:
        self._state = state
        self._pool = legs

    def open_legs(self, tenant_id: str, pair: Pair, currency: str) -> Iterator[Leg]:  # noqa: ARG002
        """Those of the pool."""
        return iter([leg for leg in self._pool if (leg.pair, leg.currency) == (pair, currency)])

    def candidates(self, leg: Leg, reference: Reference) -> list[Leg]:
        """As they are."""
        return self._state.candidates(leg, reference)

    def refused(self, tenant_id: str, pair: Pair) -> frozenset[str]:
        """As they are."""
        return self._state.refused(tenant_id, pair)

    def record(self, legs: Sequence[Leg]) -> dict[Pair, LegState]:  # noqa: ARG002
        """Never: a trial writes nothing."""
        raise InvalidInput("trial.writes", "a trial writes nothing")

    def commit(self, match: Match) -> Committed:  # noqa: ARG002
        """Never: a trial writes nothing."""
        raise InvalidInput("trial.writes", "a trial writes nothing")

    def unmatch(self, tenant_id: str, match_id: str, reason: str) -> bool:  # noqa: ARG002
        """Never: a trial writes nothing."""
        raise InvalidInput("trial.writes", "a trial writes nothing")


class Difference:
    """What other rules make of the same legs, counted, with some examples."""

    def __init__(self) -> None:
        self.legs_count = 0
        self._counts: dict[str, Counter[str]] = {}
        self._examples: dict[str, list[dict[str, Any]]] = {}

    def add(
        self, before: ShardPlan, after: ShardPlan, rules: tuple[Rules, Rules], on: date
    ) -> None:
        """Take a shard in."""
        old, new = ({m.match_id: m for m in plan.matches} for plan in (before, after))
        for one in sorted(old.keys() | new.keys()):
            self._match(old.get(one), new.get(one))
        broken = [_breaks(plan, r, on) for plan, r in zip((before, after), rules, strict=True)]
        for one in sorted(broken[0].keys() | broken[1].keys()):
            self._break(broken[0].get(one), broken[1].get(one))

    def _match(self, old: Match | None, new: Match | None) -> None:
        if old is None and new is not None:
            self._note("matches_gained", _kind(new), _example(new))
        elif new is None and old is not None:
            self._note("matches_lost", _kind(old), _example(old))
        elif old is not None and new is not None and _essence(old) != _essence(new):
            told = _example(new) | {
                "before": _kind(old),
                "variance_minor_before": old.variance_minor,
            }
            self._note("matches_changed", f"{_kind(old)} to {_kind(new)}", told)

    def _break(self, old: Break | None, new: Break | None) -> None:
        one = new or old
        if one is None:
            return
        told = {"break_id": one.break_id, "reason": one.reason, "amount_minor": one.amount_minor, "currency": one.currency}  # fmt: skip
        if old is None:
            self._note("breaks_gained", one.class_.value, told)
        elif new is None:
            self._note("breaks_lost", one.class_.value, told)
        elif (old.class_, old.amount_minor, old.severity) != (new.class_, new.amount_minor, new.severity):  # fmt: skip
            self._note("breaks_changed", f"{old.class_.value} to {new.class_.value}", told)

    def _note(self, what: str, kind: str, example: dict[str, Any]) -> None:
        self._counts.setdefault(what, Counter())[kind] += 1
        examples = self._examples.setdefault(what, [])
        if len(examples) < EXAMPLES_MAX:
            examples.append(example)

    def plain(self) -> dict[str, Any]:
        """As it is kept and shown."""
        names = ("matches_gained", "matches_lost", "matches_changed", "breaks_gained", "breaks_lost", "breaks_changed")  # fmt: skip
        return {
            "legs_count": self.legs_count,
            **{name: dict(sorted(self._counts.get(name, Counter()).items())) for name in names},
            "examples": {name: self._examples.get(name, []) for name in names},
        }


def _breaks(plan: ShardPlan, rules: Rules, on: date) -> dict[str, Break]:
    made = (break_of_finding(*finding_from_plain(plain), rules, on, "") for plain in plan.findings)
    return {one.break_id: one for one in made}


def _kind(match: Match) -> str:
    return f"level {match.level} {match.status.value}"


def _essence(match: Match) -> tuple[Any, ...]:
    return match.level, match.status, match.rule_id, match.variance_minor, match.variance_kind


def _example(match: Match) -> dict[str, Any]:
    return {
        "match_id": match.match_id,
        "kind": _kind(match),
        "pair": match.pair.value,
        "transaction_ids": [leg.transaction_id for leg in match.members][:10],
        "sentence": match.explanation.sentence,
        "variance_minor": match.variance_minor,
        "currency": match.currency,
    }


def _key(tenant_id: str, identifier: str, what: str) -> str:
    return f"runs/{tenant_id}/{identifier}/trial-{what}.json"
