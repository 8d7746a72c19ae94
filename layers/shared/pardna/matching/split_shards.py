"""Shards of a split pair: gather legs into files, match one phase of them, take the lake's legs in.

A worker reads its legs from a file and writes what is left over to another, before it writes its
plan: so whoever repeats it finds the same legs, and the next wave is cut from what the plan left.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from itertools import groupby
from typing import Any, TypeVar

from pardna.matching.aliases import applied
from pardna.matching.codec import finding_to_plain
from pardna.matching.legs_file import from_bytes, to_bytes
from pardna.matching.model import Leg, Match, Pair
from pardna.matching.ports import Committed, LakeLegs, LakePart, RunFiles, SplitState
from pardna.matching.refusals import set_aside
from pardna.matching.rules import Rules
from pardna.matching.shards import ShardPlan, name_duplicates, spoken_for_by, told_elsewhere
from pardna.matching.splitting import Phase

#: Legs, or transactions, that the match state is asked about at once.
_CHUNK = 2_000
T = TypeVar("T")


def rest_key(tenant_id: str, run_id: str, shard: int) -> str:
    """The file of the legs that a shard left to the next wave."""
    return f"runs/{tenant_id}/{run_id}/rest-{shard:05d}.parquet"


class SplitShards:
    """`shards.PartsOfPairs`."""

    def __init__(self, state: SplitState, files: RunFiles, lake: LakeLegs) -> None:
        self._state = state
        self._files = files
        self._lake = lake

    def commit_all(self, matches: Sequence[Match]) -> list[Committed]:
        """See `PartsOfPairs`."""
        return self._state.commit_all(matches)

    def decide(
        self, tenant_id: str, run_id: str, defined: Mapping[str, Any], rules: Rules, on: date
    ) -> ShardPlan:
        """See `PartsOfPairs`."""
        phase = Phase(defined["phase"])
        if phase is Phase.READ:
            return self._read(tenant_id, run_id, defined, rules)
        if phase is Phase.ABSORB:
            return self._absorb(tenant_id, defined)
        return self._match(tenant_id, run_id, defined, rules, on)

    # ---------------------------------------------------------------- legs

    def _read(
        self, tenant_id: str, run_id: str, defined: Mapping[str, Any], rules: Rules
    ) -> ShardPlan:
        """Legs of one part of the open legs, or of parts in the lake, into a file.

        With what their references and names also stand for: legs are split by that as well.
        """
        pair, currency = Pair(defined["pair"]), str(defined["currency"])
        lake: frozenset[str] | None = None
        if "parts" in defined:
            legs = [
                leg
                for part in defined["parts"]
                for leg in self._state.open_part(tenant_id, pair, currency, int(part))
            ]
            lake = frozenset()
        else:
            stand = [LakePart(*part) for part in defined["lake"]]
            found = (x for part in stand for x in self._lake.legs(part, pair, currency))
            legs = self._unknown(tenant_id, found)
        body = to_bytes(applied(legs, rules), lake)
        self._files.put_once(rest_key(tenant_id, run_id, int(defined["shard"])), body)
        return ShardPlan((), (), len(legs), 0, {})

    def _unknown(self, tenant_id: str, legs: Iterable[Leg]) -> list[Leg]:
        """Those that the match state does not know: what it knows is open there, or taken."""
        kept = []
        for chunk in _chunks(legs):
            ids = [(x.pair, x.transaction_id) for x in chunk]
            known = self._state.versions(tenant_id, ids)
            kept += [x for x in chunk if (x.pair, x.transaction_id) not in known]
        return kept

    def _absorb(self, tenant_id: str, defined: Mapping[str, Any]) -> ShardPlan:
        """After the matching: record what is left open, let level 1 find what was matched."""
        for key, raw_sha256 in defined["lake"]:
            part = LakePart(key, raw_sha256)
            by_transaction = groupby(self._lake.legs(part), key=lambda leg: leg.transaction_id)
            for chunk in _chunks(tuple(group) for _, group in by_transaction):
                legs = [leg for group in chunk for leg in group]
                ids = [(x.pair, x.transaction_id) for x in legs]
                known = self._state.versions(tenant_id, ids)
                self._state.record_all([due for group in chunk if (due := _due(group, known))])
                self._state.keep_references(
                    [x for x in legs if known.get((x.pair, x.transaction_id)) == x.version]
                )
            self._lake.absorbed(tenant_id, part)
        return ShardPlan((), (), 0, 0, {})

    # ---------------------------------------------------------------- matching

    def _match(
        self, tenant_id: str, run_id: str, defined: Mapping[str, Any], rules: Rules, on: date
    ) -> ShardPlan:
        from pardna.matching.phases import match_phase

        pair, phase, shard = Pair(defined["pair"]), Phase(defined["phase"]), int(defined["shard"])
        filed = from_bytes(self._files.get(str(defined["legs_key"])) or b"")
        hubs = self._files.get(str(defined["hubs_key"])) if defined.get("hubs_key") else None
        done = match_phase(
            filed.legs, phase, [tuple(h) for h in json.loads(hubs or b"[]")],
            rules, pair, on,
        )  # fmt: skip
        result = done.result
        found, refused = set_aside(
            (*result.matches, *result.proposals), self._state.refused(tenant_id, pair)
        )
        told = [f for f in result.findings if not told_elsewhere(f, pair)] + refused
        spoken_for = spoken_for_by(found, told)
        caps: Counter[str] = Counter(result.caps)
        told = name_duplicates(self._state, told, caps)
        rest = [leg for leg in filed.legs if leg.transaction_id in done.rest]
        self._files.put_once(rest_key(tenant_id, run_id, shard), to_bytes(rest, filed.lake))
        waiting = {leg.transaction_id for leg in result.waiting}
        return ShardPlan(
            tuple(replace(m, run_id=run_id) for m in found),
            tuple(finding_to_plain(f) for f in told),
            0,  # they were counted when they were read
            len(waiting - spoken_for),
            dict(caps),
            frozenset(spoken_for),
            bool(filed.lake),
        )


def _due(group: Sequence[Leg], known: Mapping[tuple[Pair, str], int]) -> Sequence[Leg]:
    """What of a transaction is still to be recorded; with a leg that excludes others, all of it."""
    new = [x for x in group if (x.pair, x.transaction_id) not in known]
    same = all(known.get((x.pair, x.transaction_id), x.version) >= x.version for x in group)
    alone = same and not any(x.exclusive for x in group)
    return new if alone or not new else group


def _chunks(items: Iterable[T]) -> Iterator[list[T]]:
    chunk: list[T] = []
    for item in items:
        chunk.append(item)
        if len(chunk) == _CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
