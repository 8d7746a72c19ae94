"""A circle's life on PostgreSQL: every step may be repeated, raced and killed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from pardna.circles import model
from pardna.circles.model import Circle, CircleStatus, RoundStatus, Shortfall
from pardna.money.model import Money
from pardna.runtime.errors import Conflict, InvalidInput, RefusedByRule
from pardna.runtime.events import Envelope
from tests.fakes.payments import Killed
from tests.support.circles import Hall, a_circle
from tests.support.payments import TENANT
from tests.support.postgres import TestDatabase

ALL = (1, 2, 3, 4, 5)


@pytest.fixture
def hall(database: TestDatabase) -> Hall:
    return Hall(database)


def events(hall: Hall, event_type: str) -> list[Envelope]:
    rows = hall.rows(
        "SELECT envelope FROM platform.outbox WHERE event_type = %s ORDER BY envelope", event_type
    )
    return [Envelope.from_json(row[0]) for row in rows]


def draw(hall: Hall, circle: Circle, number: int = 1, by: str = "ann") -> Any:
    return hall.rounds.compute_draw(TENANT, circle.circle_id, number, by, "test")


def test_what_is_created_is_found(hall: Hall) -> None:
    made, new = hall.circles.create(a_circle(), "0" * 64)
    assert new
    found, rounds = hall.looks.circle(TENANT, "ann", made.circle_id)
    assert found == made
    assert [r.status for r in rounds] == [RoundStatus.SCHEDULED] * 5
    assert hall.circles.create(a_circle(), "0" * 64) == (made, False)


def test_a_reference_is_good_for_one_circle(hall: Hall) -> None:
    hall.create()
    with pytest.raises(Conflict, match=r"circle\.differs"):
        hall.create(request_hash="1" * 64)


def test_ten_requests_at_once_make_one_circle(hall: Hall) -> None:
    with ThreadPoolExecutor(10) as pool:
        made = list(pool.map(lambda _: hall.circles.create(a_circle(), "0" * 64), range(10)))
    assert len({c.circle_id for c, _ in made}) == 1
    assert [new for _, new in made].count(True) == 1


def test_two_circles_never_share_a_code(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pardna.circles.names.codes", lambda *_: ["AAAA", "BBBB"])
    first = hall.create(a_circle(reference="one"))
    second = hall.create(a_circle(reference="two"))
    assert (first.code, second.code) == ("AAAA", "BBBB")


def test_a_bank_of_another_currency_is_refused(hall: Hall) -> None:
    with pytest.raises(InvalidInput, match=r"circle\.currency"):
        hall.create(a_circle(hand=Money(5000, "USD")))


def test_opening_asks_for_the_money_once(hall: Hall) -> None:
    circle = hall.create()
    assert [hall.open(circle), hall.open(circle)] == ["opened", "opened"]
    assert hall.rows(
        "SELECT kind, side, sum(amount_minor)::bigint, count(*) FROM platform.transactions"
        " GROUP BY kind, side"
    ) == [("contribution", "internal", 2_500_000, 5)]
    charges = events(hall, "card_charge.requested")
    assert len(charges) == 3
    assert {e.data["source_id"] for e in charges} == {"stripe-main"}
    requests = events(hall, "notification.requested")
    assert {e.data["values"]["reference"] for e in requests} == {
        f"PDN-{circle.code}-R01-04",
        f"PDN-{circle.code}-R01-05",
    }
    assert {e.data["values"]["account"] for e in requests} == {"404385912"}
    found, _ = hall.looks.circle(TENANT, "ann", circle.circle_id)
    assert found.status is CircleStatus.ACTIVE


def test_killed_before_the_commit_nothing_happened(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    circle = hall.create()
    with monkeypatch.context() as patched:
        patched.setattr("pardna.circles.rounds.OpenRound._requests", _die)
        with pytest.raises(Killed):
            hall.open(circle)
    assert hall.rows("SELECT count(*) FROM platform.transactions") == [(0,)]
    assert hall.open(circle) == "opened"
    assert hall.rows("SELECT count(*) FROM platform.transactions") == [(5,)]


def _die(*_: Any) -> None:
    raise Killed


def test_ten_openings_at_once_are_one(hall: Hall) -> None:
    circle = hall.create()
    with ThreadPoolExecutor(10) as pool:
        assert set(pool.map(lambda _: hall.open(circle), range(10))) == {"opened"}
    assert hall.rows("SELECT count(*) FROM circles.contributions") == [(5,)]
    assert hall.rows("SELECT count(*) FROM platform.transaction_versions") == [(5,)]


def test_rounds_open_in_order(hall: Hall) -> None:
    circle = hall.create()
    assert hall.open(circle, 2) == "too_early"
    hall.open(circle, 1)
    assert hall.open(circle, 2) == "opened"
    assert hall.open(circle, 6) == "unknown"
    assert hall.open(replace(circle, circle_id="cir-nobody")) == "unknown"


def test_a_round_is_funded_when_every_hand_is_matched(hall: Hall) -> None:
    circle = hall.create()
    hall.open(circle)
    check = lambda: hall.rounds.check_funding(TENANT, circle.circle_id, 1)  # noqa: E731
    assert check().outcome == "waiting"
    hall.match(circle, 1, [1, 2, 3])
    assert (check().outcome, check().paid_count, check().paid_minor) == ("waiting", 3, 1_500_000)
    hall.match(circle, 1, [4, 5])
    assert check().outcome == "funded"
    hall.match(circle, 1, [5], undo=True)
    assert (check().outcome, check().paid_count) == ("waiting", 4)


def test_a_draw_needs_the_whole_pot(hall: Hall) -> None:
    circle = hall.create()
    with pytest.raises(RefusedByRule, match=r"round\.not_open"):
        draw(hall, circle)
    hall.open(circle)
    hall.match(circle, 1, [1, 2, 3, 4])
    with pytest.raises(RefusedByRule, match=r"round\.short_funded"):
        draw(hall, circle)
    hall.match(circle, 1, [5])
    computed = draw(hall, circle)
    assert computed.net.amount_minor == 2_500_000
    assert draw(hall, circle, by="somebody else") == computed
    assert hall.rows(
        "SELECT origin, amount_minor, status, requested_by FROM payments.payments"
    ) == [(f"draw:{computed.draw_id}", 2_500_000, "instructed", "ann")]


def test_ten_draws_at_once_order_one_payment(hall: Hall) -> None:
    circle = hall.create()
    hall.open(circle)
    hall.match(circle, 1, ALL)
    with ThreadPoolExecutor(10) as pool:
        assert len(set(pool.map(lambda _: draw(hall, circle), range(10)))) == 1
    assert hall.rows("SELECT count(*) FROM payments.payments") == [(1,)]


def test_a_circle_that_reduces_pays_what_came(hall: Hall) -> None:
    circle = hall.create(a_circle(shortfall=Shortfall.REDUCE))
    hall.open(circle)
    hall.match(circle, 1, [1, 2, 3])
    assert hall.rounds.check_funding(TENANT, circle.circle_id, 1).outcome == "waiting"
    hall.later(days=4)
    assert hall.rounds.check_funding(TENANT, circle.circle_id, 1).outcome == "short_funded"
    assert draw(hall, circle).pot.amount_minor == 1_500_000


def test_the_database_refuses_a_draw_above_what_was_collected(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    circle = hall.create()
    hall.open(circle)
    hall.match(circle, 1, ALL)
    computed = model.draw

    def greedy(*args: Any) -> Any:
        fair = computed(*args)
        return replace(fair, pot=fair.pot * 2)

    monkeypatch.setattr("pardna.circles.model.draw", greedy)
    with pytest.raises(psycopg.errors.CheckViolation, match="more than"):
        draw(hall, circle)


def test_a_round_closes_when_the_bank_has_confirmed(hall: Hall) -> None:
    circle = hall.create()
    hall.open(circle)
    hall.match(circle, 1, ALL)
    computed = draw(hall, circle)
    with pytest.raises(Conflict, match=r"round\.not_paid"):
        hall.rounds.close_round(TENANT, circle.circle_id, 1, "paid")
    hall.pay(computed.payment_id)
    close = lambda: hall.rounds.close_round(TENANT, circle.circle_id, 1, "paid")  # noqa: E731
    assert [close(), close()] == ["closed", "closed"]
    view = hall.looks.round(TENANT, "ann", circle.circle_id, 1)
    assert (view.status, view.round.closed_at) == (RoundStatus.CLOSED, hall.now)
    assert hall.rows("SELECT amount_minor FROM platform.transactions WHERE kind = 'draw'") == [
        (-2_500_000,)
    ]


def test_a_payout_that_was_declined_is_held_and_never_paid(hall: Hall) -> None:
    circle = hall.create()
    hall.open(circle)
    hall.match(circle, 1, ALL)
    computed = draw(hall, circle)
    assert hall.rounds.close_round(TENANT, circle.circle_id, 1, "declined") == "held"
    with pytest.raises(Conflict, match=r"payment\.not_payable"):
        hall.pay(computed.payment_id)
    assert hall.rows("SELECT count(*) FROM platform.transactions WHERE kind = 'draw'") == [(0,)]


def test_receipts_are_announced_once(hall: Hall) -> None:
    circle = hall.create()
    hall.open(circle)
    hall.match(circle, 1, ALL)
    hall.pay(draw(hall, circle).payment_id)
    hall.rounds.close_round(TENANT, circle.circle_id, 1, "paid")
    send = lambda: hall.rounds.send_receipts(TENANT, circle.circle_id, 1, "test")  # noqa: E731
    assert [send(), send()] == [6, 6]
    templates = [e.data["template"] for e in events(hall, "notification.requested")]
    assert templates.count("contribution_receipt") == 5
    assert templates.count("draw_receipt") == 1
    assert templates.count("approval_needed") == 1


def test_all_rounds_played_complete_the_circle_and_tie(hall: Hall) -> None:
    circle = hall.create()
    for number in ALL:
        hall.open(circle, number)
        hall.match(circle, number, ALL)
        hall.pay(draw(hall, circle, number).payment_id)
        hall.rounds.close_round(TENANT, circle.circle_id, number, "paid")
        hall.later(days=7)
    found, _ = hall.looks.circle(TENANT, "ann", circle.circle_id)
    assert found.status is CircleStatus.COMPLETED
    assert hall.rows("SELECT sum(amount_minor)::bigint FROM platform.transactions") == [(0,)]
    assert hall.rows("SELECT count(DISTINCT position) FROM circles.draws") == [(5,)]


def test_what_was_written_off_is_not_paid(hall: Hall) -> None:
    circle = hall.create()
    hall.open(circle)
    hall.match(circle, 1, [1, 2, 3, 4])
    hall.match(circle, 1, [5], with_money=False)
    found = hall.rounds.check_funding(TENANT, circle.circle_id, 1)
    assert (found.outcome, found.paid_count) == ("waiting", 4)
