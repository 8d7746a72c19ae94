"""Shards of a split pair: gather legs into files, match one phase of them, take the lake's legs in.

A worker reads its legs from a file and writes what is left over to another, before it writes its
plan: so whoever repeats it finds the same legs, and the next wave is cut from what the plan left.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pardna.matching.aliases import applied, as_recorded
from pardna.matching.codec import finding_to_plain
from pardna.matching.legs_file import chosen, from_bytes, names_of, to_bytes
from pardna.matching.model import Leg, Match, Pair
from pardna.matching.ports import Committed, LakeLegs, LakePart, RunFiles, SplitState
from pardna.matching.refusals import set_aside
from pardna.matching.rules import Rules
from pardna.matching.shards import (
    CommitAll,
    ShardPlan,
    name_duplicates,
    spoken_for_by,
    told_elsewhere,
)
from pardna.matching.splitting import Phase

if TYPE_CHECKING:
    from pardna.matching.legs_wire import FileTexts


def rest_key(tenant_id: str, run_id: str, shard: int) -> str:
    """The file of the legs that a shard left to the next wave."""
    return f"runs/{tenant_id}/{run_id}/rest-{shard:05d}.parquet"


class SplitShards:
    """`shards.PartsOfPairs`."""

    def __init__(self, state: SplitState, files: RunFiles, lake: LakeLegs) -> None:
        self._state = state
        self._files = files
        self._lake = lake

    @contextmanager
    def committing(self, defined: Mapping[str, Any]) -> Iterator[CommitAll]:
        """See `PartsOfPairs`."""
        from pardna.matching.legs_wire import FileTexts

        with FileTexts(self._files.get(str(defined["legs_key"])) or b"") as file:

            def commit(matches: Sequence[Match]) -> list[Committed]:
                texts = file.of(x.transaction_id for m in matches for x in m.members)
                return self._state.commit_all(matches, texts)

            yield commit

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
        if "parts" in defined:
            legs = [
                leg
                for part in defined["parts"]
                for leg in self._state.open_part(tenant_id, pair, currency, int(part))
            ]
            body, count = to_bytes(applied(legs, rules), frozenset(), legs), len(legs)
        else:
            stand = [LakePart(*part) for part in defined["lake"]]
            body, count = self._unknown(tenant_id, self._lake.file(stand, pair, currency))
            if rules.aliases:
                own = from_bytes(body).legs
                body = to_bytes(applied(own, rules), None, own)
        self._files.put_once(rest_key(tenant_id, run_id, int(defined["shard"])), body)
        return ShardPlan((), (), count, 0, {})

    def _unknown(self, tenant_id: str, body: bytes) -> tuple[bytes, int]:
        """Legs that the match state does not know: what it knows is open there, or taken."""
        names = names_of(body)
        known = self._state.versions(tenant_id, names)
        if known:
            body = chosen(body, (identifier for _, identifier in known), but=True)
        return body, len(names) - len(known)

    def _absorb(self, tenant_id: str, defined: Mapping[str, Any]) -> ShardPlan:
        """After the matching: record what is left open, let level 1 find what was matched."""
        from pardna.matching.legs_wire import FileTexts

        for key, raw_sha256 in defined["lake"]:
            part = LakePart(key, raw_sha256)
            with FileTexts(self._lake.file([part])) as file:
                for some in file.versions():
                    self._take_in(tenant_id, file, some)
            self._lake.absorbed(tenant_id, part)
        return ShardPlan((), (), 0, 0, {})

    def _take_in(
        self, tenant_id: str, file: FileTexts, some: Sequence[tuple[Pair, str, int]]
    ) -> None:
        known = self._state.versions(tenant_id, [(pair, one) for pair, one, _ in some])
        same: dict[Pair, list[str]] = defaultdict(list)
        for pair, identifier, version in some:
            if known.get((pair, identifier)) == version:
                same[pair].append(identifier)
        other = {one for pair, one, version in some if known.get((pair, one)) != version}
        by_transaction = groupby(file.legs(other), key=lambda leg: leg.transaction_id)
        groups = [due for _, group in by_transaction if (due := _due(tuple(group), known))]
        self._state.record_all(groups, file.of(other))
        self._state.keep_references(
            one for pair, ids in same.items() for one in file.identified(pair, ids)
        )

    # ---------------------------------------------------------------- matching

    def _match(
        self, tenant_id: str, run_id: str, defined: Mapping[str, Any], rules: Rules, on: date
    ) -> ShardPlan:
        from pardna.matching.phases import match_phase

        pair, phase, shard = Pair(defined["pair"]), Phase(defined["phase"]), int(defined["shard"])
        body = self._files.get(str(defined["legs_key"])) or b""
        filed = from_bytes(body)
        hubs = self._files.get(str(defined["hubs_key"])) if defined.get("hubs_key") else None
        with tempfile.NamedTemporaryFile(suffix=".parquet") as file:
            file.write(body)
            file.flush()
            done = match_phase(
                filed.legs, phase, [tuple(h) for h in json.loads(hubs or b"[]")],
                rules, pair, on, Path(file.name),
            )  # fmt: skip
        result = done.result
        found, refused = set_aside(
            (*result.matches, *result.proposals), self._state.refused(tenant_id, pair)
        )
        told = [f for f in result.findings if not told_elsewhere(f, pair)] + refused
        spoken_for = spoken_for_by(found, told)
        caps: Counter[str] = Counter(result.caps)
        told = name_duplicates(self._state, told, caps)
        self._files.put_once(rest_key(tenant_id, run_id, shard), chosen(body, done.rest))
        waiting = {leg.transaction_id for leg in result.waiting}
        return ShardPlan(
            tuple(replace(as_recorded(m, filed.recorded), run_id=run_id) for m in found),
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
