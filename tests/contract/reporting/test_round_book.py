"""Reading a round from PostgreSQL: whole, in order, and one tenant's only."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pardna.circles.model import Circle
from pardna.money.model import Money
from pardna.reporting.postgres import PostgresRoundBook
from pardna.transactions.model import transaction_id
from pardna.transactions.ports import Batch
from pardna.transactions.postgres import PostgresTransactionStore
from tests.support import matching as some
from tests.support.circles import NAMES, Hall
from tests.support.payments import TENANT
from tests.support.postgres import TestDatabase


@pytest.fixture
def hall(database: TestDatabase) -> Hall:
    return Hall(database)


@pytest.fixture
def circle(hall: Hall) -> Circle:
    """A circle whose first round is open, and nobody has paid."""
    circle = hall.create()
    hall.open(circle)
    return circle


def a_book(hall: Hall) -> PostgresRoundBook:
    return PostgresRoundBook(hall.database)


def test_a_round_shows_its_hands_in_order_with_names(hall: Hall, circle: Circle) -> None:
    facts = a_book(hall).round(TENANT, circle.circle_id, 1)

    assert facts is not None
    assert (facts.circle_name, facts.round_number, facts.rounds_count) == ("Friday Friends", 1, 5)
    assert [hand.position for hand in facts.hands] == [1, 2, 3, 4, 5]
    assert [hand.member for hand in facts.hands] == [f"{name} Brown" for name in NAMES]
    assert {hand.status for hand in facts.hands} == {"pending"}
    assert facts.draw is None


def test_our_own_side_of_each_hand_is_a_known_record(hall: Hall, circle: Circle) -> None:
    book = a_book(hall)
    facts = book.round(TENANT, circle.circle_id, 1)
    assert facts is not None

    records = book.records(TENANT, [hand.transaction_id for hand in facts.hands])

    assert {leg.kind for leg in records.values()} == {"contribution"}
    assert sum(leg.amount.amount_minor for leg in records.values()) == 2_500_000


def test_a_paid_draw_shows_its_payment(hall: Hall, circle: Circle) -> None:
    hall.match(circle, 1, [1, 2, 3, 4, 5])
    hall.rounds.check_funding(TENANT, circle.circle_id, 1)
    draw = hall.rounds.compute_draw(TENANT, circle.circle_id, 1, "ann", "t")
    batch_id = hall.pay(draw.payment_id)
    book = a_book(hall)

    facts = book.round(TENANT, circle.circle_id, 1)

    assert facts is not None
    assert facts.draw is not None
    assert facts.draw.amount == Money(2_500_000, "JMD")
    assert (facts.draw.recipient, facts.draw.status) == ("Marcia Brown", "confirmed")
    assert (facts.draw.requested_by, facts.draw.approved_by) == ("ann", "ben")
    assert facts.draw.batch_id == batch_id
    own = transaction_id(TENANT, facts.draw.transaction_source, facts.draw.transaction_external_id)
    assert own in book.records(TENANT, [own])


def test_payouts_are_found_by_the_providers_name(hall: Hall) -> None:
    paid_out = replace(
        some.payout("po_1", 961_000, tenant_id=TENANT), external_id="po_1", batch_id="po_1"
    )
    charge = some.charge(1, 500_000, 19_500, "po_1", tenant_id=TENANT)
    store = PostgresTransactionStore(hall.database)
    store.record(TENANT, "test", Batch(transactions=(paid_out, charge), correlation_id="t"))

    found = a_book(hall).payouts(TENANT, ["po_1", "po_2"])

    assert found == {"po_1": paid_out.transaction_id}


def test_another_tenant_sees_nothing(hall: Hall, circle: Circle) -> None:
    book = a_book(hall)
    facts = book.round(TENANT, circle.circle_id, 1)
    assert facts is not None

    assert book.round("other-tenant", circle.circle_id, 1) is None
    assert book.records("other-tenant", [hand.transaction_id for hand in facts.hands]) == {}


def test_nothing_asked_is_nothing_read(hall: Hall) -> None:
    assert a_book(hall).records(TENANT, []) == {}
    assert a_book(hall).payouts(TENANT, []) == {}
    assert a_book(hall).round(TENANT, "cir-00000000", 1) is None
