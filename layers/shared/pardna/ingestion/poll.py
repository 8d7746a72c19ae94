"""Poll a card processor for what it settled; the answers are kept like files, then normalised.

What is kept depends on the processor's data alone, not on when we asked: one document for each
payout's members and one for each day's movements. So asking again keeps nothing new, and a replay
needs no network. The cursor only saves calls.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pardna.ingestion.model import Receipt, SourceProfile
from pardna.ingestion.ports import RawStore, Settlements, Sources
from pardna.ingestion.retry import Retry
from pardna.ingestion.visits import due
from pardna.runtime.clock import Clock
from pardna.runtime.errors import PardnaError
from pardna.runtime.observability import count, logger

#: How far back each poll looks again: payouts change, and disputes come late.
OVERLAP = timedelta(days=7)
#: Rows of a document; about 5 MB with expanded sources.
ROWS_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Polled:
    """How many documents were made, and how many of them were new to us."""

    seen_count: int
    new_count: int


@dataclass(frozen=True, slots=True)
class PollProvider:
    """The use case."""

    sources: Sources
    settlements: Settlements
    raw: RawStore
    clock: Clock
    retry: Retry

    def poll(self, tenant_id: str = "", source_id: str = "") -> Polled:
        """Poll one source, or every polled source of every tenant.

        One source's trouble does not stop the others; ``PollFailed`` is counted and the last error
        is raised at the end.
        """
        profiles = due(self.sources, "poll", tenant_id, source_id)
        seen, new, trouble = 0, 0, None
        for profile in profiles:
            try:
                polled = self.retry.run("poll", lambda p=profile: self._one(p))  # type: ignore[misc]
                seen, new = seen + polled.seen_count, new + polled.new_count
            except PardnaError as error:
                logger.error(
                    "Poll failed",
                    tenant_id=profile.tenant_id,
                    source_id=profile.source_id,
                    error_code=error.code,
                )
                count("PollFailed")
                trouble = error
        if trouble is not None:
            raise trouble
        return Polled(seen, new)

    def _one(self, profile: SourceProfile) -> Polled:
        cursor = self.sources.cursor(profile.tenant_id, profile.source_id)
        since = int(datetime.fromisoformat(cursor).timestamp()) if cursor else 0
        seen, new, newest = 0, 0, since
        for name, document, latest in self._documents(profile, since):
            receipt = Receipt(profile.source_id, "poll", name, self.clock(), "application/json")
            captured = self.raw.put_once(profile.tenant_id, document, receipt)
            seen, new, newest = seen + 1, new + captured.created, max(newest, latest)
        # Written last: a process that dies before asks for the same again, and keeps nothing twice.
        after = _cursor(newest)
        if after > cursor:
            self.sources.set_cursor(profile.tenant_id, profile.source_id, after)
        count("PollDocuments", new)
        return Polled(seen, new)

    def _documents(self, profile: SourceProfile, since: int) -> Iterator[tuple[str, bytes, int]]:
        """Name, bytes and latest creation of each document. Payouts first: they know most."""
        payouts = list(self.settlements.payouts(profile, since))
        for payout in payouts:
            rows = list(self.settlements.movements(profile, payout=str(payout["id"])))
            yield from _parts("balance_transactions", str(payout["id"]), rows, str(payout["id"]))
        for day, rows in _by_day(payouts):
            yield from _parts("payouts", day, rows)
        for day, rows in _by_day(self.settlements.movements(profile, since=since)):
            yield from _parts("balance_transactions", day, rows)


def _by_day(
    rows: Iterable[Mapping[str, Any]],
) -> list[tuple[str, list[Mapping[str, Any]]]]:
    days: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        days[datetime.fromtimestamp(row["created"], UTC).date().isoformat()].append(row)
    return sorted(days.items())


def _parts(
    resource: str, name: str, rows: list[Mapping[str, Any]], payout: str = ""
) -> Iterator[tuple[str, bytes, int]]:
    """Documents of bounded size, the same bytes for the same rows."""
    ordered = sorted(rows, key=lambda row: (row["created"], row["id"]))
    for start in range(0, len(ordered), ROWS_MAX):
        part = ordered[start : start + ROWS_MAX]
        document = {
            "object": "pardna.stripe_listing",
            "resource": resource,
            "payout": payout or None,
            "data": part,
        }
        text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        latest = max(int(row["created"]) for row in part)
        yield f"{resource}/{name}/{start // ROWS_MAX + 1}", text.encode(), latest


def _cursor(newest: int) -> str:
    """The first moment of the day that lies the overlap before what was seen last."""
    if newest <= OVERLAP.total_seconds():
        return ""
    day = (datetime.fromtimestamp(newest, UTC) - OVERLAP).replace(
        hour=0, minute=0, second=0, microsecond=0
    )
    return day.isoformat()
