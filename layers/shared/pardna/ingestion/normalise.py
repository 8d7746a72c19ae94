"""Normalise raw bytes: parse, judge, record, let the news leave.

Numbered write boundaries, each of which may be the last thing that a process does:
1. what banks say of payments is applied     3. the news leave the database (the outbox's own two)
2. the delivery is recorded, in one database transaction with all that it says
All of them may be repeated. The delivery's row comes after the answers, so that a delivery that has
a row is done, and the sweep finds one that is not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pardna.formats import registry
from pardna.formats.model import Parsed, Problem
from pardna.ingestion.model import RawKey, Receipt, SourceProfile
from pardna.ingestion.ports import Drain, PaymentAnswers, RawStore, Sources, Tenants
from pardna.ingestion.quality import Judged, judge
from pardna.runtime.clock import Clock
from pardna.runtime.errors import InvalidInput, PardnaError, TooLarge
from pardna.runtime.observability import count, logger
from pardna.transactions.ports import (
    Batch,
    Delivery,
    DeliveryStatus,
    Outcome,
    Recorded,
    TransactionStore,
)

PRINCIPAL = "system:ingestion"
#: What arrived this recently has its event still on the way.
SWEEP_GRACE = timedelta(minutes=5)
SWEEP_PAGE = 500
#: Events that leave at once; the schedule takes the rest, so that no file is too large for its time.
DRAIN_MAX = 2_000


@dataclass(frozen=True, slots=True)
class Normalised:
    """What became of one raw object; counts and the delivery's status."""

    status: DeliveryStatus
    new_count: int = 0
    changed_count: int = 0
    unchanged_count: int = 0
    rejected_count: int = 0


@dataclass(frozen=True, slots=True)
class NormaliseObject:
    """The use case."""

    raw: RawStore
    sources: Sources
    store: TransactionStore
    answers: PaymentAnswers
    relay: Drain

    def normalise(self, key: RawKey, correlation_id: str) -> Normalised:
        """Make canonical what a raw object says; again, nothing changes.

        A file that cannot be read is a result (REFUSED), not an error. Raises Unavailable,
        NotFound (the bytes, or the source's profile, are not there) and Conflict (bytes that are
        not the key's): try again later, then look.
        """
        data, receipt = self.raw.get(key)
        if key.receipt:
            return self._received_again(key, receipt, correlation_id)
        profile = self.sources.get(key.tenant_id, receipt.source_id)
        try:
            parsed = _parse(data, profile, key.raw_sha256)
        except (InvalidInput, TooLarge) as error:
            refused = Problem(error.code, "file", error.detail)
            return self._record(key, receipt, correlation_id, Parsed(""), _refused(refused))
        closings = self._closings(key.tenant_id, parsed)
        judged = judge(parsed, receipt.source_id, key.raw_sha256, profile.currency, closings)
        if parsed.statuses:
            self.answers.apply(key.tenant_id, parsed.statuses, correlation_id)  # boundary 1
        return self._record(key, receipt, correlation_id, parsed, judged)

    def _closings(self, tenant_id: str, parsed: Parsed) -> dict[int, set[int]]:
        """Where each statement, by its place in the file, may begin."""
        return {
            place: self.store.closings(tenant_id, s.source, s.currency, s.from_date)
            for place, s in enumerate(parsed.statements)
            if s.from_date is not None and s.opening_minor is not None
        }

    def _received_again(self, key: RawKey, receipt: Receipt, correlation_id: str) -> Normalised:
        """The same bytes under another name: known, and without effect."""
        again = Problem("file.duplicate", "file", "these bytes were received before")
        judged = Judged(DeliveryStatus.DUPLICATE, (), (), (), (again,))
        return self._record(key, receipt, correlation_id, Parsed(""), judged)

    def _record(
        self, key: RawKey, receipt: Receipt, correlation_id: str, parsed: Parsed, judged: Judged
    ) -> Normalised:
        delivery = Delivery(
            source_id=receipt.source_id,
            channel=receipt.channel,
            name=receipt.name,
            raw_sha256=key.raw_sha256,
            received_at=receipt.received_at,
            status=judged.status,
            format=parsed.format,
            entries_count=parsed.entries_count,
            problems=tuple(_shown(p) for p in judged.problems),
        )
        batch = Batch(
            correlation_id=correlation_id,
            delivery=delivery,
            statements=judged.statements,
            transactions=judged.transactions,
            rejected=judged.rejected,
        )
        recorded = self.store.record(key.tenant_id, PRINCIPAL, batch)  # boundary 2
        self.relay.drain(key.tenant_id, DRAIN_MAX)  # boundary 3
        return _result(key, judged, recorded)


