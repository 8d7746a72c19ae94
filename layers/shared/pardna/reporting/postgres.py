"""Rounds and transactions for reports, read from PostgreSQL as one tenant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, time
from typing import Any

from pardna.database.session import Connection, Database
from pardna.money.model import Money
from pardna.reporting.model import Leg
from pardna.reporting.ports import DrawFacts, Hand, RoundFacts

PRINCIPAL = "system:reporting"

_ROUND = """
    SELECT c.name, c.currency, r.status, r.due_on, r.closed_at,
           (SELECT count(*) FROM circles.rounds x
            WHERE x.tenant_id = r.tenant_id AND x.circle_id = r.circle_id)
    FROM circles.rounds r JOIN circles.circles c USING (tenant_id, circle_id)
    WHERE r.circle_id = %s AND r.round_number = %s
"""
_HANDS = """
    SELECT n.contribution_id, n.transaction_id::text, coalesce(m.personal->>'name', m.member_id),
           n.position, n.amount_minor, n.currency, n.due_on, n.status
    FROM circles.contributions n JOIN circles.members m USING (tenant_id, circle_id, member_id)
    WHERE n.circle_id = %s AND n.round_number = %s
    ORDER BY n.position
"""
_DRAW = """
    SELECT d.draw_id, d.net_minor, d.fee_minor, d.currency,
           coalesce(m.personal->>'name', m.member_id), d.computed_at,
           p.book_source, p.book_external_id, p.status, p.end_to_end_id, p.requested_by,
           coalesce(p.approved_by, ''), coalesce(p.approval_id, ''), p.reason_code,
           coalesce(p.batch_id, ''), b.written_at, p.changed_at
    FROM circles.draws d
    JOIN circles.members m USING (tenant_id, circle_id, member_id)
    JOIN payments.payments p USING (tenant_id, payment_id)
    LEFT JOIN payments.batches b ON (b.tenant_id, b.batch_id) = (p.tenant_id, p.batch_id)
    WHERE d.circle_id = %s AND d.round_number = %s
"""
_RECORDS = """
    SELECT transaction_id::text, side, source, kind, external_id, amount_minor, currency,
           occurred_at, batch_id, value_date
    FROM platform.transactions WHERE transaction_id = ANY(%s::uuid[])
"""
_PAYOUTS = """
    SELECT batch_id, transaction_id::text FROM platform.transactions
    WHERE batch_id = ANY(%s) AND side = 'psp' AND kind = 'payout'
    UNION
    SELECT external_id, transaction_id::text FROM platform.transactions t
    JOIN unnest(%s::text[]) AS wanted (batch) ON wanted.batch = t.external_id
    WHERE side = 'psp' AND kind = 'payout'
"""


class PostgresRoundBook:
    """`RoundBook` on the product's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def round(self, tenant_id: str, circle_id: str, round_number: int) -> RoundFacts | None:
        """See `RoundBook`. One transaction: hands and draw are of the same moment's round."""
        with self._database.transaction(tenant_id, PRINCIPAL) as connection:
            found = connection.execute(_ROUND, (circle_id, round_number)).fetchone()
            if found is None:
                return None
            name, currency, status, due_on, closed_at, rounds_count = found
            return RoundFacts(
                circle_id=circle_id,
                circle_name=name,
                round_number=round_number,
                rounds_count=rounds_count,
                currency=currency,
                status=status,
                due_on=due_on,
                closed_at=closed_at,
                hands=tuple(_hands(connection, circle_id, round_number)),
                draw=_draw(connection, circle_id, round_number),
            )

    def records(self, tenant_id: str, transaction_ids: Sequence[str]) -> Mapping[str, Leg]:
        """See `RoundBook`."""
        if not transaction_ids:
            return {}
        with self._database.transaction(tenant_id, PRINCIPAL) as connection:
            rows = connection.execute(_RECORDS, (list(transaction_ids),)).fetchall()
        return {row[0]: _leg(row) for row in rows}

    def payouts(self, tenant_id: str, batch_ids: Iterable[str]) -> Mapping[str, str]:
        """See `RoundBook`."""
        wanted = list(batch_ids)
        if not wanted:
            return {}
        with self._database.transaction(tenant_id, PRINCIPAL) as connection:
            return {row[0]: row[1] for row in connection.execute(_PAYOUTS, (wanted, wanted))}


def _leg(row: tuple[Any, ...]) -> Leg:
    moment = row[7].astimezone(UTC)
    # Banks tell days: the midnight that stands for one is no time at which anything happened.
    by_day = row[1] == "bank" and moment.time() == time(0)
    return Leg(
        transaction_id=row[0],
        side=row[1],
        source=row[2],
        kind=row[3],
        external_id=row[4],
        amount=Money(row[5], row[6]),
        occurred_at=None if by_day else moment,
        batch_id=row[8],
        on=row[9] or moment.date(),
    )


def _hands(connection: Connection, circle_id: str, round_number: int) -> list[Hand]:
    rows = connection.execute(_HANDS, (circle_id, round_number)).fetchall()
    return [
        Hand(
            contribution_id=row[0],
            transaction_id=row[1],
            member=row[2],
            position=row[3],
            amount=Money(row[4], row[5]),
            due_on=row[6],
            status=row[7],
        )
        for row in rows
    ]


def _draw(connection: Connection, circle_id: str, round_number: int) -> DrawFacts | None:
    row = connection.execute(_DRAW, (circle_id, round_number)).fetchone()
    if row is None:
        return None
    return DrawFacts(
        draw_id=row[0],
        amount=Money(row[1], row[3]),
        fee=Money(row[2], row[3]),
        recipient=row[4],
        computed_at=row[5],
        transaction_source=row[6],
        transaction_external_id=row[7],
        status=row[8],
        end_to_end_id=row[9],
        requested_by=row[10],
        approved_by=row[11],
        approval_id=row[12],
        reason_code=row[13],
        batch_id=row[14],
        written_at=row[15],
        changed_at=row[16],
    )
