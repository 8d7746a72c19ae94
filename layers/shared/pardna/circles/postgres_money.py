"""What a round is owed, what it draws and what others hear of it: the rows that money depends on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from psycopg.types.json import Jsonb

from pardna.circles.model import (
    Contribution,
    ContributionStatus,
    Draw,
    Rail,
)
from pardna.database.session import Connection
from pardna.money.model import Money
from pardna.outbox.postgres import append
from pardna.payments.model import Instruction, Payment
from pardna.payments.postgres import cancel_in, instruct_in, payment_in
from pardna.runtime.clock import Clock
from pardna.runtime.events import Envelope
from pardna.transactions.model import Transaction
from pardna.transactions.postgres import record_in


class PostgresContributions:
    """`ContributionRows`."""

    def __init__(self, connection: Connection, tenant_id: str) -> None:
        self._connection = connection
        self._tenant_id = tenant_id

    def add(self, circle_id: str, owed: Sequence[Contribution]) -> None:
        """See `ContributionRows`."""
        self._connection.cursor().executemany(
            "INSERT INTO circles.contributions (tenant_id, contribution_id, circle_id,"
            " round_number, position, member_id, amount_minor, currency, rail, payment_reference,"
            " transaction_id, due_on, status)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                (
                    self._tenant_id,
                    c.contribution_id,
                    circle_id,
                    c.round_number,
                    c.position,
                    c.member_id,
                    c.amount.amount_minor,
                    c.amount.currency,
                    c.rail.value,
                    c.payment_reference,
                    c.transaction_id,
                    c.due_on,
                    c.status.value,
                )
                for c in owed
            ],
        )

    def of_round(self, circle_id: str, number: int) -> list[Contribution]:
        """See `ContributionRows`."""
        rows = self._connection.execute(
            "SELECT contribution_id, round_number, position, member_id, amount_minor, currency,"
            " rail, payment_reference, due_on, transaction_id::text, status"
            " FROM circles.contributions WHERE circle_id = %s AND round_number = %s"
            " ORDER BY position",
            (circle_id, number),
        ).fetchall()
        return [
            Contribution(
                contribution_id=r[0],
                round_number=r[1],
                position=r[2],
                member_id=r[3],
                amount=Money(r[4], r[5]),
                rail=Rail(r[6]),
                payment_reference=r[7],
                due_on=r[8],
                transaction_id=r[9],
                status=ContributionStatus(r[10]),
            )
            for r in rows
        ]

    def matched(self, owed: Sequence[Contribution]) -> frozenset[str]:
        """See `ContributionRows`: the ledger's own record, written with the clearing journal.

        A match of contributions alone is what remains of one that was written off: no money came.
        """
        ids = {c.transaction_id: c.contribution_id for c in owed}
        rows = self._connection.execute(
            "SELECT DISTINCT transaction_id FROM ledger.matched_legs m"
            " WHERE transaction_id = ANY(%s) AND status = 'committed' AND EXISTS"
            " (SELECT 1 FROM ledger.matched_legs o WHERE o.match_id = m.match_id"
            "  AND o.status = 'committed' AND NOT EXISTS (SELECT 1 FROM circles.contributions c"
            "   WHERE c.transaction_id::text = o.transaction_id))",
            (list(ids),),
        )
        return frozenset(ids[row[0]] for row in rows)

    def set_status(self, changes: Mapping[str, ContributionStatus], at: datetime) -> None:
        """See `ContributionRows`."""
        self._connection.cursor().executemany(
            "UPDATE circles.contributions SET status = %s, paid_at = %s WHERE contribution_id = %s",
            [
                (status.value, at if status is ContributionStatus.PAID else None, contribution_id)
                for contribution_id, status in changes.items()
            ],
        )


class PostgresDraws:
    """`DrawRows`."""

    def __init__(self, connection: Connection, tenant_id: str, clock: Clock) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        self._clock = clock

    def get(self, circle_id: str, number: int) -> Draw | None:
        """See `DrawRows`."""
        row = self._connection.execute(
            "SELECT draw_id, round_number, position, member_id, pot_minor, fee_minor, currency,"
            " payment_id FROM circles.draws WHERE circle_id = %s AND round_number = %s",
            (circle_id, number),
        ).fetchone()
        if row is None:
            return None
        pot, fee = Money(row[4], row[6]), Money(row[5], row[6])
        return Draw(row[0], row[1], row[2], row[3], pot, fee, row[7])

    def add(self, circle_id: str, draw: Draw, instruction: Instruction, at: datetime) -> None:
        """See `DrawRows`."""
        instruct_in(self._connection, self._tenant_id, instruction, clock=self._clock)
        self._connection.execute(
            "INSERT INTO circles.draws (tenant_id, draw_id, circle_id, round_number, position,"
            " member_id, pot_minor, fee_minor, net_minor, currency, payment_id, computed_at)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            (
                self._tenant_id,
                draw.draw_id,
                circle_id,
                draw.round_number,
                draw.position,
                draw.member_id,
                draw.pot.amount_minor,
                draw.fee.amount_minor,
                draw.net.amount_minor,
                draw.pot.currency,
                draw.payment_id,
                at,
            ),
        )

    def payment(self, payment_id: str) -> Payment:
        """See `DrawRows`."""
        return payment_in(self._connection, payment_id)

    def cancel(self, payment_id: str) -> None:
        """See `DrawRows`."""
        cancel_in(self._connection, payment_id, clock=self._clock)


class PostgresAnnouncements:
    """`Announcements`."""

    def __init__(self, connection: Connection, tenant_id: str, clock: Clock) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        self._clock = clock

    def record(self, transactions: Sequence[Transaction], correlation_id: str) -> None:
        """See `Announcements`."""
        record_in(
            self._connection, self._tenant_id, transactions, correlation_id, clock=self._clock
        )

    def announce(self, envelopes: Sequence[Envelope]) -> None:
        """See `Announcements`."""
        append(self._connection, envelopes)

    def audit(self, action: str, subject: str, detail: Mapping[str, str | int]) -> None:
        """See `Announcements`."""
        self._connection.execute(
            "INSERT INTO app.audit_log (tenant_id, action, subject, detail)"
            " VALUES (%s, %s, %s, %s)",
            (self._tenant_id, action, subject, Jsonb(dict(detail))),
        )
