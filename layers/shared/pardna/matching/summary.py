"""The end of a run: totals on its header, and how it is shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from pardna.matching.ports import RunBook
from pardna.matching.runs import header_of, total_of, unfinished_of
from pardna.runtime.clock import Clock, iso

#: What a shard's item says to the machine and not to people.
_INNER = frozenset({"skipped", "hubs_key", "legs_key", "lake"})


class RunSummary:
    """The use case of the state "Summarise run"."""

    def __init__(self, runs: RunBook, clock: Clock) -> None:
        self._runs = runs
        self._clock = clock

    def summarise(self, tenant_id: str, identifier: str) -> dict[str, Any]:
        """Put totals on the run's header and close it.

        A run with shards that did not finish is ``partial`` and names them: resumed, or started
        again with the same inputs, it goes on with those. `oversized_shards` hold one component that
        has more legs than a shard should: it is not cut. A run that was told to stop after its last
        shard was done has finished.
        """
        header = header_of(self._runs, tenant_id, identifier)
        shards = self._runs.shards(tenant_id, identifier)
        counts = _totals(shards)
        unfinished = unfinished_of(shards)
        gate = header.get("gate", {"outcome": "held", "reasons": ["it was not judged"]})
        outcome = "partial" if unfinished else gate["outcome"]
        values = {
            "status": "partial" if unfinished else "finished",
            "outcome": outcome,
            "unfinished_shards": unfinished,
            "oversized_shards": [int(s["shard"]) for s in shards if s.get("legs_above_limit")],
            "counts": dict(sorted(counts.items())),
            "finished_at": header.get("finished_at") or iso(self._clock()),
        }
        self._runs.change(tenant_id, identifier, lambda _: values)
        matched, breaks = counts["committed"], sum(header.get("breaks", {}).values())
        return {
            "outcome": outcome,
            "run_id": identifier,
            "matched_count": matched,
            "breaks_count": breaks,
            "waiting_count": counts["waiting"],
            "notice": _notice(tenant_id, identifier, header, outcome, matched, breaks),
        }


def _notice(
    tenant_id: str,
    identifier: str,
    header: Mapping[str, Any],
    outcome: str,
    matched: int,
    breaks: int,
) -> str:
    """What people are told of a run that needs them, or would be: ids, counts, the gate's reasons."""
    reasons = header.get("gate", {}).get("reasons", ())
    lines = [
        f"Reconciliation {identifier} of {tenant_id}, up to {header['reference_date']}, is {outcome}.",
        *(f"- {reason}" for reason in reasons),
        f"{matched} matched in this run, {breaks} breaks.",
    ]
    return "\n".join(lines)


class RunReader:
    """Runs, for people."""

    def __init__(self, runs: RunBook) -> None:
        self._runs = runs

    def show(self, tenant_id: str, identifier: str) -> dict[str, Any]:
        """A run, how far it is, and its shards. Raises NotFound."""
        header = dict(header_of(self._runs, tenant_id, identifier))
        shards = self._runs.shards(tenant_id, identifier)
        shown = [{k: v for k, v in s.items() if k not in _INNER} for s in shards]
        return header | {"progress": progress_of(shards), "shards": shown}


def progress_of(shards: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Shards by status, and matches by level, as of now."""
    counts = _totals(shards)
    levels = {name: n for name, n in sorted(counts.items()) if ".level_" in name}
    return {
        "shards": dict(sorted(Counter(str(s["status"]) for s in shards).items())),
        "matched": levels,
        "lost": counts["lost"],
        "waiting": counts["waiting"],
        "findings": counts["findings"],
        "limits_hit": {
            n.removeprefix("cap."): c for n, c in sorted(counts.items()) if n.startswith("cap.")
        },
    }


def _totals(shards: Sequence[Mapping[str, Any]]) -> Counter[str]:
    """The shards' counts, added up; a component that is larger than a shard may be is a limit hit."""
    counts = total_of(shards)
    for shard in shards:
        if shard.get("legs_above_limit"):
            counts["cap.shards_above_limit"] += 1
            counts["cap.legs_above_limit"] += int(shard["legs_above_limit"])
    return counts
