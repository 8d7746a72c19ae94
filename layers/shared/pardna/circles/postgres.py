"""Circles in PostgreSQL: the schema ``circles`` of migration 0004, one transaction a use case."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from pardna.circles.model import (
    Circle,
    CircleStatus,
    Contact,
    FeeModel,
    Frequency,
    Member,
    PotModel,
    Rail,
    Round,
    RoundStatus,
    Shortfall,
    Slot,
    Terms,
)
from pardna.circles.ports import Work
from pardna.circles.postgres_money import (
    PostgresAnnouncements,
    PostgresContributions,
    PostgresDraws,
)
from pardna.database.session import Connection, Database
from pardna.money.model import Money
from pardna.payments.model import Payee
from pardna.runtime.clock import Clock, utc_now
from pardna.runtime.errors import Conflict, NotFound


class PostgresBooks:
    """`Books` on the product's database."""

    def __init__(self, database: Database, clock: Clock = utc_now) -> None:
        self._database = database
        self._clock = clock

    @contextmanager
    def work(self, tenant_id: str, principal: str) -> Iterator[Work]:
        """See `Books`."""
        with self._database.transaction(tenant_id, principal) as connection:
            yield PostgresWork(
                circles=PostgresCircles(connection, tenant_id),
                rounds=PostgresRounds(connection),
                contributions=PostgresContributions(connection, tenant_id),
                draws=PostgresDraws(connection, tenant_id, self._clock),
                out=PostgresAnnouncements(connection, tenant_id, self._clock),
            )


@dataclass(frozen=True, slots=True)
class PostgresWork:
    """`Work`: one open transaction, by subject."""

    circles: PostgresCircles
    rounds: PostgresRounds
    contributions: PostgresContributions
    draws: PostgresDraws
    out: PostgresAnnouncements


class PostgresCircles:
    """`CircleRows`."""

    def __init__(self, connection: Connection, tenant_id: str) -> None:
        self._connection = connection
        self._tenant_id = tenant_id

    def add(self, circle: Circle, request_hash: str, rounds: Sequence[Round]) -> None:
        """See `CircleRows`."""
        try:
            self._insert(circle, request_hash)
        except psycopg.errors.UniqueViolation as error:
            if error.diag.constraint_name == "circles_tenant_id_code_key":
                raise Conflict("circle.code_taken", "another circle has this code") from None
            raise Conflict("circle.in_progress", "this circle is being created") from None
        many = self._connection.cursor().executemany
        many(
            "INSERT INTO circles.members (tenant_id, circle_id, member_id, rail, card_customer_id,"
            " card_payment_method_id, personal) VALUES (%s, %s, %s, %s, %s, %s, %s)",
            [
                (
                    self._tenant_id,
                    circle.circle_id,
                    m.member_id,
                    m.rail.value,
                    m.card_customer_id,
                    m.card_payment_method_id,
                    Jsonb(_contact_json(m.contact) | {"payee": _payee_json(m.payee)}),
                )
                for m in circle.members
            ],
        )
        many(
            "INSERT INTO circles.slots (tenant_id, circle_id, position, member_id)"
            " VALUES (%s, %s, %s, %s)",
            [(self._tenant_id, circle.circle_id, s.position, s.member_id) for s in circle.slots],
        )
        many(
            "INSERT INTO circles.rounds (tenant_id, circle_id, round_number, due_on,"
            " draw_position, status) VALUES (%s, %s, %s, %s, %s, %s)",
            [
                (
                    self._tenant_id,
                    circle.circle_id,
                    r.number,
                    r.due_on,
                    r.draw_position,
                    r.status.value,
                )
                for r in rounds
            ],
        )

    def _insert(self, circle: Circle, request_hash: str) -> None:
        terms = circle.terms
        self._connection.execute(
            "INSERT INTO circles.circles (tenant_id, circle_id, reference, request_hash, code, name,"
            " currency, hand_minor, frequency, starts_on, fee_model, fee_value, pot_model,"
            " shortfall, grace_days, bank_source_id, card_source_id, personal, status, created_by,"
            " created_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s,"
            " %s, %s, %s, %s, %s)",
            (
                self._tenant_id,
                circle.circle_id,
                circle.reference,
                request_hash,
                circle.code,
                circle.name,
                terms.hand.currency,
                terms.hand.amount_minor,
                terms.frequency.value,
                terms.starts_on,
                terms.fee_model.value,
                terms.fee_value,
                terms.pot_model.value,
                terms.shortfall.value,
                terms.grace_days,
                circle.bank_source_id,
                circle.card_source_id,
                Jsonb(_contact_json(circle.banker)),
                circle.status.value,
                circle.created_by,
                circle.created_at,
            ),
        )

    def known(self, reference: str) -> tuple[str, str] | None:
        """See `CircleRows`."""
        row = self._connection.execute(
            "SELECT circle_id, request_hash FROM circles.circles WHERE reference = %s",
            (reference,),
        ).fetchone()
        return (row[0], row[1]) if row else None

    def get(self, circle_id: str) -> Circle:
        """See `CircleRows`."""
        row = self._connection.execute(
            "SELECT tenant_id, circle_id, reference, code, name, hand_minor, currency, frequency,"
            " starts_on, fee_model, fee_value, pot_model, shortfall, grace_days, bank_source_id,"
            " card_source_id, personal, created_by, created_at, status"
            " FROM circles.circles WHERE circle_id = %s",
            (circle_id,),
        ).fetchone()
        if row is None:
            raise NotFound("circle.not_found", "there is no such circle")
        members = self._connection.execute(
            "SELECT member_id, rail, personal, card_customer_id, card_payment_method_id"
            " FROM circles.members WHERE circle_id = %s ORDER BY member_id",
            (circle_id,),
        ).fetchall()
        slots = self._connection.execute(
            "SELECT position, member_id FROM circles.slots WHERE circle_id = %s ORDER BY position",
            (circle_id,),
        ).fetchall()
        return Circle(
            tenant_id=row[0],
            circle_id=row[1],
            reference=row[2],
            code=row[3],
            name=row[4],
            terms=Terms(
                hand=Money(row[5], row[6]),
                frequency=Frequency(row[7]),
                starts_on=row[8],
                fee_model=FeeModel(row[9]),
                fee_value=row[10],
                pot_model=PotModel(row[11]),
                shortfall=Shortfall(row[12]),
                grace_days=row[13],
            ),
            members=tuple(_member(m) for m in members),
            slots=tuple(Slot(s[0], s[1]) for s in slots),
            bank_source_id=row[14],
            card_source_id=row[15],
            banker=_contact(row[16]),
            created_by=row[17],
            created_at=row[18],
            status=CircleStatus(row[19]),
        )

    def set_status(self, circle_id: str, status: CircleStatus) -> None:
        """See `CircleRows`."""
        self._connection.execute(
            "UPDATE circles.circles SET status = %s WHERE circle_id = %s",
            (status.value, circle_id),
        )


