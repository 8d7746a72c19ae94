"""A run's plan: which shards, in which waves.

A pair with few open legs is one shard. One with more, or with rows in the lake, is read into files,
and the files are cut into shards, phase by phase (`splitting`). What can be worked on at the same
time is a *wave*; what a wave leaves is what the next one is cut from. Pairs that may share legs come
one after the other. At last, rows of the lake that stay open are recorded.

Planning a wave is repeatable: the same wave has the same shards, whoever plans it and how often.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pardna.matching.current_rules import RulesOf, fix_rules, fixed_rules
from pardna.matching.model import Pair
from pardna.matching.ports import OPEN_PARTS, LakeLegs, RunBook, RunFiles, SplitState
from pardna.matching.refusals import digest
from pardna.matching.runs import GROUPS, WINDOW_DAYS, header_of, run_id, window
from pardna.matching.shards import plan_key, spoken_for_in
from pardna.matching.split_shards import rest_key
from pardna.matching.splitting import Phase, Split, split
from pardna.runtime.clock import Clock, iso

#: Legs of one shard unless `SHARD_LEGS_MAX` says otherwise; never more than a million.
SHARD_LEGS = 200_000
#: Parts of the lake that one shard reads; a part has 10,000 rows at most.
_PARTS_AT_ONCE = 10
_STAGES = (Phase.READ, Phase.IDENTITY, Phase.REFERENCE, Phase.AMOUNT, Phase.GROUP)

Defined = dict[str, Any]


class PlanRun:
    """The use case of the states "Plan run" and "Plan next wave"."""

    def __init__(
        self,
        runs: RunBook,
        files: RunFiles,
        state: SplitState,
        lake: LakeLegs,
        rules_of: RulesOf,
        clock: Clock,
        shard_legs: int = SHARD_LEGS,
    ) -> None:
        self._runs = runs
        self._files = files
        self._state = state
        self._lake = lake
        self._rules_of = rules_of
        self._clock = clock
        self._shard_legs = min(max(shard_legs, 1), 1_000_000)

    def plan(self, tenant_id: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Plan the first wave, the one after ``plan.wave``, or what is left of run ``run_id``.

        Outcome ``planned``; ``decided``: nothing is left to match; ``stopped``: people want it to;
        ``partial``: shards of the wave before did not finish; ``nothing_new``: a run of the same
        inputs has finished. Raises NotFound for a run that does not exist, InvalidInput.
        """
        before = request.get("plan")
        if before:
            return self._after(tenant_id, str(before["run_id"]), int(before["wave"]))
        if not request.get("run_id"):
            return self._first(tenant_id, request)
        identifier = str(request["run_id"])
        header = header_of(self._runs, tenant_id, identifier)
        return self._go_on(tenant_id, identifier, max(int(header["wave"]), 0))

    # ---------------------------------------------------------------- waves

    def _first(self, tenant_id: str, request: Mapping[str, Any]) -> dict[str, Any]:
        found = request["completeness"]
        on = str(found.get("reference_date") or request["reference_date"])
        days = int(found.get("window_days") or request.get("window_days") or WINDOW_DAYS)
        first, _ = window(on, days)
        rules = self._rules_of(tenant_id)
        refused = [m for pair in Pair for m in self._state.refused(tenant_id, pair)]
        inputs = found["inputs_hash"] + digest(refused)
        identifier = run_id(tenant_id, first.isoformat(), on, inputs, rules.rules_hash)
        header = self._runs.begin(
            tenant_id,
            identifier,
            {
                "run_id": identifier,
                "status": "running",
                "wave": -1,  # until all shards of the first are written
                "attempt": 0,
                "reference_date": on,
                "window_from": first.isoformat(),
                "window_days": days,
                "inputs_hash": found["inputs_hash"],
                "rules_hash": rules.rules_hash,
                "rules_version": rules.version,
                "transactions_count": found["transactions_count"],
                "projected_count": found["projected_count"],
                "currencies": list(found["currencies"]),
                "started_at": iso(self._clock()),
                "correlation_id": str(request.get("correlation_id", "")),
                "execution": _execution(request),
            },
        )
        if execution := _execution(request):
            self._runs.name(tenant_id, execution, identifier)
        if header["status"] == "finished":
            return {"outcome": "nothing_new", "run_id": identifier, "wave": 0, "shards_count": 0}
        fix_rules(self._files, tenant_id, identifier, rules)
        if self._files.get(_lake_key(tenant_id, identifier)) is None:
            parts = [[p.key, p.raw_sha256] for p in self._lake.pending(tenant_id)]
            self._files.put_once(_lake_key(tenant_id, identifier), json.dumps(parts).encode())
        now = {"execution": _execution(request)}
        again = now | {"status": "running"}
        self._runs.change(
            tenant_id, identifier,
            lambda h: again if h["status"] in ("stopped", "partial") else now,
        )  # fmt: skip
        return self._go_on(tenant_id, identifier, max(int(header["wave"]), 0))

    def _after(self, tenant_id: str, identifier: str, wave: int) -> dict[str, Any]:
        """What comes after a wave was worked on."""
        shards = self._runs.shards(tenant_id, identifier)
        open_ones = [s for s in shards if s["wave"] == wave and s["status"] != "done"]
        if open_ones:
            return self._pause(tenant_id, identifier, wave)
        return self._go_on(tenant_id, identifier, wave + 1)

    def _go_on(self, tenant_id: str, identifier: str, wave: int) -> dict[str, Any]:
        """Plan waves from this one on until one has shards that are not done."""
        while True:
            header = header_of(self._runs, tenant_id, identifier)
            if header["status"] in ("stopping", "stopped"):
                return self._pause(tenant_id, identifier, wave)
            shards = self._runs.shards(tenant_id, identifier)
            if wave > int(header["wave"]):
                shards = self._write(tenant_id, identifier, wave, shards)
            due = [s for s in shards if s["wave"] == wave]
            if not due:
                return {"outcome": "decided", "run_id": identifier, "wave": wave, "shards_count": 0}
            left = [int(s["shard"]) for s in due if s["status"] != "done"]
            if left:
                return self._manifest(tenant_id, identifier, wave, header, left)
            wave += 1

    def _write(
        self, tenant_id: str, identifier: str, wave: int, shards: list[Mapping[str, Any]]
    ) -> list[Mapping[str, Any]]:
        earlier = [s for s in shards if s["wave"] < wave]
        known = {int(s["shard"]) for s in shards}
        number = len(earlier)
        for defined in self._shards_of(tenant_id, identifier, wave, earlier):
            if number not in known:
                values = {"status": "planned", "wave": wave, **defined}
                self._runs.put_shard(tenant_id, identifier, number, values)
            number += 1
        self._runs.change(
            tenant_id, identifier,
            lambda h: {"wave": max(wave, int(h["wave"])), "shards_count": number},
        )  # fmt: skip
        return self._runs.shards(tenant_id, identifier)

    def _manifest(
        self, tenant_id: str, identifier: str, wave: int, header: Mapping[str, Any], left: list[int]
    ) -> dict[str, Any]:
        name = f"manifest-{wave:03d}-{int(header['attempt']):03d}-{len(left):05d}.json"
        key = f"runs/{tenant_id}/{identifier}/{name}"
        run = {"tenant_id": tenant_id, "run_id": identifier}
        self._files.put_once(key, json.dumps([{**run, "shard": n} for n in left]).encode())
        return {
            "outcome": "planned", "run_id": identifier, "wave": wave, "manifest_key": key,
            "shards_count": len(left),
        }  # fmt: skip

    def _pause(self, tenant_id: str, identifier: str, wave: int) -> dict[str, Any]:
        """The run ends here for now: stopped by people, or partial because shards did not finish."""
        new = self._runs.change(
            tenant_id, identifier,
            lambda h: {"status": "stopped"} if h["status"] == "stopping" else {},
        )  # fmt: skip
        outcome = "stopped" if new["status"] == "stopped" else "partial"
        return {"outcome": outcome, "run_id": identifier, "wave": wave, "shards_count": 0}

    # ---------------------------------------------------------------- shards

    def _shards_of(
        self, tenant_id: str, identifier: str, wave: int, earlier: Sequence[Mapping[str, Any]]
    ) -> Iterator[Defined]:
        """The shards of a wave, group by group; the lake's rows are taken in after everything."""
        header = header_of(self._runs, tenant_id, identifier)
        parts = json.loads(self._files.get(_lake_key(tenant_id, identifier)) or b"[]")
        groups = [(c, g) for c in header["currencies"] for g in range(len(GROUPS))]
        going = False
        for currency, group in groups:
            mine = [s for s in earlier if s["currency"] == currency and s.get("group") == group]
            made = list(self._next_of(tenant_id, identifier, wave, currency, group, mine, parts))
            going = going or bool(made)
            yield from made
        if not going and parts and not any(s.get("phase") == Phase.ABSORB for s in earlier):
            for some in _tens(parts):
                yield {"phase": Phase.ABSORB.value, "currency": "", "pairs": [], "lake": some}

    def _next_of(
        self, tenant_id: str, identifier: str, wave: int, currency: str, group: int,
        mine: Sequence[Mapping[str, Any]], parts: list[list[str]],
    ) -> Iterator[Defined]:  # fmt: skip
        """What comes after a group's shards so far: whole, or the next stage that has any shards."""
        base: Defined = {
            "group": group, "currency": currency, "pairs": [p.value for p in GROUPS[group]],
        }  # fmt: skip
        if not mine:
            count = self._size(tenant_id, identifier, currency, group, wave)
            if not parts and count <= self._shard_legs:
                yield {**base, "phase": Phase.WHOLE.value}
                return
            yield from self._reading(base, GROUPS[group][0], parts, count)
            return
        last = mine[-1]
        if last["phase"] == Phase.WHOLE:
            return
        pair, stage = Pair(last["pair"]), _STAGES.index(Phase(last["phase"]))
        files = [rest_key(tenant_id, identifier, int(s["shard"])) for s in mine if s["wave"] == last["wave"]]  # fmt: skip
        spoken_for = self._spoken_for(tenant_id, identifier, mine, pair)
        for phase in _STAGES[stage + 1 :]:
            prefix = f"runs/{tenant_id}/{identifier}/wave-{wave:03d}-{group}-{currency}-{phase}"
            files = [*files, *last.get("skipped", [])]
            last = {}
            if not files:
                break
            made = _Cut(self._files, fixed_rules(self._files, tenant_id, identifier).of(pair),
                        self._shard_legs, prefix)  # fmt: skip
            found = list(made.cut(files, phase, spoken_for))
            skipped = [made.rest] if made.rest else []
            if found:
                for key, legs_count in found:
                    above = max(legs_count - self._shard_legs, 0)
                    yield {**base, "pair": pair.value, "phase": phase.value, "legs_key": key,
                           "legs_count": legs_count, "hubs_key": made.hubs, "skipped": skipped,
                           **({"legs_above_limit": above} if above else {})}  # fmt: skip
                return
            files = skipped
        following = GROUPS[group].index(pair) + 1
        if following < len(GROUPS[group]):
            count = self._size(tenant_id, identifier, currency, group, wave)
            yield from self._reading(base, GROUPS[group][following], parts, count)

    def _size(self, tenant_id: str, identifier: str, currency: str, group: int, wave: int) -> int:
        """How many legs of a group are open; counted once, so that a wave planned again is the same."""
        key = f"runs/{tenant_id}/{identifier}/open-{wave:03d}-{group}-{currency}.json"
        if self._files.get(key) is None:
            count = sum(
                self._state.open_count(tenant_id, pair, currency, self._shard_legs)
                for pair in GROUPS[group]
            )
            self._files.put_once(key, str(count).encode())
        return int(self._files.get(key) or b"0")

    def _reading(
        self, base: Defined, pair: Pair, parts: list[list[str]], count: int
    ) -> Iterator[Defined]:
        own = {**base, "pair": pair.value, "phase": Phase.READ.value}
        step = OPEN_PARTS if count <= self._shard_legs else 1
        for first in range(0, OPEN_PARTS, step):
            yield {**own, "parts": list(range(first, first + step))}
        for some in _tens(parts):
            yield {**own, "lake": some}

    def _spoken_for(
        self, tenant_id: str, identifier: str, mine: Sequence[Mapping[str, Any]], pair: Pair
    ) -> set[str]:
        """Legs that the group's earlier pairs have decided."""
        found: set[str] = set()
        for shard in mine:
            if shard["pair"] == pair or shard["phase"] == Phase.READ:
                continue
            body = self._files.get(plan_key(tenant_id, identifier, int(shard["shard"])))
            found |= spoken_for_in(body) if body else set()
        return found


