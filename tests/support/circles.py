"""Circles for tests, built by intent."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from pardna.circles.calendar import is_business_day
from pardna.circles.model import (
    Circle,
    Contact,
    FeeModel,
    Frequency,
    Member,
    PotModel,
    Rail,
    Shortfall,
    Slot,
    Terms,
)
from pardna.circles.names import circle_id, codes
from pardna.circles.postgres import PostgresBooks
from pardna.circles.rounds import OpenRound, Rounds
from pardna.circles.service import Circles, Looks
from pardna.money.model import Money
from pardna.payments.model import Payee, Status
from pardna.payments.ports import Approval
from pardna.payments.postgres import PostgresPaymentBook
from tests.fakes.payments import OneBank
from tests.support.payments import TENANT, a_bank, a_batch
from tests.support.postgres import TestDatabase

NOW = datetime(2026, 1, 9, 15, 0, tzinfo=UTC)
NAMES = ("Marcia", "Devon", "Shanice", "Oral", "Kadian")


def a_member(number: int, rail: Rail = Rail.BANK) -> Member:
    """A member with an account to be paid on."""
    name = f"{NAMES[(number - 1) % 5]} Brown"
    return Member(
        member_id=f"m{number}",
        rail=rail,
        contact=Contact(name, f"m{number}@example.com", f"+1876555010{number % 10}"),
        payee=Payee(name, f"10000{number:03d}", "JNCBJMKX"),
        card_customer_id="cus_1" if rail is Rail.CARD else "",
        card_payment_method_id="pm_1" if rail is Rail.CARD else "",
    )


def a_circle(
    members: int = 5, *, hands: Sequence[int] = (), cards: int = 3, reference: str = "friends", **terms: Any
) -> Circle:  # fmt: skip
    """A circle whose first `cards` members pay by card; `hands` per member, one each by default."""
    people = [a_member(n, Rail.CARD if n <= cards else Rail.BANK) for n in range(1, members + 1)]
    owned = hands or [1] * members
    order = [p.member_id for p, count in zip(people, owned, strict=True) for _ in range(count)]
    agreed: dict[str, Any] = {
        "hand": Money(500_000, "JMD"),
        "frequency": Frequency.WEEKLY,
        "starts_on": date(2026, 1, 9),
        "fee_model": FeeModel.NONE,
        "pot_model": PotModel.RECIPIENT_PAYS,
        "shortfall": Shortfall.WAIT,
    }
    return Circle(
        tenant_id=TENANT,
        circle_id=circle_id(TENANT, reference),
        reference=reference,
        code=codes(TENANT, reference)[0],
        name="Friday Friends",
        terms=Terms(**(agreed | terms)),
        members=tuple(sorted(people, key=lambda m: m.member_id)),
        slots=tuple(Slot(n, m) for n, m in enumerate(order, start=1)),
        bank_source_id="ncb-main",
        card_source_id="stripe-main",
        banker=Contact("Banker Lady", "banker@example.com"),
        created_by="ann",
        created_at=NOW,
    )


class Hall:
    """Circles on a real database, with a clock, and money that arrives on demand."""

    def __init__(self, database: TestDatabase) -> None:
        self.now = NOW
        self.database = database.session()
        self.books = PostgresBooks(self.database, self.clock)
        self.circles = Circles(self.books, OneBank(a_bank()), is_business_day)
        self.looks = Looks(self.books)
        self.opening = OpenRound(self.books, OneBank(a_bank()), self.clock)
        self.rounds = Rounds(self.books, self.clock)
        self.payments = PostgresPaymentBook(self.database, self.clock)

    def clock(self) -> datetime:
        return self.now

    def later(self, **by: int) -> None:
        self.now += timedelta(**by)

    def create(self, circle: Circle | None = None, request_hash: str = "0" * 64) -> Circle:
        return self.circles.create(circle or a_circle(), request_hash)[0]

    def open(self, circle: Circle, number: int = 1) -> str:
        return self.opening.open(TENANT, circle.circle_id, number, "test")

    def match(
        self,
        circle: Circle,
        number: int,
        positions: Sequence[int],
        *,
        undo: bool = False,
        with_money: bool = True,
    ) -> None:
        """The money of these hands is matched, as the ledger records it (or no longer); without
        money, what they owe is written off."""
        owed = self.looks.round(TENANT, "test", circle.circle_id, number).contributions
        legs = [
            {
                "pair": "internal~bank",
                "transaction_id": leg,
                "match_id": f"m-{c.contribution_id}",
                "version": 2 if undo else 1,
                "status": "unmatched" if undo else "committed",
                "matched_at": self.now.isoformat(),
            }
            for c in owed
            if c.position in positions
            for leg in (c.transaction_id, *([f"bank-{c.contribution_id}"] if with_money else []))
        ]
        self.rows("SELECT ledger.mark_legs(%s::jsonb)", json.dumps(legs))

    def pay(self, payment_id: str, approved_by: str = "ben") -> str:
        """The payment is approved, written, sent and confirmed."""
        payment = self.payments.payment(TENANT, payment_id)
        batch = replace(a_batch(payment.instruction), written_at=self.now)
        written = self.payments.write(
            TENANT, payment_id, Approval("apr-1", approved_by), batch, "t"
        )
        for status in (Status.UPLOADED, Status.ACCEPTED, Status.CONFIRMED):
            self.payments.advance(TENANT, written.batch_id, status)
        return written.batch_id

    def rows(self, query: str, *values: Any) -> list[Any]:
        with self.database.transaction(TENANT, "tester") as connection:
            return connection.execute(query.encode(), values).fetchall()
