"""Large files: read once in bounded memory, judged, put into the lake in parts, recorded part by part.

Staging. Numbered write boundaries, each of which may be the last thing that a process does:
1. a part of rows is put into the lake (repeated: the same bytes under the same key)
2. the delivery is staged, in one database transaction with its statements, its quarantined rows and
   the announcement that its parts wait
3. the announcement leaves the database (the outbox's own two)
Nothing counts before 2: parts of a file that turns out to be broken stay unread, and expire.

A replay goes the same road beside the first reading, under its own name: its parts are read, staged
and recorded again, and what counts already counts no second time.

Recording a part. All of them may be repeated:
1. the part's rows are recorded, in one database transaction
2. they are put into the lake as Parquet
3. the part is finished; the last one writes the delivery and announces it, in the same transaction
4. the announcement leaves the database
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pardna.formats.items import Item
from pardna.ingestion.contested import Identities, standing
from pardna.ingestion.model import RawKey
from pardna.ingestion.ports import Drain
from pardna.ingestion.quality import Gate, Verdict
from pardna.runtime.errors import NotFound
from pardna.runtime.observability import count, logger
from pardna.transactions.bulk import BulkStore, PartCounts, PartFiles, StagedDelivery, Stands
from pardna.transactions.lake import (
    PART_ROWS,
    PartMessage,
    StagedRow,
    from_lines,
    part_key,
    staged_key,
    to_lines,
)
from pardna.transactions.model import Transaction, canonical, from_dict

PRINCIPAL = "system:ingestion"
DRAIN_MAX = 100

Parquet = Callable[[Iterable[tuple[str, int, str]]], bytes]


def staged_row(t: Transaction, group: str) -> StagedRow:
    """A transaction as it waits in the lake."""
    body, digest = canonical(t)
    return StagedRow(t.transaction_id, digest, group, body)


@dataclass(frozen=True, slots=True)
class StageDelivery:
    """The use case: a large file's way into the lake."""

    files: PartFiles
    store: BulkStore
    relay: Drain

    def waits(self, tenant_id: str, raw_sha256: str, replay_id: str) -> StagedDelivery | None:
        """The delivery, if these bytes were staged before; by this replay, where there is one."""
        return self.store.staged(tenant_id, raw_sha256, replay_id)

    def read(
        self,
        tenant_id: str,
        raw_sha256: str,
        gate: Gate,
        items: Iterable[Item],
        replay_id: str = "",
        identities: Identities | None = None,
    ) -> int:
        """Put the rows of a file that may count into the lake; how many parts there are.

        `identities` hears of each. Raises what the reader raises, and Unavailable.
        """
        parts, rows = 0, list[StagedRow]()
        for item in items:
            group = gate.see(item)
            if group and isinstance(item, Transaction):
                rows.append(staged_row(item, group))
                if identities is not None:
                    identities.note(rows[-1], item, parts + 1)
            if len(rows) == PART_ROWS:
                parts += 1
                self._put(staged_key(tenant_id, raw_sha256, parts, replay_id), rows)
                rows = []
        if rows:
            parts += 1
            self._put(staged_key(tenant_id, raw_sha256, parts, replay_id), rows)
        return parts

    def standing(
        self, key: RawKey, replay_id: str, verdict: Verdict, heads: set[str], parts: set[int]
    ) -> dict[str, Stands]:
        """What counts of identities of which two parts may say different things (`contested`)."""

        def rows_of(part: int) -> Iterable[StagedRow]:
            found = self.files.get(staged_key(key.tenant_id, key.raw_sha256, part, replay_id))
            return (row for row in from_lines(found) if verdict.counts(row.group))

        return standing(heads, parts, rows_of, lambda body: from_dict(json.loads(body)))

    def _put(self, key: str, rows: Iterable[StagedRow]) -> None:
        self.files.put(key, to_lines(rows))  # boundary 1

    def stage(self, tenant_id: str, staged: StagedDelivery, verdict: Verdict) -> None:
        """Let the parts be recorded."""
        self.store.stage(
            tenant_id, PRINCIPAL, staged, verdict.statements, verdict.rejected
        )  # boundary 2
        count("DeliveryStaged")
        self.relay.drain(tenant_id, DRAIN_MAX)  # boundary 3


@dataclass(frozen=True, slots=True)
class RecordPart:
    """The use case: a part of a large delivery becomes canonical."""

    files: PartFiles
    store: BulkStore
    relay: Drain
    parquet: Parquet

    def record(self, message: PartMessage) -> PartCounts | None:
        """Record a part; None when it was recorded before. Raises NotFound, Unavailable."""
        tenant_id, raw_sha256 = message.tenant_id, message.raw_sha256
        if self.store.is_recorded(message):
            self.relay.drain(tenant_id, DRAIN_MAX)
            return None
        staged = self.store.staged(tenant_id, raw_sha256, message.replay_id)
        if staged is None or not 1 <= message.part <= staged.parts:
            raise NotFound("bulk.not_staged", "no such part waits")
        rows = [
            r
            for r in from_lines(self.files.get(message.staged_key))
            if r.group not in staged.refused_groups
        ]
        recorded = self.store.record_part(tenant_id, PRINCIPAL, staged, rows)  # boundary 1
        key = part_key(tenant_id, raw_sha256, message.part)
        self.files.put(key, self.parquet(recorded.rows))  # boundary 2
        closed = self.store.finish_part(
            tenant_id, PRINCIPAL, message, recorded.counts
        )  # boundary 3
        self.relay.drain(tenant_id, DRAIN_MAX)  # boundary 4
        logger.info(
            "Part recorded",
            tenant_id=tenant_id,
            raw_sha256=raw_sha256,
            part=message.part,
            new_count=recorded.counts.new,
            changed_count=recorded.counts.changed,
            unchanged_count=recorded.counts.unchanged,
            refused_count=recorded.counts.refused,
        )
        if recorded.counts.refused:
            count("RowsQuarantined", recorded.counts.refused)
        if closed:
            count("DeliveryRecorded")
        return recorded.counts
