"""Quarantine in PostgreSQL. Decisions about one file come one after the other: an advisory lock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from psycopg import Connection, errors
from psycopg.types.json import Jsonb

from pardna.database.session import Database
from pardna.ingestion.quarantine_model import (
    Action,
    Decision,
    Entry,
    Scope,
    Status,
    replacements_of,
)
from pardna.ingestion.quarantine_ports import Effect, Filter
from pardna.runtime.clock import Clock, utc_now
from pardna.runtime.errors import Conflict, NotFound
from pardna.transactions.ports import Outcome, StatementRecord
from pardna.transactions.postgres import record_in
from pardna.transactions.postgres_deliveries import write_statements

_PRINCIPAL = "system:read"
_ENTRY = (
    "SELECT quarantine_id::text, raw_sha256, position, source_id, code, field, reason, status,"
    " created_at FROM platform.quarantine WHERE tenant_id = %(tenant)s"
)
_DECISION = (
    "SELECT decision_id::text, raw_sha256, quarantine_id::text, action, scope, replacements, reason,"
    " request_hash, needs_second, proposed_by, proposed_at, state, coalesce(decided_by, ''),"
    " decided_at, new_count, changed_count FROM platform.quarantine_decisions"
    " WHERE tenant_id = %(tenant)s"
)
_INSERT = (
    "INSERT INTO platform.quarantine_decisions (tenant_id, raw_sha256, quarantine_id, action, scope,"
    " replacements, reason, request_hash, needs_second, state, decided_by, decided_at, new_count,"
    " changed_count) VALUES (%(tenant)s, %(raw)s, %(entry)s, %(action)s, %(scope)s,"
    " %(replacements)s, %(reason)s, %(hash)s, %(second)s, %(state)s, %(by)s,"
    " CASE WHEN %(by)s::text IS NULL THEN NULL ELSE clock_timestamp() END, %(new)s, %(changed)s)"
    " RETURNING decision_id::text"
)
_OF_REQUEST = " AND request_hash = %(hash)s AND state IN ('proposed', 'done')"
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 45))"


class PostgresQuarantine:
    """`QuarantineList`, `QuarantineBook` and `QuarantineEffects`."""

    def __init__(self, database: Database, clock: Clock = utc_now) -> None:
        self._database = database
        self._clock = clock

    def page(self, tenant_id: str, chosen: Filter, most: int) -> list[Entry]:
        """See `QuarantineList`."""
        query, values = _ENTRY, {"tenant": tenant_id, "most": most}
        for name in ("status", "source_id", "code", "raw_sha256"):
            if wanted := getattr(chosen, name):
                query += f" AND {name} = %({name})s"
                values[name] = wanted
        if chosen.after is not None:
            query += " AND (created_at, quarantine_id) > (%(at)s, %(after)s::uuid)"
            values |= {"at": chosen.after[0], "after": chosen.after[1]}
        query += " ORDER BY created_at, quarantine_id LIMIT %(most)s"
        return self._entries(tenant_id, query, values)

    def entry(self, tenant_id: str, quarantine_id: str) -> Entry:
        """See `QuarantineList`."""
        query = f"{_ENTRY} AND quarantine_id::text = %(id)s"
        found = self._entries(tenant_id, query, {"tenant": tenant_id, "id": quarantine_id})
        if not found:
            raise NotFound("quarantine.not_found", "there is no such row")
        return found[0]

    def open_entries(self, tenant_id: str, raw_sha256: str) -> list[Entry]:
        """See `QuarantineList`."""
        query = f"{_ENTRY} AND raw_sha256 = %(raw)s AND status IN ('open', 'proposed')"
        return self._entries(tenant_id, query, {"tenant": tenant_id, "raw": raw_sha256})

    def by_request(self, tenant_id: str, request_hash: str) -> Decision | None:
        """See `QuarantineBook`."""
        found = self._decisions(tenant_id, _OF_REQUEST, hash=request_hash)
        return found[0] if found else None

    def decision(self, tenant_id: str, decision_id: str) -> Decision:
        """See `QuarantineBook`."""
        found = self._decisions(tenant_id, " AND decision_id::text = %(id)s", id=decision_id)
        if not found:
            raise NotFound("quarantine.not_found", "there is no such decision")
        return found[0]

    def decisions(self, tenant_id: str, raw_sha256: str) -> list[Decision]:
        """See `QuarantineBook`."""
        return self._decisions(
            tenant_id, " AND raw_sha256 = %(raw)s AND state = 'done'", raw=raw_sha256
        )

    def propose(
        self, tenant_id: str, principal: str, decision: Decision, made_count: int
    ) -> Decision:
        """See `QuarantineBook`."""
        try:
            with self._database.transaction(tenant_id, principal) as connection:
                _lock(connection, tenant_id, decision.raw_sha256)
                known = _same_request(connection, tenant_id, decision.request_hash)
                if known is not None:
                    return known
                _check_count(connection, tenant_id, decision.raw_sha256, made_count)
                _advance(
                    connection, tenant_id, [decision.quarantine_id], Status.PROPOSED, (Status.OPEN,)
                )
                made = _insert(connection, tenant_id, decision, None)
                _audit(connection, tenant_id, "quarantine.proposed", decision, made)
        except errors.UniqueViolation:
            raise Conflict(
                "quarantine.proposed", "another proposal about this file waits"
            ) from None
        return self.decision(tenant_id, made)

    def withdraw(self, tenant_id: str, principal: str, decision_id: str) -> Decision:
        """See `QuarantineBook`."""
        return self._end(tenant_id, principal, decision_id, "withdrawn")

    def reject(self, tenant_id: str, principal: str, decision_id: str, reason: str) -> Decision:
        """See `QuarantineBook`."""
        return self._end(tenant_id, principal, decision_id, "rejected", reason)

    def _end(
        self, tenant_id: str, principal: str, decision_id: str, state: str, reason: str = ""
    ) -> Decision:
        decision = self.decision(tenant_id, decision_id)
        with self._database.transaction(tenant_id, principal) as connection:
            _lock(connection, tenant_id, decision.raw_sha256)
            changed = connection.execute(
                "UPDATE platform.quarantine_decisions SET state = %s,"
                " decided_by = app.principal(), decided_at = clock_timestamp()"
                " WHERE tenant_id = %s AND decision_id = %s::uuid AND state = 'proposed'",
                (state, tenant_id, decision_id),
            ).rowcount
            if changed:
                _advance(
                    connection, tenant_id, [decision.quarantine_id], Status.OPEN, (Status.PROPOSED,)
                )
                why = replace(decision, reason=reason or decision.reason)
                _audit(connection, tenant_id, f"quarantine.{state}", why, decision_id)
        now = self.decision(tenant_id, decision_id)
        if (now.state, now.decided_by) != (state, principal):
            raise Conflict("quarantine.decided", f"this proposal is {now.state}")
        return now

    def settle(
        self,
        tenant_id: str,
        principal: str,
        decision: Decision,
        effect: Effect,
        made_count: int,
        correlation_id: str,
    ) -> Decision:
        """See `QuarantineEffects`."""
        with self._database.transaction(tenant_id, principal) as connection:
            _lock(connection, tenant_id, decision.raw_sha256)
            known = _same_request(connection, tenant_id, decision.request_hash)
            if known is not None and known.state == "done":
                return known
            _check_count(connection, tenant_id, decision.raw_sha256, made_count)
            recorded = record_in(
                connection, tenant_id, effect.transactions, correlation_id, clock=self._clock
            )
            counted = replace(
                decision,
                state="done",
                new_count=sum(r.outcome is Outcome.NEW for r in recorded),
                changed_count=sum(r.outcome is Outcome.CHANGED for r in recorded),
            )
            if decision.decision_id:
                made = _confirm(connection, tenant_id, counted)
            else:
                made = _insert(connection, tenant_id, counted, principal)
            ours = (Status.OPEN, Status.PROPOSED) if decision.decision_id else (Status.OPEN,)
            became = _BECAME[decision.action]
            # The decided row itself must still be free: of two people one is too late.
            _advance(connection, tenant_id, [decision.quarantine_id], became, ours)
            others = [i for i in effect.resolved if i != decision.quarantine_id]
            _advance_those_open(connection, tenant_id, others, became)
            if effect.judged is not None:
                _write_statements(connection, tenant_id, effect, made)
            _audit(connection, tenant_id, "quarantine.decided", counted, made)
        return self.decision(tenant_id, made)

    def _entries(self, tenant_id: str, query: str, values: dict[str, Any]) -> list[Entry]:
        with self._database.transaction(tenant_id, _PRINCIPAL) as connection:
            rows = connection.execute(query, values).fetchall()
        return [Entry(*row) for row in rows]

    def _decisions(self, tenant_id: str, condition: str, **values: str) -> list[Decision]:
        with self._database.transaction(tenant_id, _PRINCIPAL) as connection:
            return _read_decisions(connection, tenant_id, condition, **values)


_BECAME = {
    Action.CORRECT: Status.REPLAYED,
    Action.RELEASE: Status.RELEASED,
    Action.DISCARD: Status.DISCARDED,
}


def _read_decisions(
    connection: Connection[Any], tenant_id: str, condition: str, **values: str
) -> list[Decision]:
    query = f"{_DECISION}{condition} ORDER BY decided_at NULLS LAST, ordinal"
    rows = connection.execute(query, {"tenant": tenant_id, **values}).fetchall()
    return [
        Decision(a, b, c, Action(d), Scope(e), replacements_of(f), *rest)
        for a, b, c, d, e, f, *rest in rows
    ]


def _lock(connection: Connection[Any], tenant_id: str, raw_sha256: str) -> None:
    connection.execute(_LOCK, (f"{tenant_id}/{raw_sha256}",))


def _same_request(
    connection: Connection[Any], tenant_id: str, request_hash: str
) -> Decision | None:
    found = _read_decisions(connection, tenant_id, _OF_REQUEST, hash=request_hash)
    return found[0] if found else None


def _check_count(
    connection: Connection[Any], tenant_id: str, raw_sha256: str, made_count: int
) -> None:
    """Whether the file still stands as it did when the decision was worked out."""
    row = connection.execute(
        "SELECT count(*) FROM platform.quarantine_decisions"
        " WHERE tenant_id = %s AND raw_sha256 = %s AND state = 'done'",
        (tenant_id, raw_sha256),
    ).fetchone()
    if row is None or row[0] != made_count:
        raise Conflict(
            "quarantine.changed", "somebody decided about this file just now: look again"
        )


def _advance(
    connection: Connection[Any],
    tenant_id: str,
    ids: Sequence[str],
    status: Status,
    before: Sequence[Status],
) -> None:
    changed = connection.execute(
        "UPDATE platform.quarantine SET status = %s"
        " WHERE tenant_id = %s AND quarantine_id = ANY(%s::uuid[]) AND status = ANY(%s)",
        (status.value, tenant_id, list(ids), [s.value for s in before]),
    ).rowcount
    if changed != len(ids):
        raise Conflict("quarantine.decided", "somebody else decided about this row")


def _advance_those_open(
    connection: Connection[Any], tenant_id: str, ids: Sequence[str], status: Status
) -> None:
    """Other rows of the file that are settled with it; a proposal about one keeps its row."""
    connection.execute(
        "UPDATE platform.quarantine SET status = %s"
        " WHERE tenant_id = %s AND quarantine_id = ANY(%s::uuid[]) AND status = 'open'",
        (status.value, tenant_id, list(ids)),
    )


def _insert(connection: Connection[Any], tenant_id: str, decision: Decision, by: str | None) -> str:
    row = connection.execute(
        _INSERT,
        {
            "tenant": tenant_id,
            "raw": decision.raw_sha256,
            "entry": decision.quarantine_id,
            "action": decision.action.value,
            "scope": decision.scope.value,
            "replacements": Jsonb([r.to_dict() for r in decision.replacements]),
            "reason": decision.reason,
            "hash": decision.request_hash,
            "second": decision.needs_second,
            "state": decision.state,
            "by": by,
            "new": decision.new_count,
            "changed": decision.changed_count,
        },
    )
    return str(next(iter(row))[0])


def _confirm(connection: Connection[Any], tenant_id: str, decision: Decision) -> str:
    changed = connection.execute(
        "UPDATE platform.quarantine_decisions SET state = 'done', decided_by = app.principal(),"
        " decided_at = clock_timestamp(), new_count = %s, changed_count = %s"
        " WHERE tenant_id = %s AND decision_id = %s::uuid AND state = 'proposed'",
        (decision.new_count, decision.changed_count, tenant_id, decision.decision_id),
    ).rowcount
    if not changed:
        raise Conflict("quarantine.decided", "this proposal was decided")
    return decision.decision_id


def _write_statements(
    connection: Connection[Any], tenant_id: str, effect: Effect, decision_id: str
) -> None:
    """What statements say after a correction stands beside what they said before."""
    if effect.judged is None:
        return
    rows = connection.execute(
        "SELECT source, statement_id, currency, opening_minor, closing_minor, entries_minor,"
        " entries_count FROM platform.statements WHERE tenant_id = %s AND raw_sha256 = ANY(%s)",
        (tenant_id, sorted({s.raw_sha256 for s in effect.judged.statements})),
    ).fetchall()
    known = {tuple(row) for row in rows}
    fresh = [s for s in effect.judged.statements if _figures(s) not in known]
    renamed = [replace(s, statement_id=f"{s.statement_id}+{decision_id[:8]}") for s in fresh]
    write_statements(connection, tenant_id, renamed)


def _figures(s: StatementRecord) -> tuple[str | int | None, ...]:
    return (
        s.source,
        s.statement_id,
        s.currency,
        s.opening_minor,
        s.closing_minor,
        s.entries_minor,
        s.entries_count,
    )


def _audit(
    connection: Connection[Any], tenant_id: str, action: str, decision: Decision, decision_id: str
) -> None:
    detail = {
        "action": decision.action.value,
        "scope": decision.scope.value,
        "quarantine_id": decision.quarantine_id,
        "reason": decision.reason,
        "replacements": [r.to_dict() for r in decision.replacements],
        "new_count": decision.new_count,
        "changed_count": decision.changed_count,
    }
    connection.execute(
        "INSERT INTO app.audit_log (tenant_id, action, subject, detail) VALUES (%s, %s, %s, %s)",
        (tenant_id, action, decision_id, Jsonb(detail)),
    )