_ROUND = (
    "SELECT round_number, due_on, draw_position, status, opened_at, closed_at FROM circles.rounds"
    " WHERE circle_id = %s"
)


class PostgresRounds:
    """`RoundRows`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def rounds(self, circle_id: str) -> list[Round]:
        """See `RoundRows`."""
        rows = self._connection.execute(_ROUND + " ORDER BY round_number", (circle_id,))
        return [_round(row) for row in rows]

    def lock(self, circle_id: str, number: int) -> Round:
        """See `RoundRows`."""
        row = self._connection.execute(
            _ROUND + " AND round_number = %s FOR UPDATE", (circle_id, number)
        ).fetchone()
        if row is None:
            raise NotFound("round.not_found", "there is no such round in this circle")
        return _round(row)

    def set_status(self, circle_id: str, number: int, status: RoundStatus, at: datetime) -> None:
        """See `RoundRows`."""
        opened = at if status is RoundStatus.COLLECTING else None
        closed = at if status is RoundStatus.CLOSED else None
        self._connection.execute(
            "UPDATE circles.rounds SET status = %s, opened_at = coalesce(opened_at, %s),"
            " closed_at = coalesce(closed_at, %s) WHERE circle_id = %s AND round_number = %s",
            (status.value, opened, closed, circle_id, number),
        )


def _round(row: tuple[Any, ...]) -> Round:
    return Round(row[0], row[1], row[2], RoundStatus(row[3]), row[4], row[5])


def _member(row: tuple[Any, ...]) -> Member:
    personal = row[2]
    return Member(
        member_id=row[0],
        rail=Rail(row[1]),
        contact=_contact(personal),
        payee=Payee(**personal["payee"]),
        card_customer_id=row[3],
        card_payment_method_id=row[4],
    )


def _contact(personal: Mapping[str, str]) -> Contact:
    return Contact(personal.get("name", ""), personal.get("email", ""), personal.get("phone", ""))


def _contact_json(contact: Contact) -> dict[str, Any]:
    return {"name": contact.name, "email": contact.email, "phone": contact.phone}


def _payee_json(payee: Payee) -> dict[str, str]:
    return {
        "name": payee.name,
        "account": payee.account,
        "bic": payee.bic,
        "bank_code": payee.bank_code,
        "transit": payee.transit,
    }
