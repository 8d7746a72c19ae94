"""Sweep: normalise what was begun and came to nothing, and what no message ever told of.

Its cost does not grow with the raw bucket: what was begun stands in rows, and of the bucket so many
pages are looked through a sweep, going on where the one before ended. Numbered write boundaries:
1. an object is normalised (`pardna.ingestion.normalise` has its own)
2. how far a page has brought us is written down
After a death before 2 the page is looked through again, and nothing of it counts twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from pardna.ingestion.model import RawKey
from pardna.ingestion.normalise import NormaliseObject
from pardna.ingestion.pending import PendingBook
from pardna.ingestion.ports import RawStore, Tenants
from pardna.runtime.clock import Clock
from pardna.runtime.errors import PardnaError
from pardna.runtime.observability import count, logger
from pardna.transactions.ports import TransactionStore

#: What arrived, or was begun, this recently is still on its way.
GRACE = timedelta(minutes=5)
#: What an object store lists in one call.
PAGE_OBJECTS = 1_000
#: Pages that a sweep looks through, all tenants together; each has at least one.
PAGES = 100
#: Of what was begun and came to nothing, so much of each tenant's is tried again in one sweep.
WAITING_MAX = 500


@dataclass(frozen=True, slots=True)
class SweepRaw:
    """The use case."""

    raw: RawStore
    store: TransactionStore
    normaliser: NormaliseObject
    pending: PendingBook
    tenants: Tenants
    clock: Clock
    pages: int = PAGES

    def sweep(self, correlation_id: str, tenant_id: str = "") -> int:
        """Normalise what has no delivery; returns how many objects.

        One tenant that is named is looked through as a whole; of everyone's objects a share is, and
        the next sweep goes on there. What fails again is counted and left for a later sweep; the
        last error is raised.
        """
        done, trouble = 0, None
        for key in self._found(tenant_id):
            try:
                self.normaliser.normalise(key, correlation_id)
                done += 1
            except PardnaError as error:
                logger.info("Not normalised", tenant_id=key.tenant_id, error_code=error.code)
                count("SweepFailed")
                trouble = error
        count("RawSwept", done)
        if trouble is not None:
            raise trouble
        return done

    def _found(self, tenant_id: str) -> Iterator[RawKey]:
        if tenant_id:
            yield from self._of(tenant_id, "", None)
            return
        tenants = list(self.tenants.tenant_ids())
        if not tenants:
            return
        # Another tenant is first each hour, so that a sweep that runs out of time starves nobody.
        first = int(self.clock().timestamp()) // 3600 % len(tenants)
        share = max(1, self.pages // len(tenants))
        for tenant in tenants[first:] + tenants[:first]:
            yield from self._of(tenant, self.pending.place(tenant), share)

    def _of(self, tenant_id: str, place: str, share: int | None) -> Iterator[RawKey]:
        begun = self.pending.waiting(tenant_id, self.clock() - GRACE, WAITING_MAX)
        yield from begun
        again = set(begun)  # what has just failed would fail once more
        for key in self._forgotten(tenant_id, place, share):
            if key not in again:
                yield key

    def _forgotten(self, tenant_id: str, place: str, share: int | None) -> Iterator[RawKey]:
        """What no delivery names, of `share` pages from a place on, or of all."""
        before, after, seen = self.clock() - GRACE, place, 0
        while share is None or seen < share:
            page = self.raw.page(tenant_id, after, before, PAGE_OBJECTS)
            hashes = [k.raw_sha256 for k in page.keys if not k.receipt]
            missing = self.store.undelivered(tenant_id, hashes) if hashes else set()
            yield from (k for k in page.keys if not k.receipt and k.raw_sha256 in missing)
            after, seen = page.next, seen + 1
            if share is not None and after != place:
                self.pending.set_place(tenant_id, after)  # boundary 2
                place = after
            if not after:
                return
