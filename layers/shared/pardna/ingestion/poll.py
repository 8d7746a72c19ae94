"""Poll a provider for its money objects; the answers are kept like files, then normalised.

What is kept depends on the provider's data alone, not on when we asked: for each list one document
a day (in parts, when a day is large), and one for the members of each payout. So asking again keeps
nothing new, and a replay needs no network. The cursor only saves calls.

Lists come newest first. Each poll looks at all that is new and a week before it (`OVERLAP`: what
came late), and writes down how far down the list it got. Numbered write boundaries, each of which
may be the last thing that a process does:
1. a document is kept    2. the place after it is written down    3. the list is done with
After a death the next poll goes on at the place, and keeps nothing twice that it kept before.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from pardna.ingestion.model import Receipt, SourceProfile
from pardna.ingestion.ports import ProviderPoller, RawStore, Sources
from pardna.ingestion.retry import Retry
from pardna.ingestion.visits import due
from pardna.runtime.clock import Clock
from pardna.runtime.errors import InvalidInput, NotFound, PardnaError
from pardna.runtime.observability import count, logger

#: How far back each poll looks again: payouts change, and disputes come late.
OVERLAP = timedelta(days=7)
#: Rows of a document; about 5 MB with expanded sources.
ROWS_MAX = 1_000
#: A visit stops by itself while it can still write down where it got to.
SECONDS_KEPT = 20.0
TURN_SECONDS = 300

Row = Mapping[str, Any]


@dataclass(slots=True)
class Polled:
    """How many documents were made, and how many of them were new to us."""

    seen_count: int = 0
    new_count: int = 0


@dataclass(slots=True)
class Mark:
    """How far one list was read. `since` (seconds) is where reading may end; while a reading is
    unfinished `after` is the last row kept, and `newest` the creation of its first."""

    since: int = 0
    after: str = ""
    newest: int = 0


@dataclass(slots=True)
class _Visit:
    """One source's visit: whose, until when, and what it has come to."""

    profile: SourceProfile
    poller: ProviderPoller
    seconds_left: Callable[[], float]
    polled: Polled
    marks: dict[str, Mark] = field(default_factory=dict)


class _OutOfTime(Exception):
    """The visit has to stop; what it kept is kept, and its place is written down."""


