"""`BulkStore` in PostgreSQL: a part is copied into a temporary table and recorded from there.

The temporary table lives as long as the database transaction. COPY cannot write to a table with
row-level security itself, and behind RDS Proxy a temporary table pins its connection: the functions
that record parts are few.

Locks are taken in the same order as by `pardna.transactions.postgres`: identities that are not
there are inserted first, in id order; only then are heads locked.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from psycopg import Connection
from psycopg.types.json import Jsonb

from pardna.database.session import Database
from pardna.outbox.postgres import append
from pardna.runtime.clock import Clock, iso, utc_now
from pardna.runtime.errors import InvalidInput, NotFound
from pardna.runtime.events import DELIVERY_RECORDED, DELIVERY_STAGED, Envelope
from pardna.transactions.bulk import PartCounts, PartRecorded, StagedDelivery, said_of
from pardna.transactions.lake import PartMessage, StagedRow
from pardna.transactions.merging import contradiction, merge
from pardna.transactions.model import Transaction, canonical, from_dict, to_dict
from pardna.transactions.ports import (
    Delivery,
    DeliveryStatus,
    Outcome,
    Rejected,
    StatementRecord,
)
from pardna.transactions.postgres import record_in
from pardna.transactions.postgres_deliveries import (
    write_delivery,
    write_rejected,
    write_statements,
)
from pardna.transactions.postgres_quarantine import SEEN_WHEN_RECORDED, settle_replayed

_SAID = "CREATE TEMP TABLE said (transaction_id uuid, content_hash text, body jsonb) ON COMMIT DROP"
_KNOWN = (
    "SELECT said.transaction_id::text, head.version, head.content_hash = said.content_hash"
    " FROM said JOIN platform.transactions head ON head.tenant_id = %s"
    " AND head.transaction_id = said.transaction_id"
)
_FIELDS = (
    "source text, external_id text, side text, kind text, amount_minor bigint, currency text,"
    " occurred_at timestamptz, value_date date, gross_minor bigint, fee_minor bigint,"
    " net_minor bigint, batch_id text"
)
_NAMES = ", ".join(field.strip().split(" ")[0] for field in _FIELDS.split(","))
# Names and types are this module's own; every value comes from the table or is a parameter.
_INSERT = (
    f"INSERT INTO platform.transactions (tenant_id, transaction_id, version, {_NAMES}, content_hash,"  # noqa: S608
    f" body) SELECT %s, said.transaction_id, 1, {_NAMES}, said.content_hash, said.body"
    f" FROM said CROSS JOIN LATERAL jsonb_to_record(said.body) AS f ({_FIELDS})"
    " ORDER BY said.transaction_id ON CONFLICT DO NOTHING RETURNING transaction_id::text"
)
_VERSIONS = (
    "INSERT INTO platform.transaction_versions"
    " (tenant_id, transaction_id, version, content_hash, body, raw_sha256, raw_position)"
    " SELECT %(tenant)s, transaction_id, 1, content_hash, body, body ->> 'raw_sha256',"
    " body ->> 'raw_position' FROM said"
)
_STAGE = (
    "INSERT INTO platform.bulk_deliveries (tenant_id, raw_sha256, source_id, channel, name,"
    " received_at, status, format, entries_count, problems, refused_groups, parts_count,"
    " correlation_id, replay_id, standing)"
    " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
    " ON CONFLICT DO NOTHING"
)
_STAGED = (
    "SELECT source_id, channel, name, raw_sha256, received_at, status, format, entries_count,"
    " problems, parts_count, correlation_id, refused_groups, replay_id, standing, closed_at"
    " FROM platform.bulk_deliveries WHERE tenant_id = %s AND raw_sha256 = %s AND replay_id = %s"
)
_FINISH = (
    "INSERT INTO platform.bulk_parts (tenant_id, raw_sha256, replay_id, part, new_count,"
    " changed_count, unchanged_count, refused_count) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"
    " ON CONFLICT DO NOTHING"
)


class PostgresBulkStore:
    """`BulkStore` on the schema ``platform``."""

    def __init__(self, database: Database, clock: Clock = utc_now) -> None:
        self._database = database
        self._clock = clock

    def stage(
        self,
        tenant_id: str,
        principal: str,
        staged: StagedDelivery,
        statements: Sequence[StatementRecord],
        rejected: Sequence[Rejected],
    ) -> bool:
        """See `BulkStore`."""
        d = staged.delivery
        values = (
            *(tenant_id, d.raw_sha256, d.source_id, d.channel, d.name, d.received_at),
            *(d.status.value, d.format, d.entries_count, Jsonb([dict(p) for p in d.problems])),
            *(Jsonb(sorted(staged.refused_groups)), staged.parts, staged.correlation_id),
            *(staged.replay_id, Jsonb(dict(staged.standing))),
        )
        with self._database.transaction(tenant_id, principal) as connection:
            new = connection.execute(_STAGE, values).rowcount == 1
            write_statements(connection, tenant_id, statements)
            write_rejected(connection, tenant_id, rejected)
            cause = staged.correlation_id
            settle_replayed(connection, tenant_id, d, rejected, cause, SEEN_WHEN_RECORDED)
            append(connection, [self._event(DELIVERY_STAGED, tenant_id, staged)])
        return new

    def staged(self, tenant_id: str, raw_sha256: str, replay_id: str = "") -> StagedDelivery | None:
        """See `BulkStore`."""
        with self._database.transaction(tenant_id, "system:read") as connection:
            row = connection.execute(_STAGED, (tenant_id, raw_sha256, replay_id)).fetchone()
        return None if row is None else _staged(row)

    def is_recorded(self, message: PartMessage) -> bool:
        """See `BulkStore`."""
        with self._database.transaction(message.tenant_id, "system:read") as connection:
            found = connection.execute(
                "SELECT 1 FROM platform.bulk_parts"
                " WHERE tenant_id = %s AND raw_sha256 = %s AND replay_id = %s AND part = %s",
                (message.tenant_id, message.raw_sha256, message.replay_id, message.part),
            ).fetchone()
        return found is not None

    def record_part(
        self, tenant_id: str, principal: str, staged: StagedDelivery, rows: Sequence[StagedRow]
    ) -> PartRecorded:
        """See `BulkStore`."""
        rows, contested = _that_stand(rows, staged)
        rows, refused = _said_once(rows, staged.delivery.source_id)
        refused += contested
        with self._database.transaction(tenant_id, principal) as connection:
            _copy(connection, rows)
            known = {row[0]: (row[1], row[2]) for row in connection.execute(_KNOWN, (tenant_id,))}
            created = set[str]()
            if len(known) < len(rows):
                created = {row[0] for row in connection.execute(_INSERT, (tenant_id,))}
                _write_versions(connection, tenant_id, created, len(rows))
            standing = {i: v for i, (v, same) in known.items() if same} | dict.fromkeys(created, 1)
            bodies = {
                r.transaction_id: (standing[r.transaction_id], r.body)
                for r in rows
                if r.transaction_id in standing
            }
            differing = [r for r in rows if r.transaction_id not in standing]
            advanced = self._advance(connection, tenant_id, staged, differing)
            write_rejected(connection, tenant_id, refused)
        counts = PartCounts(
            new=len(created),
            changed=sum(o is Outcome.CHANGED for _, _, o, _ in advanced),
            unchanged=len(standing)
            - len(created)
            + sum(o is Outcome.UNCHANGED for _, _, o, _ in advanced),
            refused=len(refused) + sum(o is Outcome.REFUSED for _, _, o, _ in advanced),
        )
        bodies |= {i: (version, body) for i, version, _, body in advanced}
        return PartRecorded(counts, [(i, *bodies[i]) for i in sorted(bodies)])

    def _advance(
        self,
        connection: Connection[Any],
        tenant_id: str,
        staged: StagedDelivery,
        rows: Iterable[StagedRow],
    ) -> list[tuple[str, int, Outcome, str]]:
        """Heads that say something else, one by one; what contradicts them is quarantined."""
        contradictions: list[Rejected] = []

        def refused(transaction: Transaction, error: InvalidInput) -> None:
            contradictions.append(_rejected(transaction, error, staged.delivery.source_id))

        recorded = record_in(
            connection,
            tenant_id,
            [from_dict(json.loads(r.body)) for r in rows],
            staged.correlation_id,
            clock=self._clock,
            refused=refused,
            announced=False,
        )
        write_rejected(connection, tenant_id, contradictions)
        return [
            (
                r.transaction_id,
                r.version,
                r.outcome,
                json.dumps(to_dict(r.transaction), ensure_ascii=False),
            )
            for r in recorded
        ]

    def finish_part(
        self, tenant_id: str, principal: str, message: PartMessage, counts: PartCounts
    ) -> bool:
        """See `BulkStore`. The delivery's lock lets one part after the other finish."""
        named = (tenant_id, message.raw_sha256, message.replay_id)
        with self._database.transaction(tenant_id, principal) as connection:
            row = connection.execute(f"{_STAGED} FOR UPDATE", named).fetchone()
            if row is None:
                raise NotFound("bulk.not_staged", "no such delivery waits")
            staged, closed = _staged(row), row[-1] is not None
            connection.execute(
                _FINISH,
                (
                    *named,
                    message.part,
                    counts.new,
                    counts.changed,
                    counts.unchanged,
                    counts.refused,
                ),
            )
            done = connection.execute(
                "SELECT count(*) FROM platform.bulk_parts"
                " WHERE tenant_id = %s AND raw_sha256 = %s AND replay_id = %s",
                named,
            ).fetchone()
            if closed or done is None or done[0] < staged.parts:
                return False
            write_delivery(connection, tenant_id, staged.delivery)
            connection.execute(
                "UPDATE platform.bulk_deliveries SET closed_at = now()"
                " WHERE tenant_id = %s AND raw_sha256 = %s AND replay_id = %s",
                named,
            )
            append(connection, [self._event(DELIVERY_RECORDED, tenant_id, staged)])
        return True

    def _event(self, event_type: str, tenant_id: str, staged: StagedDelivery) -> Envelope:
        named = (staged.delivery.raw_sha256, staged.replay_id)
        return Envelope(
            event_type=event_type,
            tenant_id=tenant_id,
            subject=":".join(filter(None, named)),
            key=staged.delivery.raw_sha256,
            occurred_at=iso(self._clock()),
            correlation_id=staged.correlation_id,
            data={
                "raw_sha256": staged.delivery.raw_sha256,
                "source_id": staged.delivery.source_id,
                "parts": staged.parts,
                "entries_count": staged.delivery.entries_count,
                "replay_id": staged.replay_id,
            },
        )


