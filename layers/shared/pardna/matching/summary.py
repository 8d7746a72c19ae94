"""The end of a run: totals on its header, and how it is shown."""

from __future__ import annotations

from typing import Any

from pardna.matching.ports import RunBook
from pardna.matching.runs import header_of, total_of
from pardna.runtime.clock import Clock, iso


class RunSummary:
    """The use case of the state "Summarise run"."""

    def __init__(self, runs: RunBook, clock: Clock) -> None:
        self._runs = runs
        self._clock = clock

    def summarise(self, tenant_id: str, identifier: str) -> dict[str, Any]:
        """Put totals on the run's header and close it.

        A run with a shard that did not finish stays ``incomplete``: started again, it goes on.
        """
        header = header_of(self._runs, tenant_id, identifier)
        shards = self._runs.shards(tenant_id, identifier)
        counts = total_of(shards)
        done = all(s["status"] == "done" for s in shards)
        gate = header.get("gate", {"outcome": "held", "reasons": ["it was not judged"]})
        finished = header.get("finished_at") or iso(self._clock())
        values = {
            "status": "finished" if done else "incomplete",
            "outcome": gate["outcome"],
            "counts": dict(sorted(counts.items())),
            "finished_at": finished,
        }
        self._runs.update(tenant_id, identifier, values)
        return {
            "outcome": gate["outcome"],
            "run_id": identifier,
            "matched_count": counts["committed"],
            "breaks_count": sum(header.get("breaks", {}).values()),
            "waiting_count": counts["waiting"],
        }


class RunReader:
    """Runs, for people."""

    def __init__(self, runs: RunBook) -> None:
        self._runs = runs

    def show(self, tenant_id: str, identifier: str) -> dict[str, Any]:
        """A run with its shards. Raises NotFound."""
        header = dict(header_of(self._runs, tenant_id, identifier))
        return header | {"shards": [dict(s) for s in self._runs.shards(tenant_id, identifier)]}
