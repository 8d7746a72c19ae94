"""The end of a run: totals on its header, a word to whoever asked, and how it is shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from itertools import islice
from typing import Any

from pardna.matching.ports import BreakBook, Departures, RunBook
from pardna.matching.runs import header_of, total_of
from pardna.runtime.clock import Clock, iso
from pardna.runtime.errors import InvalidInput
from pardna.runtime.events import NOTIFICATION_REQUESTED, Envelope

#: Breaks on one page; an API answers with at most 10 MB.
PAGE_MAX = 1_000


class RunSummary:
    """The use case of the state "Summarise run"."""

    def __init__(self, runs: RunBook, departures: Departures, clock: Clock) -> None:
        self._runs = runs
        self._departures = departures
        self._clock = clock

    def summarise(self, tenant_id: str, identifier: str) -> dict[str, Any]:
        """Put totals on the run's header, close it, and tell whoever asked to be told.

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
        told = self._tell(tenant_id, identifier, {**header, **values})
        return {
            "outcome": gate["outcome"],
            "run_id": identifier,
            "matched_count": counts["committed"],
            "breaks_count": sum(header.get("breaks", {}).values()),
            "waiting_count": counts["waiting"],
            "notified_count": told,
        }

    def _tell(self, tenant_id: str, identifier: str, header: Mapping[str, Any]) -> int:
        notify = header.get("notify") or {}
        if not notify.get("email") and not notify.get("phone"):
            return 0
        counts = header["counts"]
        envelope = Envelope(
            event_type=NOTIFICATION_REQUESTED,
            tenant_id=tenant_id,
            subject=f"reconciliation_finished:{identifier}",
            key=identifier,
            occurred_at=header["finished_at"],
            correlation_id=header["correlation_id"],
            data={
                "template": "reconciliation_finished",
                "about": identifier,
                "to": {name: str(notify.get(name, "")) for name in ("name", "email", "phone")},
                "values": {
                    "run": identifier,
                    "reference_date": header["reference_date"],
                    "outcome": header["outcome"],
                    "matched": str(counts.get("committed", 0)),
                    "breaks": str(sum(header.get("breaks", {}).values())),
                },
            },
        )
        return self._departures.depart([envelope])


class RunReader:
    """Runs, for people."""

    def __init__(self, runs: RunBook) -> None:
        self._runs = runs

    def show(self, tenant_id: str, identifier: str) -> dict[str, Any]:
        """A run with its shards, without the address of whoever is told. Raises NotFound."""
        header = dict(header_of(self._runs, tenant_id, identifier))
        header.pop("notify", None)
        return header | {"shards": [dict(s) for s in self._runs.shards(tenant_id, identifier)]}


class BreakPages:
    """Breaks, for people."""

    def __init__(self, breaks: BreakBook) -> None:
        self._breaks = breaks

    def page(self, tenant_id: str, status: str) -> dict[str, Any]:
        """The breaks of a status, earliest deadline first. Raises InvalidInput."""
        if status not in ("open", "resolved"):
            raise InvalidInput("breaks.status", "status is open or resolved")
        found = list(islice(self._breaks.listed(tenant_id, status), PAGE_MAX + 1))
        shown = [{"break_id": b.break_id, "class": b.class_.value, **asdict(b)} for b in found]
        for one in shown:
            del one["class_"]
        return {"breaks": shown[:PAGE_MAX], "more": len(found) > PAGE_MAX}
