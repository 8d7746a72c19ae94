"""Random operations of several clients; the invariants are checked after each step."""

from __future__ import annotations

import secrets

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from pardna.ledger.model import Account, AccountType, Journal, Line, Refusal, Status
from pardna.ledger.postgres import PostgresBook
from tests.fakes.ledger import FakeBook
from tests.support.ledger import assert_sound
from tests.support.postgres import TestDatabase

ACCOUNTS = [
    Account("cash", "JMD", AccountType.ASSET, minimum_minor=-50),
    Account("pot", "JMD", AccountType.LIABILITY),
    Account("wide", "JMD", AccountType.ASSET, shards=3),
    Account("cash", "USD", AccountType.ASSET),
    Account("pot", "USD", AccountType.LIABILITY, minimum_minor=0),
    Account("clearing:x", "JMD", AccountType.ASSET),
]
amounts = st.integers(-100, 100).filter(bool)
lines = st.builds(
    Line,
    st.sampled_from(["cash", "pot", "wide", "nowhere"]),
    st.sampled_from(["JMD", "JMD", "JMD", "USD"]),
    amounts,
)
keys = st.integers(0, 12).map(lambda n: f"k{n}")


@st.composite
def journals(draw: st.DrawFn) -> Journal:
    """Mostly balanced; sometimes a reversal, sometimes nonsense."""
    key = draw(keys)
    if draw(st.integers(0, 3)) == 0:
        return Journal(f"r{draw(st.integers(0, 5))}", "test", reverses=key)
    if draw(st.integers(0, 3)) == 0:
        return Journal(key, "test", tuple(draw(st.lists(lines, max_size=3))))
    amount = draw(amounts)
    if draw(st.integers(0, 2)) == 0:
        item = draw(st.sampled_from(["t1", "t2"]))
        open_line = Line("clearing:x", "JMD", amount, item)
        return Journal(key, "test", (open_line, Line("pot", "JMD", -amount)))
    currency = draw(st.sampled_from(["JMD", "JMD", "USD"]))
    debit, credit = draw(st.permutations(["cash", "pot"] + ["wide"] * (currency == "JMD")))[:2]
    return Journal(key, "test", (Line(debit, currency, amount), Line(credit, currency, -amount)))


class TwoLedgers(RuleBasedStateMachine):
    """The ledger on PostgreSQL answers as the one in memory does, whatever is asked of it."""

    database: TestDatabase

    @initialize()
    def open(self) -> None:
        self.tenant = f"t-{secrets.token_hex(6)}"
        self.model = FakeBook()
        self.clients = [
            psycopg.connect(self.database.runtime_conninfo, autocommit=True, prepare_threshold=None)
            for _ in range(2)
        ]
        self.model.open_accounts(ACCOUNTS)
        self.run(0, lambda book: book.open_accounts(ACCOUNTS))

    def run(self, client: int, work):  # type: ignore[no-untyped-def]
        connection = self.clients[client]
        with connection.transaction():
            connection.execute("SELECT app.enter(%s, 'tester')", (self.tenant,))
            return work(PostgresBook(connection))

    @rule(
        client=st.integers(0, 1),
        batch=st.lists(journals(), min_size=1, max_size=5),
        whole=st.booleans(),
    )
    def post(self, client: int, batch: list[Journal], whole: bool) -> None:
        expected = [o.refusal or o.status for o in self.model.post(batch, whole)]
        answers = self.run(client, lambda book: book.post(batch, whole))
        got = [o.refusal or o.status for o in answers]
        if Refusal.KEY_REUSED in got or Refusal.ALREADY_REVERSED in got or whole:
            # Which of several faults is named may differ; whether a journal stands may not.
            assert [standing(g) for g in got] == [standing(e) for e in expected]
        else:
            assert got == expected

    @rule(client=st.integers(0, 1), batch=st.lists(journals(), min_size=1, max_size=3))
    def post_and_die(self, client: int, batch: list[Journal]) -> None:
        class Killed(Exception):
            pass

        def work(book: PostgresBook) -> None:
            book.post(batch)
            raise Killed

        with pytest.raises(Killed):
            self.run(client, work)

    @invariant()
    def balances_agree(self) -> None:
        if not hasattr(self, "tenant"):
            return
        found = self.run(0, lambda book: book.balances())
        assert [(b.account, b.currency, b.balance_minor) for b in found] == [
            (b.account, b.currency, b.balance_minor) for b in self.model.balances()
        ]

    def teardown(self) -> None:
        if hasattr(self, "tenant"):
            assert_sound(self.database.runtime_conninfo, self.tenant)
            for client in self.clients:
                client.close()


def standing(answer: str) -> str:
    return answer if answer in (Status.POSTED, Status.ALREADY_POSTED) else "refused"


def test_random_operations_keep_the_invariants(database: TestDatabase) -> None:
    TwoLedgers.database = database
    run_state_machine_as_test(
        TwoLedgers,
        settings=settings(
            max_examples=25,
            stateful_step_count=15,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
