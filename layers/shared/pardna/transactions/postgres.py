"""The transaction store in PostgreSQL: heads under row locks, versions, quarantine, outbox.

How ten writers of one identity stay in line. First every identity that is not there is inserted, in
id order, with ON CONFLICT DO NOTHING: a writer that meets another's uncommitted row waits for it.
Only then are the rows that existed locked, in id order too. A writer that holds a row lock thus
never waits for an insert, so two writers cannot wait for each other.

Rows travel as one JSON document per statement: escaping thousands of texts for arrays costs more.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import date
from typing import Any, TypeVar

from psycopg import Connection

from pardna.database.session import Database
from pardna.outbox.postgres import append
from pardna.runtime.clock import Clock, iso, utc_now
from pardna.runtime.errors import InvalidInput
from pardna.transactions.merging import merge
from pardna.transactions.model import Transaction, from_dict, to_dict
from pardna.transactions.ports import (
    Batch,
    Delivery,
    DeliveryStatus,
    Outcome,
    Recorded,
    Rejected,
)
from pardna.transactions.postgres_deliveries import (
    WAS_READ,
    write_delivery,
    write_rejected,
    write_statements,
)
from pardna.transactions.postgres_events import claim
from pardna.transactions.postgres_quarantine import settle_replayed
from pardna.transactions.recorded import TransactionRecorded

T = TypeVar("T")
Refused = Callable[[Transaction, InvalidInput], None]

#: Rows per statement: large enough to amortise the round trip, small enough to stay in memory.
_CHUNK = 2_000


def record_in(
    connection: Connection[Any],
    tenant_id: str,
    transactions: Iterable[Transaction],
    correlation_id: str,
    *,
    clock: Clock = utc_now,
    refused: Refused | None = None,
    announced: bool = True,
) -> list[Recorded]:
    """Record transactions in an open, tenant-entered transaction, and announce each new version
    (unless `announced` is False: the caller announces them together).

    Returns one `Recorded` per identity, in id order. A contradiction (see `merge`) raises
    InvalidInput, unless `refused` is given: then it is called and the others go on. Raises
    InvalidInput when a transaction is another tenant's.
    """
    refuse = refused or _raise
    wanted = _by_identity(tenant_id, transactions, refuse)
    ids = sorted(wanted)
    known: dict[str, tuple[int, str]] = {}
    for chunk in _chunks(ids):
        known |= _peek(connection, tenant_id, chunk)
    # Heads only ever learn: one that says the same now needs neither lock nor merge.
    same = {i for i, (_, digest) in known.items() if digest == wanted[i].content_hash}
    results = [Recorded(wanted[i], known[i][0], Outcome.UNCHANGED) for i in same]
    created: set[str] = set()
    for chunk in _chunks([i for i in ids if i not in known]):
        created |= _insert_heads(connection, [wanted[i] for i in chunk])
    results += [Recorded(wanted[i], 1, Outcome.NEW) for i in created]
    previous: dict[str, Transaction] = {}
    for chunk in _chunks([i for i in ids if i not in created and i not in same]):
        for head in _lock_heads(connection, tenant_id, chunk):
            step = _advance(head, wanted[head.transaction_id], refuse)
            results.append(step)
            if step.outcome is Outcome.CHANGED:
                previous[step.transaction_id] = head.transaction
    results.sort(key=lambda r: r.transaction_id)
    _update_heads(connection, [r for r in results if r.outcome is Outcome.CHANGED])
    said = [r for r in results if r.outcome in (Outcome.NEW, Outcome.CHANGED)]
    for some in _chunks(said):
        connection.execute(_VERSIONS, (tenant_id, [r.transaction_id for r in some]))
    if announced:
        _announce(connection, said, previous, correlation_id, clock)
    return results


def _raise(_: Transaction, error: InvalidInput) -> None:
    raise error


def _by_identity(
    tenant_id: str, transactions: Iterable[Transaction], refuse: Refused
) -> dict[str, Transaction]:
    """One transaction per identity: what the same batch says twice is merged."""
    wanted: dict[str, Transaction] = {}
    for transaction in transactions:
        if transaction.tenant_id != tenant_id:
            raise InvalidInput("transaction.tenant", "a transaction of another tenant")
        known = wanted.get(transaction.transaction_id)
        try:
            wanted[transaction.transaction_id] = (
                transaction if known is None else merge(known, transaction)
            )
        except InvalidInput as error:
            refuse(transaction, error)
    return wanted


def _advance(head: Recorded, new: Transaction, refuse: Refused) -> Recorded:
    """The step from what is known to what is known now."""
    try:
        merged = merge(head.transaction, new)
    except InvalidInput as error:
        refuse(new, error)
        return Recorded(head.transaction, head.version, Outcome.REFUSED, error.detail)
    if merged.content_hash == head.transaction.content_hash:
        return Recorded(head.transaction, head.version, Outcome.UNCHANGED)
    return Recorded(merged, head.version + 1, Outcome.CHANGED)


_COLUMNS = (
    ("kind", "text"),
    ("amount_minor", "bigint"),
    ("gross_minor", "bigint"),
    ("fee_minor", "bigint"),
    ("net_minor", "bigint"),
    ("occurred_at", "timestamptz"),
    ("value_date", "date"),
    ("batch_id", "text"),
    ("content_hash", "text"),
    ("body", "jsonb"),
)
_IDENTITY = (
    ("tenant_id", "text"),
    ("transaction_id", "uuid"),
    ("source", "text"),
    ("external_id", "text"),
    ("side", "text"),
    ("currency", "text"),
    ("version", "integer"),
)
_NAMES = ", ".join(name for name, _ in _IDENTITY + _COLUMNS)
_SAID = (
    "jsonb_to_recordset(%s::jsonb)"
    f" AS said ({', '.join(f'{name} {kind}' for name, kind in _IDENTITY + _COLUMNS)})"
)
# Column names and types are this module's own constants; every value is a parameter.
_INSERT = (
    f"INSERT INTO platform.transactions ({_NAMES}) SELECT {_NAMES} FROM {_SAID}"  # noqa: S608
    " ORDER BY transaction_id ON CONFLICT DO NOTHING RETURNING transaction_id::text"
)
_UPDATE = (
    "UPDATE platform.transactions AS head SET version = said.version, recorded_at = now(),"  # noqa: S608
    f" {', '.join(f'{name} = said.{name}' for name, _ in _COLUMNS)} FROM {_SAID}"
    " WHERE head.tenant_id = said.tenant_id AND head.transaction_id = said.transaction_id"
)
_PEEK = (
    "SELECT transaction_id::text, version, content_hash FROM platform.transactions"
    " WHERE tenant_id = %s AND transaction_id = ANY(%s::uuid[])"
)
_LOCK = (
    "SELECT version, body FROM platform.transactions"
    " WHERE tenant_id = %s AND transaction_id = ANY(%s::uuid[])"
    " ORDER BY transaction_id FOR UPDATE"
)
_CLOSINGS = (
    "SELECT closing_minor FROM platform.statements WHERE tenant_id = %(tenant)s"
    " AND source = %(source)s AND currency = %(currency)s AND closing_minor IS NOT NULL"
    " AND to_date <= %(day)s AND to_date >= coalesce("
    "  (SELECT max(to_date) FROM platform.statements WHERE tenant_id = %(tenant)s"
    "   AND source = %(source)s AND currency = %(currency)s AND closing_minor IS NOT NULL"
    "   AND to_date < %(day)s), %(day)s)"
)
# What a head says now, it says as a version too.
_VERSIONS = (
    "INSERT INTO platform.transaction_versions"
    " (tenant_id, transaction_id, version, content_hash, body, raw_sha256, raw_position)"
    " SELECT tenant_id, transaction_id, version, content_hash, body,"
    " body ->> 'raw_sha256', body ->> 'raw_position' FROM platform.transactions"
    " WHERE tenant_id = %s AND transaction_id = ANY(%s::uuid[])"
)


def _rows(recorded: Iterable[Recorded]) -> str:
    """Heads as one JSON document, in the shape of `_SAID`."""
    rows = []
    for r in recorded:
        body = to_dict(r.transaction)
        row = {name: body.get(name) for name, _ in _IDENTITY + _COLUMNS}
        rows.append(
            row
            | {
                "transaction_id": r.transaction_id,
                "version": r.version,
                "content_hash": r.transaction.content_hash,
                "body": body,
            }
        )
    return json.dumps(rows, ensure_ascii=False)


def _peek(
    connection: Connection[Any], tenant_id: str, ids: Sequence[str]
) -> dict[str, tuple[int, str]]:
    """Version and content hash of the heads that are there."""
    rows = connection.execute(_PEEK, (tenant_id, list(ids)))
    return {row[0]: (row[1], row[2]) for row in rows}


def _insert_heads(connection: Connection[Any], transactions: Sequence[Transaction]) -> set[str]:
    """Insert the identities that are not there; returns the ids of those."""
    rows = _rows(Recorded(t, 1, Outcome.NEW) for t in transactions)
    return {row[0] for row in connection.execute(_INSERT, (rows,))}


def _lock_heads(
    connection: Connection[Any], tenant_id: str, ids: Sequence[str]
) -> Iterator[Recorded]:
    for version, body in connection.execute(_LOCK, (tenant_id, list(ids))).fetchall():
        yield Recorded(from_dict(body), version, Outcome.UNCHANGED)


def _update_heads(connection: Connection[Any], changed: Sequence[Recorded]) -> None:
    for chunk in _chunks(changed):
        connection.execute(_UPDATE, (_rows(chunk),))


def _announce(
    connection: Connection[Any],
    said: Sequence[Recorded],
    previous: dict[str, Transaction],
    correlation_id: str,
    clock: Clock,
) -> None:
    """Write what the world must hear of new versions."""
    now = iso(clock())
    for chunk in _chunks(said):
        news = [
            TransactionRecorded(r.transaction, r.version, previous.get(r.transaction_id))
            for r in chunk
        ]
        append(connection, [one.to_envelope(now, correlation_id) for one in news])


def _chunks(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(rows), _CHUNK):
        yield rows[start : start + _CHUNK]


class PostgresTransactionStore:
    """`TransactionStore` on the schema ``platform``."""

    def __init__(self, database: Database, clock: Clock = utc_now) -> None:
        self._database = database
        self._clock = clock

    def record(self, tenant_id: str, principal: str, batch: Batch) -> list[Recorded]:
        """See `TransactionStore`."""
        contradictions: list[Rejected] = []

        def refused(transaction: Transaction, error: InvalidInput) -> None:
            contradictions.append(
                Rejected(
                    raw_sha256=transaction.raw_sha256,
                    position=transaction.raw_position or transaction.transaction_id,
                    source_id=batch.delivery.source_id if batch.delivery else transaction.source,
                    code=error.code,
                    reason=error.detail,
                )
            )

        with self._database.transaction(tenant_id, principal) as connection:
            batch = claim(connection, tenant_id, batch)
            recorded = record_in(
                connection,
                tenant_id,
                batch.transactions,
                batch.correlation_id,
                clock=self._clock,
                refused=refused,
            )
            write_statements(connection, tenant_id, batch.statements)
            rejected = [*batch.rejected, *contradictions]
            write_rejected(connection, tenant_id, rejected)
            settle_replayed(connection, tenant_id, batch.delivery, rejected, batch.correlation_id)
            if batch.delivery is not None:
                write_delivery(connection, tenant_id, batch.delivery)
        return recorded

    def get(self, tenant_id: str, transaction_ids: Collection[str]) -> dict[str, Recorded]:
        """See `TransactionStore`."""
        with self._database.transaction(tenant_id, "system:read") as connection:
            rows = connection.execute(
                "SELECT transaction_id::text, version, body FROM platform.transactions"
                " WHERE tenant_id = %s AND transaction_id = ANY(%s::uuid[])",
                (tenant_id, list(transaction_ids)),
            ).fetchall()
        return {row[0]: Recorded(from_dict(row[2]), row[1], Outcome.UNCHANGED) for row in rows}

    def deliveries(self, tenant_id: str, raw_sha256: str) -> list[Delivery]:
        """See `TransactionStore`."""
        with self._database.transaction(tenant_id, "system:read") as connection:
            rows = connection.execute(
                "SELECT source_id, channel, name, raw_sha256, received_at, status, format,"
                " entries_count, problems FROM platform.deliveries"
                " WHERE tenant_id = %s AND raw_sha256 = %s ORDER BY received_at, source_id, name",
                (tenant_id, raw_sha256),
            ).fetchall()
        return [
            Delivery(a, b, c, d, e, DeliveryStatus(status), form, entries, tuple(problems))
            for a, b, c, d, e, status, form, entries, problems in rows
        ]

    def closings(self, tenant_id: str, source: str, currency: str, day: date) -> set[int]:
        """See `TransactionStore`."""
        account = {"tenant": tenant_id, "source": source, "currency": currency, "day": day}
        with self._database.transaction(tenant_id, "system:read") as connection:
            rows = connection.execute(_CLOSINGS, account).fetchall()
        return {row[0] for row in rows}

    def undelivered(self, tenant_id: str, hashes: Sequence[str]) -> set[str]:
        """See `TransactionStore`."""
        with self._database.transaction(tenant_id, "system:read") as connection:
            rows = connection.execute(
                "SELECT raw_sha256 FROM platform.deliveries"  # noqa: S608  (text of ours)
                " WHERE tenant_id = %(tenant)s AND raw_sha256 = ANY(%(hashes)s)"
                f" AND {WAS_READ}"
                " UNION SELECT raw_sha256 FROM platform.bulk_deliveries"
                " WHERE tenant_id = %(tenant)s AND raw_sha256 = ANY(%(hashes)s)",
                {"tenant": tenant_id, "hashes": list(hashes)},
            ).fetchall()
        return set(hashes) - {row[0] for row in rows}