def _that_stand(
    rows: Sequence[StagedRow], staged: StagedDelivery
) -> tuple[Sequence[StagedRow], list[Rejected]]:
    """Without rows that contradict an earlier one of the file, in whatever part that is."""
    if not staged.standing:
        return rows, []
    kept, refused = list[StagedRow](), list[Rejected]()
    for row in rows:
        stands = staged.standing.get(row.transaction_id)
        if stands is None:
            kept.append(row)
            continue
        t = from_dict(json.loads(row.body))
        said = said_of(t)
        if said != stands:
            at = next(n for n in range(3) if said[n] != stands[n])
            name = ("side", "kind", "currency")[at]
            error = contradiction(name, stands[at], t)
            refused.append(_rejected(t, error, staged.delivery.source_id))
        else:
            kept.append(row)
    return kept, refused


def _said_once(rows: Sequence[StagedRow], source_id: str) -> tuple[list[StagedRow], list[Rejected]]:
    """One row per identity, merged as a small file's are before anything is recorded.

    And what contradicts the row before it.
    """
    once: dict[str, StagedRow] = {}
    merged: dict[str, Transaction] = {}
    refused: list[Rejected] = []
    for row in rows:
        first = once.setdefault(row.transaction_id, row)
        if first is row:
            continue
        known = merged.get(row.transaction_id) or from_dict(json.loads(first.body))
        again = from_dict(json.loads(row.body))
        try:
            merged[row.transaction_id] = merge(known, again)
        except InvalidInput as error:
            refused.append(_rejected(again, error, source_id))
    for transaction_id, transaction in merged.items():
        body, digest = canonical(transaction)
        once[transaction_id] = StagedRow(transaction_id, digest, once[transaction_id].group, body)
    return list(once.values()), refused