class _Cut:
    """Cuts legs' files into shards' files. `rest` and `hubs` are keys, "" when there are none."""

    def __init__(self, files: RunFiles, rules: Any, legs_max: int, prefix: str) -> None:
        self._files = files
        self._rules = rules
        self._legs_max = legs_max
        self._prefix = prefix
        self.rest = ""
        self.hubs = ""

    def cut(
        self, keys: Sequence[str], phase: Phase, without: set[str]
    ) -> Iterator[tuple[str, int]]:
        """Keys and sizes of the shards' files."""
        from pardna.matching.legs_file import workspace

        with workspace() as (con, folder):
            paths = [folder / f"in-{place}.parquet" for place in range(len(keys))]
            for key, path in zip(keys, paths, strict=True):
                path.write_bytes(self._files.get(key) or b"")
            out = folder / "out"
            out.mkdir()
            made: Split = split(
                con, paths, phase, self._rules, self._legs_max, out, without=without
            )
            for place, (path, legs_count) in enumerate(made.shards):
                yield self._put(f"{place:05d}", path), legs_count
            if made.rest:
                self.rest = self._put("rest", made.rest)
            if made.hubs:
                self.hubs = f"{self._prefix}-hubs.json"
                self._files.put_once(self.hubs, json.dumps(made.hubs).encode())

    def _put(self, name: str, path: Path) -> str:
        key = f"{self._prefix}-{name}.parquet"
        self._files.put_once(key, path.read_bytes())
        return key


def _execution(request: Mapping[str, Any]) -> str:
    return str((request.get("execution") or {}).get("execution_id", ""))


def _lake_key(tenant_id: str, identifier: str) -> str:
    return f"runs/{tenant_id}/{identifier}/lake.json"


def _tens(parts: list[list[str]]) -> Iterator[list[list[str]]]:
    for start in range(0, len(parts), _PARTS_AT_ONCE):
        yield parts[start : start + _PARTS_AT_ONCE]
