"""What the ledger needs done on a schedule, for every tenant: each minute, and after each day.

All of it may be repeated, cut off anywhere, or run twice at once: each step is a transaction that does
what is left to do. A tenant whose step is refused is counted and passed over, so that it holds up
nobody else; a database that does not answer ends the run, and the next one goes on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, timedelta
from typing import Protocol

from pardna.ledger.anchor import Anchored, Anchoring
from pardna.runtime.clock import Clock
from pardna.runtime.errors import PardnaError, Unavailable
from pardna.runtime.observability import logger

#: Months of partitions that always exist ahead; one missed run of the schedule must not matter.
MONTHS_AHEAD = 12
#: Journals in a block: proofs stay a dozen hashes, and sealing one takes well under a second.
BLOCK_JOURNALS = 4_096
#: Rounds for one tenant in one run, so that it holds up nobody; the next run goes on.
ROUNDS_MAX = 50
#: Days for one tenant in one run: more than a year of days that nobody closed.
DAYS_MAX = 400


class MinuteUpkeep(Protocol):
    """What is due all the time. Each call is a transaction of its own; all raise Unavailable."""

    def tenants(self) -> list[str]:
        """Everybody who keeps books."""

    def expire_holds(self, tenant_id: str) -> int:
        """End some of the holds whose time is over; zero when none is left, or another does it."""

    def seal(self, tenant_id: str, journals: int) -> bool:
        """Seal the next block; False when nothing is settled, or another does it."""

    def unsealed_s(self, tenant_id: str) -> int:
        """Seconds that the oldest journal without a block has been waiting; 0 when there is none."""


class DayUpkeep(Protocol):
    """What is due when a day is over. Each call is repeatable; all raise Unavailable."""

    def tenants(self) -> list[str]:
        """Everybody who keeps books."""

    def make_months(self, first_day: date, months: int) -> int:
        """Partitions from the month of `first_day`; returns how many were new."""

    def months_ahead(self, day: date) -> int:
        """Months after that of `day` that can be posted to."""

    def close_next_day(self, tenant_id: str, last: date) -> bool:
        """Take the snapshot of the next day up to `last`; False when there is none to take."""

    def drifted(self, tenant_id: str) -> int:
        """Accounts whose balance is not what its entries add up to. Zero, ever."""


@dataclass(frozen=True, slots=True)
class MinuteKept:
    """What a run did, over all tenants."""

    tenants: int = 0
    holds_expired: int = 0
    blocks_sealed: int = 0
    seal_lag_s: int = 0
    refused: int = 0


@dataclass(frozen=True, slots=True)
class DayKept:
    """What a run did, over all tenants."""

    tenants: int = 0
    partitions_made: int = 0
    months_ahead: int = 0
    snapshots_taken: int = 0
    accounts_drifted: int = 0
    anchors_written: int = 0
    anchors_broken: int = 0
    refused: int = 0


def keep_minute(upkeep: MinuteUpkeep, clock: Clock) -> MinuteKept:
    """End the holds whose time is over and seal what is settled. Raises Unavailable."""
    done = MinuteKept()
    tenants = upkeep.tenants()
    # Another tenant comes first each minute: a run that is cut off never starves the same ones.
    first = int(clock().timestamp()) // 60 % len(tenants) if tenants else 0
    for tenant_id in tenants[first:] + tenants[:first]:
        done = replace(done, tenants=done.tenants + 1)
        try:
            for _ in range(ROUNDS_MAX):
                ended = upkeep.expire_holds(tenant_id)
                done = replace(done, holds_expired=done.holds_expired + ended)
                if not ended:
                    break
            for _ in range(ROUNDS_MAX):
                if not upkeep.seal(tenant_id, BLOCK_JOURNALS):
                    break
                done = replace(done, blocks_sealed=done.blocks_sealed + 1)
            lag = upkeep.unsealed_s(tenant_id)
            done = replace(done, seal_lag_s=max(done.seal_lag_s, lag))
        except Unavailable:
            raise
        except PardnaError as error:
            logger.error(
                "Upkeep refused", tenant_id=tenant_id, error_code=error.code, detail=error.detail
            )
            done = replace(done, refused=done.refused + 1)
    return done


def close_day(upkeep: DayUpkeep, anchoring: Anchoring, clock: Clock) -> DayKept:
    """Months ahead; then for each tenant the snapshots of days that are over, and today's anchor.

    Raises Unavailable.
    """
    today = clock().astimezone(UTC).date()
    made = upkeep.make_months(today, MONTHS_AHEAD + 1)
    done = DayKept(partitions_made=made, months_ahead=upkeep.months_ahead(today))
    for tenant_id in upkeep.tenants():
        done = replace(done, tenants=done.tenants + 1)
        try:
            for _ in range(DAYS_MAX):
                if not upkeep.close_next_day(tenant_id, today - timedelta(days=1)):
                    break
                done = replace(done, snapshots_taken=done.snapshots_taken + 1)
            drifted = upkeep.drifted(tenant_id)
            done = replace(done, accounts_drifted=done.accounts_drifted + drifted)
            anchored = anchoring.anchor(tenant_id, today)
        except Unavailable:
            raise
        except PardnaError as error:
            logger.error(
                "Upkeep refused", tenant_id=tenant_id, error_code=error.code, detail=error.detail
            )
            done = replace(done, refused=done.refused + 1)
            continue
        if anchored is Anchored.BROKEN:
            logger.error("An anchor is not on the chain", tenant_id=tenant_id)
        if drifted:
            logger.error("Balances drifted", tenant_id=tenant_id, accounts_count=drifted)
        done = replace(
            done,
            anchors_written=done.anchors_written + (anchored is Anchored.WRITTEN),
            anchors_broken=done.anchors_broken + (anchored is Anchored.BROKEN),
        )
    return done
