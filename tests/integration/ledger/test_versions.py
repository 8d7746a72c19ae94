"""Versions of transactions and their matches, from many consumers in any order, on PostgreSQL."""

from __future__ import annotations

import itertools
import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from pardna.ledger.model import MatchEvent
from pardna.ledger.postgres import PostgresBooks
from pardna.ledger.service import Ledger
from pardna.transactions.model import Kind, Side, Transaction
from pardna.transactions.postgres import record_in
from pardna.transactions.recorded import TransactionRecorded
from tests.support.ledger import TENANT, WHO, assert_sound, balances
from tests.support.postgres import TestDatabase
from tests.unit.ledger.test_posting_rules import START, a_charge, a_transaction, leg

Told = dict[str, list[TransactionRecorded]]


def tell(database: TestDatabase, *said: Transaction) -> Told:
    """Record what was said in the store; returns the event of each new version, by transaction."""
    told: Told = {}
    for transaction in said:
        with database.session().transaction(TENANT, WHO) as connection:
            [done] = record_in(connection, TENANT, [transaction], "test")
        versions = told.setdefault(done.transaction_id, [])
        if done.version > len(versions):
            before = versions[-1].transaction if versions else None
            versions.append(TransactionRecorded(done.transaction, done.version, before))
    return told


def a_webhook(name: str) -> Transaction:
    return a_transaction(Side.PSP, Kind.CHARGE, 1000, external_id=name)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_one_charge_by_three_routes_in_all_orders(
    database: TestDatabase, order: tuple[int, ...]
) -> None:
    """Webhook without the fee, poll with it, report with the payout: one posting stands."""
    routes = [
        a_webhook("ch"),
        a_charge(1000, 59, external_id="ch"),
        a_charge(1000, 59, external_id="ch", batch_id="po_1"),
    ]
    told = tell(database, *(routes[i] for i in order))
    events = [event for versions in told.values() for event in versions]
    session = database.session()
    ledger = Ledger(PostgresBooks(session))
    for event in [*reversed(events), *events]:
        assert not ledger.post_transactions(TENANT, WHO, [event]).refused
    session.close()
    assert balances(database.runtime_conninfo) == {
        "psp_balance:stripe:acct_1": 941,
        "fees:stripe:acct_1": 59,
        "clearing:stripe:acct_1": -1000,
    }
    assert_sound(database.runtime_conninfo)


def test_many_consumers_of_the_same_versions_and_matches(database: TestDatabase) -> None:
    told: Told = {}
    matches = []
    for number in range(8):
        ours = a_transaction(Side.INTERNAL, Kind.CONTRIBUTION, 1000, external_id=f"c{number}")
        charge = a_charge(1000, 50 + number, external_id=f"ch{number}")
        told |= tell(database, ours, a_webhook(f"ch{number}"), charge)
        for version, status in ((1, "committed"), (1, "unmatched"), (2, "committed")):
            legs = (leg(ours), leg(charge))
            matches.append(MatchEvent(f"m{number}", version, "internal~psp", status, START, legs))
    events = [event for versions in told.values() for event in versions]
    assert len(events) == 8 * 3

    def consume(seed: int) -> int:
        chance = random.Random(seed)
        session = database.session()
        ledger = Ledger(PostgresBooks(session))
        work = [("t", e) for e in events] + [("m", m) for m in matches]
        chance.shuffle(work)
        refused = 0
        for start in range(0, len(work), 5):
            some = work[start : start + 5]
            recorded = [item for kind, item in some if kind == "t"]
            matched = [item for kind, item in some if kind == "m"]
            refused += len(ledger.post_transactions(TENANT, WHO, recorded).refused)  # type: ignore[arg-type]
            refused += len(ledger.post_matches(TENANT, WHO, matched).refused)  # type: ignore[arg-type]
        session.close()
        return refused

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(consume, range(6))) == [0] * 6
    fees = sum(50 + number for number in range(8))
    assert balances(database.runtime_conninfo) == {
        "pot:circle-1": 8000,
        "psp_balance:stripe:acct_1": 8000 - fees,
        "fees:stripe:acct_1": fees,
    }
    assert_sound(database.runtime_conninfo)