@dataclass(frozen=True, slots=True)
class PollProvider:
    """The use case; `pollers` are the providers' APIs, by provider."""

    sources: Sources
    pollers: Mapping[str, ProviderPoller]
    raw: RawStore
    clock: Clock
    retry: Retry

    def poll(
        self,
        tenant_id: str = "",
        source_id: str = "",
        seconds_left: Callable[[], float] = lambda: math.inf,
    ) -> Polled:
        """Poll one source, or every polled source of every tenant that follows the stack's schedule.

        One source's trouble, or its long history, does not stop the others: each has its share of
        the time, and goes on where it stopped. ``PollFailed`` is counted and the last error is
        raised at the end. Raises NotFound for an unknown source.
        """
        profiles = self._in_turn(due(self.sources, "poll", tenant_id, source_id))
        total, trouble = Polled(), None
        for waiting, profile in zip(range(len(profiles), 0, -1), profiles, strict=True):
            left = seconds_left() - SECONDS_KEPT
            if left <= 0:
                logger.info("Polls left for later", sources_count=waiting)
                count("PollContinues", waiting)
                break
            kept = SECONDS_KEPT if math.isinf(left) else SECONDS_KEPT + left * (1 - 1 / waiting)
            try:
                self.retry.run(
                    "poll",
                    lambda p=profile, k=kept: self._one(p, lambda: seconds_left() - k, total),  # type: ignore[misc]
                )
            except _OutOfTime:
                logger.info("Poll continues later", source_id=profile.source_id)
                count("PollContinues")
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
        return total

    def _in_turn(self, profiles: list[SourceProfile]) -> list[SourceProfile]:
        """Another one first each time: who comes last may have no time left."""
        if not profiles:
            return profiles
        first = int(self.clock().timestamp()) // TURN_SECONDS % len(profiles)
        return profiles[first:] + profiles[:first]

    def _one(
        self, profile: SourceProfile, seconds_left: Callable[[], float], polled: Polled
    ) -> None:
        poller = self.pollers.get(profile.provider)
        if poller is None:
            raise InvalidInput("poll.provider", "nobody here knows how to ask this provider")
        marks = read_cursor(self.sources.cursor(profile.tenant_id, profile.source_id))
        visit = _Visit(profile, poller, seconds_left, polled, marks)
        for resource in poller.resources():
            try:
                self._list(visit, resource)
            except NotFound as error:
                if error.code != "poll.place":
                    raise
                # The row that we stopped at is gone: from the top once more.
                visit.marks[resource] = Mark(since=visit.marks[resource].since)
                self._list(visit, resource)

    def _list(self, visit: _Visit, resource: str) -> None:
        """Read one list to its end, or to where the last reading ended."""
        mark = visit.marks.setdefault(resource, Mark())
        for rows in _buckets(self._rows(visit, resource, mark)):
            mark.newest = max(mark.newest, *(int(row["created"]) for row in rows))
            day = _day(rows[0])
            self._keep(visit, f"{resource}/{day}/{rows[0]['id']}", resource, "", rows)
            members = visit.poller.members(resource)
            for row in rows if members else ():
                whole = self._rows(visit, members, Mark(), str(row["id"]))
                for part in _parts(whole):
                    name = f"{members}/{row['id']}/{part[0]['id']}"
                    self._keep(visit, name, members, str(row["id"]), part)
            mark.after = str(rows[-1]["id"])
            self._remember(visit)  # boundary 2
            if visit.seconds_left() <= 0:
                raise _OutOfTime
        # Payouts are dated ahead: what is made until then is still to come.
        newest = min(mark.newest, int(self.clock().timestamp()))
        done = Mark(since=max(mark.since, _start(newest)))
        if done != mark:
            visit.marks[resource] = done
            self._remember(visit)  # boundary 3

    def _rows(self, visit: _Visit, resource: str, mark: Mark, within: str = "") -> Iterator[Row]:
        """Every row of a list, page by page."""
        after = mark.after
        while True:
            page = visit.poller.page(visit.profile, resource, mark.since, after, within)
            yield from page.rows
            if not page.more or not page.rows:
                return
            after = str(page.rows[-1]["id"])

    def _keep(self, visit: _Visit, name: str, resource: str, within: str, rows: list[Row]) -> None:
        ordered = sorted(rows, key=lambda row: (row["created"], row["id"]))
        document = visit.poller.document(resource, within, ordered)
        text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        profile = visit.profile
        receipt = Receipt(profile.source_id, "poll", name, self.clock(), "application/json")
        captured = self.raw.put_once(profile.tenant_id, text.encode(), receipt)  # boundary 1
        visit.polled.seen_count += 1
        visit.polled.new_count += captured.created
        count("PollDocuments", int(captured.created))

    def _remember(self, visit: _Visit) -> None:
        marks = {name: asdict(mark) for name, mark in visit.marks.items() if mark != Mark()}
        text = json.dumps(marks, sort_keys=True)
        self.sources.set_cursor(visit.profile.tenant_id, visit.profile.source_id, text)


def read_cursor(text: str) -> dict[str, Mark]:
    """The marks of each list; what cannot be read is no mark, for a mark only saves calls."""
    try:
        return {str(name): Mark(**mark) for name, mark in json.loads(text).items()}
    except (ValueError, TypeError, AttributeError):
        return {}


def _buckets(rows: Iterator[Row]) -> Iterator[list[Row]]:
    """Rows by the day (UTC) of their creation, a large day in parts. Newest first, as they come."""
    bucket: list[Row] = []
    for row in rows:
        if bucket and (len(bucket) == ROWS_MAX or _day(row) != _day(bucket[0])):
            yield bucket
            bucket = []
        bucket.append(row)
    if bucket:
        yield bucket


def _parts(rows: Iterator[Row]) -> Iterator[list[Row]]:
    part: list[Row] = []
    for row in rows:
        part.append(row)
        if len(part) == ROWS_MAX:
            yield part
            part = []
    if part:
        yield part


def _day(row: Row) -> str:
    return datetime.fromtimestamp(row["created"], UTC).date().isoformat()


def _start(newest: int) -> int:
    """The first second of the day that lies the overlap before what was seen last."""
    if newest <= OVERLAP.total_seconds():
        return 0
    day = datetime.fromtimestamp(newest, UTC) - OVERLAP
    return int(day.replace(hour=0, minute=0, second=0, microsecond=0).timestamp())
