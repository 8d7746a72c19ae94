"""What the ledger needs done on a schedule: months ahead, holds that expire, snapshots, seals."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, timedelta
from typing import Protocol

from pardna.runtime.clock import Clock

#: Months of partitions that always exist ahead; one missed run of the schedule must not matter.
MONTHS_AHEAD = 12
#: Journals in a block: proofs stay a dozen hashes, and sealing one takes well under a second.
BLOCK_JOURNALS = 4_096
#: Rounds of one run, so that a run ends; the next run goes on.
ROUNDS_MAX = 50


class Upkeep(Protocol):
    """One tenant's upkeep; each call is a transaction of its own."""

    def make_months(self, first_day: date, months: int) -> int:
        """Partitions from the month of `first_day`; returns how many were new."""

    def expire_holds(self, tenant_id: str) -> int:
        """End some of the holds whose time is over; zero when none is left."""

    def drain(self, tenant_id: str) -> None:
        """Wait until no posting is under way: all later ones have later times."""

    def take_snapshot(self, tenant_id: str, day: date) -> int:
        """Totals at the end of a day before the last drain; zero when it was taken before."""

    def seal(self, tenant_id: str, journals: int) -> bool:
        """Seal the next block; False when nothing is settled."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What a run did."""

    months: int
    holds_expired: int
    accounts_moved: int
    blocks_sealed: int


def keep(upkeep: Upkeep, tenant_id: str, clock: Clock) -> Kept:
    """Do all of it for a tenant; again, or by two at once, does no harm. Raises Unavailable."""
    today = clock().astimezone(UTC).date()
    months = upkeep.make_months(today, MONTHS_AHEAD)
    expired = 0
    for _ in range(ROUNDS_MAX):
        ended = upkeep.expire_holds(tenant_id)
        expired += ended
        if not ended:
            break
    upkeep.drain(tenant_id)
    moved = upkeep.take_snapshot(tenant_id, today - timedelta(days=1))
    blocks = 0
    while blocks < ROUNDS_MAX and upkeep.seal(tenant_id, BLOCK_JOURNALS):
        blocks += 1
    return Kept(months, expired, moved, blocks)
