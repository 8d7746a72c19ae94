"""Any history of a circle on PostgreSQL: steps in any order, repeated, with money taken back."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from itertools import count

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pardna.circles.model import Circle, FeeModel, PotModel, Shortfall
from pardna.runtime.errors import PardnaError
from tests.support.circles import Hall, a_circle
from tests.support.payments import TENANT
from tests.support.postgres import TestDatabase

_numbers = count(1)
steps = st.tuples(
    st.sampled_from(["open", "match", "unmatch", "check", "draw", "pay", "close", "later"]),
    st.sampled_from([1, 1, 1, 2, 3]),
    st.sampled_from([{1, 2, 3}, {1, 2, 3}, {1}, {2, 3}]),
)
#: Histories begin at any point of a round, so that draws and payments are reached often.
ORDERLY = [(what, 1, {1, 2, 3}) for what in ("open", "match", "draw", "pay", "close")]
beginnings = st.integers(0, len(ORDERLY)).map(lambda length: ORDERLY[:length])


def take(hall: Hall, circle: Circle, step: tuple[str, int, set[int]]) -> None:
    """One step; what a rule refuses has no effect."""
    what, number, positions = step
    at = (TENANT, circle.circle_id, number)
    view = hall.looks.round(TENANT, "test", circle.circle_id, number)
    actions: dict[str, Callable[[], object]] = {
        "open": lambda: hall.open(circle, number),
        "match": lambda: hall.match(circle, number, sorted(positions)),
        "unmatch": lambda: hall.match(circle, number, sorted(positions), undo=True),
        "check": lambda: hall.rounds.check_funding(*at),
        "draw": lambda: hall.rounds.compute_draw(*at, "ann", "test"),
        "pay": lambda: hall.pay(view.draw.payment_id) if view.draw else None,
        "close": lambda: hall.rounds.close_round(*at, "paid"),
        "later": lambda: hall.later(days=number),
    }
    with suppress(PardnaError):
        actions[what]()


def holds(hall: Hall, circle: Circle) -> None:
    """What is true after every step of every history."""
    drawn = hall.rows(
        "SELECT d.round_number, d.position, d.pot_minor, d.fee_minor, d.net_minor, p.amount_minor,"
        " p.status FROM circles.draws d JOIN payments.payments p USING (tenant_id, payment_id)"
        " WHERE circle_id = %s",
        circle.circle_id,
    )
    assert len({row[0] for row in drawn}) == len({row[1] for row in drawn}) == len(drawn)
    for round_number, _, pot, fee, net, paid, _ in drawn:
        owed = hall.looks.round(TENANT, "test", circle.circle_id, round_number).contributions
        funded = sum(c.amount.amount_minor for c in owed if c.is_funded)
        assert pot <= funded
        assert pot == net + fee
        assert net == paid
    # Our books owe what fell due, and have paid what was written into files, and nothing else.
    (due, out) = hall.rows(
        "SELECT coalesce(sum(amount_minor) FILTER (WHERE kind = 'contribution'), 0)::bigint,"
        " coalesce(-sum(amount_minor) FILTER (WHERE kind = 'draw'), 0)::bigint"
        " FROM platform.transactions WHERE source = %s",
        circle.source,
    )[0]
    written = [row for row in drawn if row[6] not in ("instructed", "cancelled")]
    owed_total = hall.rows(
        "SELECT coalesce(sum(amount_minor), 0)::bigint FROM circles.contributions"
        " WHERE circle_id = %s",
        circle.circle_id,
    )[0][0]
    assert due == owed_total
    assert out == sum(row[5] for row in written)


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    beginnings,
    st.lists(steps, min_size=5, max_size=25),
    st.sampled_from(PotModel),
    st.sampled_from(Shortfall),
    st.sampled_from([FeeModel.NONE, FeeModel.BPS]),
)
def test_any_history_keeps_the_circles_promises(
    database: TestDatabase,
    beginning: list[tuple[str, int, set[int]]],
    history: list[tuple[str, int, set[int]]],
    pot_model: PotModel,
    shortfall: Shortfall,
    fee_model: FeeModel,
) -> None:
    hall = Hall(database)
    circle = hall.create(
        a_circle(
            3,
            cards=1,
            reference=f"history-{next(_numbers)}",
            pot_model=pot_model,
            shortfall=shortfall,
            fee_model=fee_model,
            fee_value=250 if fee_model is FeeModel.BPS else 0,
        )
    )
    for step in [*beginning, *history]:
        take(hall, circle, step)
        holds(hall, circle)
