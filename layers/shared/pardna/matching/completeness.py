"""Is everything that the truth knows among the legs? What is missing is projected again.

The truth is the canonical transactions; the legs are a projection that a lost message, a poisoned
record or a failure can leave behind. The check also computes what identifies a run's inputs.

It reads page by page and holds one page; after `pages_max` pages it says how far it came, and the
next call goes on from there. The fingerprint of the inputs is a chain over the pages, so it does
not depend on how many calls it took.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Any

from pardna.matching.model import Leg, Pair
from pardna.matching.online import MatchOnline
from pardna.matching.ports import Known, Projection, Truth
from pardna.matching.runs import WINDOW_DAYS, window
from pardna.runtime.clock import Clock

_CHUNK = 100
PAGE = 1_000
#: Pages of one call: what a function checks well within its time, missing legs included.
PAGES_MAX = 100


@dataclass(frozen=True, slots=True)
class Completeness:
    """What the check found: `projected_count` were missing or old and are there now.

    `source` and `after` name the last transaction that was looked at, until `complete`.
    """

    transactions_count: int = 0
    projected_count: int = 0
    inputs_hash: str = ""
    currencies: tuple[str, ...] = ()
    source: str = ""
    after: str = ""
    complete: bool = False

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Completeness:
        """The inverse of `to_plain`; other words are passed over."""
        known = {name: plain[name] for name in cls.__dataclass_fields__ if name in plain}
        return cls(**{**known, "currencies": tuple(plain.get("currencies", ()))})

    def to_plain(self) -> dict[str, Any]:
        """JSON types only; the outcome is ``more`` until everything has been looked at."""
        repaired = "repaired" if self.projected_count else "complete"
        outcome = repaired if self.complete else "more"
        return {"outcome": outcome, **asdict(self), "currencies": list(self.currencies)}


class CheckCompleteness:
    """The use case of the state "Check completeness".

    `in_lake` names the deliveries whose rows the batch reads from the lake: their legs are not
    projected one by one.
    """

    def __init__(
        self,
        truth: Truth,
        projection: Projection,
        online: MatchOnline,
        in_lake: Callable[[str], Collection[str]] = lambda _: (),
        page: int = PAGE,
        pages_max: int = PAGES_MAX,
    ) -> None:
        self._truth = truth
        self._projection = projection
        self._online = online
        self._in_lake = in_lake
        self._page = page
        self._pages_max = pages_max

    def check(
        self, tenant_id: str, first: date, so_far: Completeness | None = None
    ) -> Completeness:
        """Compare the transactions since `first`, by identity and version, and repair.

        Goes on from `so_far`. Raises Unavailable when a store does not answer; what was repaired
        until then stays, and the same call again repeats without effect.
        """
        found = so_far or Completeness()
        elsewhere = frozenset(self._in_lake(tenant_id))
        for _ in range(self._pages_max):
            page = self._truth.known(tenant_id, first, found.source, found.after, self._page)
            found = self._take(tenant_id, page, elsewhere, found)
            if len(page) < self._page:
                return replace(found, complete=True)
        return found

    def _take(
        self, tenant_id: str, page: list[Known], elsewhere: Collection[str], found: Completeness
    ) -> Completeness:
        digest = hashlib.sha256(found.inputs_hash.encode())
        for one in page:
            digest.update(f"{one.source}\x1f{one.transaction_id}\x1f{one.version}\n".encode())
        projected = 0
        due = [one for one in page if one.raw_sha256 not in elsewhere]
        for start in range(0, len(due), _CHUNK):
            projected += self._repair(tenant_id, due[start : start + _CHUNK])
        return Completeness(
            transactions_count=found.transactions_count + len(page),
            projected_count=found.projected_count + projected,
            inputs_hash=digest.hexdigest() if page or not found.inputs_hash else found.inputs_hash,
            currencies=tuple(sorted({*found.currencies, *(one.currency for one in page)})),
            source=page[-1].source if page else found.source,
            after=page[-1].transaction_id if page else found.after,
        )

    def _repair(self, tenant_id: str, chunk: list[Known]) -> int:
        """Project the legs of a chunk that are absent or of an older version; returns how many."""
        versions = {one.transaction_id: one.version for one in chunk}
        legs = self._truth.legs(tenant_id, list(versions))
        stored: dict[tuple[Pair, str], int] = {}
        for start in range(0, len(legs), _CHUNK):
            part = [(leg.pair, leg.transaction_id) for leg in legs[start : start + _CHUNK]]
            stored |= self._projection.versions(tenant_id, part)
        behind = {
            leg.transaction_id
            for leg in legs
            if stored.get((leg.pair, leg.transaction_id), 0) < leg.version
        }
        for _, group in _grouped(leg for leg in legs if leg.transaction_id in behind):
            self._online.take_legs(group)
        return len(behind)


class CheckRun:
    """The state "Check completeness": what a run is about, and how far the check is."""

    def __init__(self, check: CheckCompleteness, clock: Clock) -> None:
        self._check = check
        self._clock = clock

    def check(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Check some pages more. An input that names no date means today, and the usual window.

        Raises InvalidInput for a date or a window that is none.
        """
        before = event.get("completeness") or {}
        on = str(before.get("reference_date") or event.get("reference_date") or "")
        on = on or self._clock().date().isoformat()
        days = int(before.get("window_days") or event.get("window_days") or WINDOW_DAYS)
        first, _ = window(on, days)
        found = self._check.check(str(event["tenant_id"]), first, Completeness.from_plain(before))
        return {**found.to_plain(), "reference_date": on, "window_days": days}


def _grouped(legs: Iterator[Leg]) -> Iterator[tuple[str, tuple[Leg, ...]]]:
    """Legs by transaction, in order of appearance."""
    groups: dict[str, list[Leg]] = {}
    for leg in legs:
        groups.setdefault(leg.transaction_id, []).append(leg)
    for identifier, group in groups.items():
        yield identifier, tuple(group)