def _rejected(transaction: Transaction, error: InvalidInput, source_id: str) -> Rejected:
    return Rejected(
        raw_sha256=transaction.raw_sha256,
        position=transaction.raw_position,
        source_id=source_id,
        code=error.code,
        reason=error.detail,
    )


def _copy(connection: Connection[Any], rows: Sequence[StagedRow]) -> None:
    """Rows into the temporary table. In COPY's text format JSON needs its backslashes doubled."""
    connection.execute(_SAID)
    with (
        connection.cursor() as cursor,
        cursor.copy("COPY said (transaction_id, content_hash, body) FROM STDIN") as copy,
    ):
        copy.write(
            "".join(
                f"{r.transaction_id}\t{r.content_hash}\t" + r.body.replace("\\", "\\\\") + "\n"
                for r in rows
            )
        )
    connection.execute("ANALYZE said")


def _write_versions(
    connection: Connection[Any], tenant_id: str, created: set[str], rows_count: int
) -> None:
    """The first versions of what is new."""
    if len(created) == rows_count:
        connection.execute(_VERSIONS, {"tenant": tenant_id})
    elif created:
        connection.execute(
            f"{_VERSIONS} WHERE transaction_id = ANY(%(ids)s::uuid[])",
            {"tenant": tenant_id, "ids": sorted(created)},
        )


def _staged(row: Sequence[Any]) -> StagedDelivery:
    source_id, channel, name, raw_sha256, received_at, status, form, entries, problems = row[:9]
    delivery = Delivery(
        source_id=source_id,
        channel=channel,
        name=name,
        raw_sha256=raw_sha256,
        received_at=received_at,
        status=DeliveryStatus(status),
        format=form,
        entries_count=entries,
        problems=tuple(problems),
    )
    standing = {i: (side, kind, currency) for i, (side, kind, currency) in row[13].items()}
    return StagedDelivery(delivery, row[9], row[10], frozenset(row[11]), row[12], standing)