@dataclass(frozen=True, slots=True)
class SweepRaw:
    """Finds raw objects that nothing was ever made of, and normalises them."""

    raw: RawStore
    store: TransactionStore
    normaliser: NormaliseObject
    tenants: Tenants
    clock: Clock

    def sweep(self, correlation_id: str, tenant_id: str = "") -> int:
        """Normalise what has no delivery; returns how many objects. One tenant's, or everyone's.

        What fails again is counted and left for the next sweep; the last error is raised.
        """
        done, trouble = 0, None
        for tenant in [tenant_id] if tenant_id else self.tenants.tenant_ids():
            for key in self._forgotten(tenant):
                try:
                    self.normaliser.normalise(key, correlation_id)
                    done += 1
                except PardnaError as error:
                    logger.info("Not normalised", tenant_id=tenant, error_code=error.code)
                    count("SweepFailed")
                    trouble = error
        count("RawSwept", done)
        if trouble is not None:
            raise trouble
        return done

    def _forgotten(self, tenant_id: str) -> list[RawKey]:
        found: list[RawKey] = []
        page: list[RawKey] = []
        for key in self.raw.keys(tenant_id, self.clock() - SWEEP_GRACE):
            if not key.receipt:
                page.append(key)
            if len(page) == SWEEP_PAGE:
                found += self._without_delivery(tenant_id, page)
                page = []
        return found + self._without_delivery(tenant_id, page)

    def _without_delivery(self, tenant_id: str, page: Sequence[RawKey]) -> list[RawKey]:
        if not page:
            return []
        missing = self.store.undelivered(tenant_id, [k.raw_sha256 for k in page])
        return [k for k in page if k.raw_sha256 in missing]


def _parse(data: bytes, profile: SourceProfile, raw_sha256: str) -> Parsed:
    """By the source's own layout where it has one, else by what the bytes are."""
    origin = profile.origin(raw_sha256)
    if profile.layout:
        return registry.parse_by_profile(data, origin, profile.layout)
    return registry.parse(data, origin, profile.format)


def _refused(problem: Problem) -> Judged:
    return Judged(DeliveryStatus.REFUSED, (), (), (), (problem,))


def _shown(problem: Problem) -> Mapping[str, Any]:
    return {
        "code": problem.code,
        "position": problem.position,
        "reason": problem.reason,
        "severity": problem.severity.value,
    }


def _result(key: RawKey, judged: Judged, recorded: Sequence[Recorded]) -> Normalised:
    """Count it, say it, hand it back."""
    of = {outcome: sum(r.outcome is outcome for r in recorded) for outcome in Outcome}
    result = Normalised(
        judged.status,
        of[Outcome.NEW],
        of[Outcome.CHANGED],
        of[Outcome.UNCHANGED],
        len(judged.rejected) + of[Outcome.REFUSED],
    )
    logger.info(
        "Raw object normalised",
        tenant_id=key.tenant_id,
        raw_sha256=key.raw_sha256,
        status=result.status.value,
        new_count=result.new_count,
        changed_count=result.changed_count,
        unchanged_count=result.unchanged_count,
        rejected_count=result.rejected_count,
    )
    count(f"Delivery{''.join(w.title() for w in result.status.value.split('_'))}")
    if result.rejected_count:
        count("RowsQuarantined", result.rejected_count)
    return result
