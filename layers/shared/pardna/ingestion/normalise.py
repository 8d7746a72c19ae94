"""Normalise raw bytes: parse, judge, record, let the news leave.

Numbered write boundaries, each of which may be the last thing that a process does:
1. what banks say of payments is applied     3. the news leave the database (the outbox's own two)
2. the delivery is recorded, in one database transaction with all that it says
4. an object that is too large for this function's time is handed over (announced, then 3)
5. the events that a poll told of are written down, before the delivery that is then done
6. that an object is being read is written down, before all else; 2 takes it away
The quality gate has two of its own, before 1 and before 2 (`pardna.ingestion.quality_gate`).
A file of very many rows is staged instead of 2 and 3; see `pardna.ingestion.bulk` for its own.
All of them may be repeated. The delivery's row comes after the answers, so that a delivery that has
a row is done, and the sweep finds one that is not.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence, Set
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, BinaryIO

from pardna.formats import registry
from pardna.formats.items import Item, collect
from pardna.formats.model import Parsed, PaymentStatus, Problem, Statement
from pardna.formats.streaming import open_stream
from pardna.ingestion.bulk import StageDelivery
from pardna.ingestion.card_numbers import mask
from pardna.ingestion.contested import CONTESTED_MAX, Identities
from pardna.ingestion.event_gaps import EventBook, remember_polled
from pardna.ingestion.model import RawKey, Receipt, SourceProfile
from pardna.ingestion.pending import PendingBook
from pardna.ingestion.ports import (
    Drain,
    LargeObjects,
    PaymentAnswers,
    RawObject,
    RawStore,
    Sources,
)
from pardna.ingestion.quality import Expected, Gate, Judged, Verdict, judge_expected
from pardna.ingestion.quality_gate import QualityGate
from pardna.runtime.errors import InvalidInput, PardnaError, TooLarge
from pardna.runtime.observability import count, logger
from pardna.transactions.bulk import StagedDelivery
from pardna.transactions.lake import ROWS_ONLINE
from pardna.transactions.ports import (
    COPY,
    Batch,
    Delivery,
    DeliveryStatus,
    Outcome,
    Recorded,
    TransactionStore,
)

PRINCIPAL = "system:ingestion"
#: Events that leave at once; the schedule takes the rest, so that no file is too large for its time.
DRAIN_MAX = 2_000
#: No file of fewer bytes has more than `ROWS_ONLINE` rows.
BULK_BYTES = 64 * 1024
#: What the function for usual objects surely reads and records in its time.
LARGE_BYTES = 1024 * 1024


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
    """The use case.

    With `bulk` a file of more than `ROWS_ONLINE` rows takes the bulk road; with `large` an object of
    more than `LARGE_BYTES` is left to whoever has the time for it.
    """

    raw: RawStore
    sources: Sources
    store: TransactionStore
    answers: PaymentAnswers
    relay: Drain
    bulk: StageDelivery | None = None
    large: LargeObjects | None = None
    gate: QualityGate | None = None
    events: EventBook | None = None
    pending: PendingBook | None = None

    def normalise(self, key: RawKey, correlation_id: str, replay_id: str = "") -> Normalised:
        """Make canonical what a raw object says; again, nothing changes.

        A large object that was staged is done, unless a replay (`replay_id`) asks for it anew.
        A file that cannot be read is a result (REFUSED), not an error. Raises Unavailable,
        NotFound (the bytes, or the source's profile, are not there) and Conflict (bytes that are
        not the key's): try again later, then look.
        """
        with self.raw.open(key) as found:
            if key.receipt:
                return self._received_again(key, found.receipt, correlation_id)
            if self.pending is not None:
                self.pending.begin(key, found.receipt)  # boundary 6
            profile = self.sources.get(key.tenant_id, found.receipt.source_id)
            if self.large is not None and found.size > LARGE_BYTES:
                self.large.hand_over(key, correlation_id, replay_id)  # boundary 4
                self.relay.drain(key.tenant_id, DRAIN_MAX)  # boundary 3
                return Normalised(DeliveryStatus.ACCEPTED)
            if self.events is not None:
                remember_polled(self.events, key, found)  # boundary 5
            try:
                return self._read(key, found, profile, correlation_id, replay_id)
            except _NotReadable as error:
                refused = _refused(Problem(error.code, "file", error.detail))
                return self._record(key, found.receipt, correlation_id, Parsed(""), refused)

    def _read(
        self,
        key: RawKey,
        found: RawObject,
        profile: SourceProfile,
        correlation_id: str,
        replay_id: str,
    ) -> Normalised:
        """Read a file by the road that its size calls for. Raises _NotReadable."""
        file = found.file()
        if self.bulk is None or found.size < BULK_BYTES:
            expected = self._expected(key, file, found.receipt, profile)
            with _reading():
                parsed = _parse(file.read(), profile, key.raw_sha256)
            return self._judge_and_record(key, found.receipt, correlation_id, parsed, expected)
        waiting = self.bulk.waits(key.tenant_id, key.raw_sha256, replay_id)
        if waiting is not None:
            self.relay.drain(key.tenant_id, DRAIN_MAX)  # boundary 3
            return Normalised(waiting.delivery.status)
        expected = self._expected(key, file, found.receipt, profile)
        name, items = _stream(file, profile, key.raw_sha256)
        with closing(items):  # before the file that they come from
            first = list(islice(items, ROWS_ONLINE + 1))
            every = chain(first, items)
            if len(first) <= ROWS_ONLINE or isinstance(first[0], PaymentStatus):
                parsed = collect(name, every)
                return self._judge_and_record(key, found.receipt, correlation_id, parsed, expected)
            cause = (correlation_id, replay_id)
            return self._stage(key, found.receipt, cause, Gate(expected, name), every)

    def _stage(
        self,
        key: RawKey,
        receipt: Receipt,
        cause: tuple[str, str],
        gate: Gate,
        items: Iterator[Item],
    ) -> Normalised:
        """The bulk road: rows go to the lake as they are read, and count once the file is judged.

        `cause` is the correlation id, and the replay that asks, or empty.
        """
        assert self.bulk is not None  # noqa: S101  (for the type checker: `_read` asked)
        correlation_id, replay_id = cause
        with closing(Identities()) as identities:
            parts = self.bulk.read(
                key.tenant_id, key.raw_sha256, gate, items, replay_id, identities
            )
            heads, of_parts = identities.contested()
        if len(heads) > CONTESTED_MAX:
            words = f"more than {CONTESTED_MAX} rows contradict an earlier one"
            gate.see(Problem("control.identities", "file", words))
        verdict = gate.verdict()
        self._settle(key, receipt, gate.format, verdict)
        result = Normalised(verdict.status, rejected_count=len(verdict.rejected))
        delivery = _delivery(key, receipt, gate.format, verdict.entries_count, verdict)
        if verdict.good_count:
            stands = self.bulk.standing(key, replay_id, verdict, heads, of_parts)
            staged = StagedDelivery(
                delivery, parts, correlation_id, verdict.refused_groups, replay_id, stands
            )
            self.bulk.stage(key.tenant_id, staged, verdict)
        else:
            batch = Batch(correlation_id, delivery, verdict.statements, (), verdict.rejected)
            self.store.record(key.tenant_id, PRINCIPAL, batch)  # boundary 2
        return _told(key, result)

    def _expected(
        self, key: RawKey, file: BinaryIO, receipt: Receipt, profile: SourceProfile
    ) -> Expected:
        """What is known of a file before it is read."""
        if self.gate is not None:
            return self.gate.expect(key, file, receipt, profile)
        return Expected(
            receipt.source_id,
            key.raw_sha256,
            profile.currency,
            closings=lambda _place, statement: self._closings(key.tenant_id, statement),
        )

    def _judge_and_record(
        self,
        key: RawKey,
        receipt: Receipt,
        correlation_id: str,
        parsed: Parsed,
        expected: Expected,
    ) -> Normalised:
        judged = judge_expected(parsed, expected)
        self._settle(key, receipt, parsed.format, judged)
        if parsed.statuses:
            self.answers.apply(key.tenant_id, parsed.statuses, correlation_id)  # boundary 1
        return self._record(key, receipt, correlation_id, parsed, judged)

    def _settle(self, key: RawKey, receipt: Receipt, name: str, found: Judged | Verdict) -> None:
        """What the gate leaves behind."""
        if self.gate is not None:
            self.gate.settle(key, receipt, name, found.facts, found.card_numbers_count)

    def _closings(self, tenant_id: str, s: Statement) -> Set[int]:
        """Where a statement may begin."""
        if s.from_date is None or s.opening_minor is None:
            return frozenset()
        return self.store.closings(tenant_id, s.source, s.currency, s.from_date)

    def _received_again(self, key: RawKey, receipt: Receipt, correlation_id: str) -> Normalised:
        """The same bytes under another name: known, and without effect."""
        again = Problem(COPY, "file", "these bytes were received before")
        judged = Judged(DeliveryStatus.DUPLICATE, (), (), (), (again,))
        return self._record(key, receipt, correlation_id, Parsed(""), judged)

    def _record(
        self, key: RawKey, receipt: Receipt, correlation_id: str, parsed: Parsed, judged: Judged
    ) -> Normalised:
        delivery = _delivery(key, receipt, parsed.format, parsed.entries_count, judged)
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


def _parse(data: bytes, profile: SourceProfile, raw_sha256: str) -> Parsed:
    """By the source's own layout where it has one, else by what the bytes are."""
    origin = profile.origin(raw_sha256)
    if profile.layout:
        return registry.parse_by_profile(data, origin, profile.layout)
    return registry.parse(data, origin, profile.format)


def _stream(
    file: BinaryIO, profile: SourceProfile, raw_sha256: str
) -> tuple[str, Generator[Item, None, None]]:
    """`_parse` for files of any size."""
    origin = profile.origin(raw_sha256)
    layout = None
    with _reading():
        if profile.layout:
            from pardna.formats.profile import read_profile  # pydantic: no other reader needs it

            layout = read_profile(profile.layout)
        name, items = open_stream(file, origin, layout, profile.format)
    return name, _guarded(items)


class _NotReadable(Exception):
    """A reader's error, told from everybody else's."""

    def __init__(self, error: PardnaError) -> None:
        super().__init__(error.code)
        self.code, self.detail = error.code, error.detail


@contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except (InvalidInput, TooLarge) as error:
        raise _NotReadable(error) from error


def _guarded(items: Iterator[Item]) -> Generator[Item, None, None]:
    """Items, and a reader's errors as what they are."""
    with _reading():
        yield from items


def _delivery(
    key: RawKey, receipt: Receipt, name: str, entries_count: int, judged: Judged | Verdict
) -> Delivery:
    return Delivery(
        source_id=receipt.source_id,
        channel=receipt.channel,
        name=mask(receipt.name),
        raw_sha256=key.raw_sha256,
        received_at=receipt.received_at,
        status=judged.status,
        format=name,
        entries_count=entries_count,
        problems=tuple(_shown(p) for p in judged.problems),
        event_id=receipt.event_id,
    )


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
    """Count what recording did, and say it."""
    of = {outcome: sum(r.outcome is outcome for r in recorded) for outcome in Outcome}
    result = Normalised(
        judged.status,
        of[Outcome.NEW],
        of[Outcome.CHANGED],
        of[Outcome.UNCHANGED],
        len(judged.rejected) + of[Outcome.REFUSED],
    )
    return _told(key, result)


def _told(key: RawKey, result: Normalised) -> Normalised:
    """Say what became of an object."""
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
