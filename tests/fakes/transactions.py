"""A transaction store in memory that can fail on demand; held to the same contract tests."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import date
from threading import Lock

from pardna.runtime.errors import InvalidInput, Unavailable
from pardna.runtime.events import Envelope
from pardna.transactions.merging import merge
from pardna.transactions.model import Transaction
from pardna.transactions.ports import (
    Batch,
    Delivery,
    DeliveryStatus,
    Outcome,
    Recorded,
    Rejected,
    StatementRecord,
    of_known_event,
)
from pardna.transactions.recorded import TransactionRecorded


class MemoryTransactionStore:
    """`TransactionStore`; `fail_next` makes the next writes raise, `announced` is its outbox."""

    def __init__(self) -> None:
        self.heads: dict[tuple[str, str], Recorded] = {}
        self.announced: dict[str, Envelope] = {}
        self.rejected: dict[tuple[str, str, str, str], Rejected] = {}
        self.statements: dict[tuple[str, str, str, str], StatementRecord] = {}
        self.received: dict[tuple[str, str, str, str], Delivery] = {}
        self.events: dict[tuple[str, str, str], str] = {}
        self.fail_next = 0
        self._lock = Lock()

    def record(self, tenant_id: str, principal: str, batch: Batch) -> list[Recorded]:
        with self._lock:
            if self.fail_next:
                self.fail_next -= 1
                raise Unavailable("database.unavailable", "told to fail")
            if any(t.tenant_id != tenant_id for t in batch.transactions):
                raise InvalidInput("transaction.tenant", "a transaction of another tenant")
            batch = self._claim(tenant_id, batch)
            wanted: dict[str, Transaction] = {}
            for said in batch.transactions:
                known = wanted.get(said.transaction_id)
                wanted[said.transaction_id] = merge(known, said) if known else said
            steps = {i: self._step(tenant_id, wanted[i], batch) for i in sorted(wanted)}
            self._keep(tenant_id, batch)
            return list(steps.values())

    def get(self, tenant_id: str, transaction_ids: Collection[str]) -> dict[str, Recorded]:
        return {
            i: Recorded(head.transaction, head.version, Outcome.UNCHANGED)
            for i in transaction_ids
            if (head := self.heads.get((tenant_id, i)))
        }

    def deliveries(self, tenant_id: str, raw_sha256: str) -> list[Delivery]:
        found = [d for k, d in self.received.items() if k[0] == tenant_id and k[2] == raw_sha256]
        return sorted(found, key=lambda d: (d.received_at, d.source_id, d.name))

    def closings(self, tenant_id: str, source: str, currency: str, day: date) -> set[int]:
        ending = [
            (s.to_date, s.closing_minor)
            for (tenant, _, _, _), s in self.statements.items()
            if (tenant, s.source, s.currency) == (tenant_id, source, currency)
            and s.closing_minor is not None
            and s.to_date is not None
            and s.to_date <= day
        ]
        since = max((at for at, _ in ending if at < day), default=day)
        return {closing for at, closing in ending if at >= since}

    def undelivered(self, tenant_id: str, hashes: Sequence[str]) -> set[str]:
        return set(hashes) - {
            k[2] for k, d in self.received.items() if k[0] == tenant_id and not d.is_copy
        }

    def _step(self, tenant_id: str, new: Transaction, batch: Batch) -> Recorded:
        key = (tenant_id, new.transaction_id)
        head = self.heads.get(key)
        try:
            merged = new if head is None else merge(head.transaction, new)
        except InvalidInput as error:
            source = batch.delivery.source_id if batch.delivery else new.source
            position = new.raw_position or new.transaction_id
            self._reject(
                tenant_id, Rejected(new.raw_sha256, position, source, error.code, error.detail)
            )
            assert head is not None
            return Recorded(head.transaction, head.version, Outcome.REFUSED, error.detail)
        if head is not None and merged.content_hash == head.transaction.content_hash:
            return Recorded(head.transaction, head.version, Outcome.UNCHANGED)
        version = head.version + 1 if head else 1
        step = Recorded(merged, version, Outcome.CHANGED if head else Outcome.NEW)
        self.heads[key] = step
        previous = head.transaction if head else None
        envelope = TransactionRecorded(merged, version, previous).to_envelope(
            "2026-01-01T00:00:00.000Z", batch.correlation_id
        )
        self.announced[envelope.event_id] = envelope
        return step

    def _keep(self, tenant_id: str, batch: Batch) -> None:
        for s in batch.statements:
            self.statements.setdefault((tenant_id, s.source, s.statement_id, s.raw_sha256), s)
        for r in batch.rejected:
            self._reject(tenant_id, r)
        if (d := batch.delivery) is not None:
            key = (tenant_id, d.source_id, d.raw_sha256, d.name)
            before = self.received.setdefault(key, d)
            if before.status in (DeliveryStatus.QUARANTINED, DeliveryStatus.REFUSED):
                self.received[key] = d

    def _claim(self, tenant_id: str, batch: Batch) -> Batch:
        d = batch.delivery
        if d is None or not d.event_id or not d.counts:
            return batch
        if self.events.setdefault((tenant_id, d.source_id, d.event_id), d.raw_sha256) == d.raw_sha256:  # fmt: skip
            return batch
        known = replace(d, status=DeliveryStatus.DUPLICATE, problems=(of_known_event(),))
        return Batch(batch.correlation_id, known)

    def _reject(self, tenant_id: str, r: Rejected) -> None:
        self.rejected.setdefault((tenant_id, r.raw_sha256, r.position, r.code), r)
