"""Many clients at once: one effect per key, no deadlock, no lost update, limits that hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier

import pytest

from pardna.ledger.model import (
    Account,
    AccountType,
    Hold,
    HoldRefusal,
    HoldStatus,
    Journal,
    Line,
    Outcome,
    Refusal,
    Status,
)
from pardna.ledger.postgres import PostgresBooks
from pardna.ledger.service import Ledger
from tests.support.ledger import TENANT, WHO, assert_sound, balances, rows
from tests.support.postgres import TestDatabase


def move(key: str, debit: str, credit: str, amount: int) -> Journal:
    return Journal(key, "test", (Line(debit, "JMD", amount), Line(credit, "JMD", -amount)))


@pytest.fixture
def ledger(database: TestDatabase) -> Ledger:
    books = PostgresBooks(database.session())
    with books.open(TENANT, WHO) as book:
        book.open_accounts(
            [
                Account("hot:1", "JMD", AccountType.ASSET),
                Account("hot:2", "JMD", AccountType.ASSET),
                Account("wide", "JMD", AccountType.ASSET, shards=8),
                Account("safe", "JMD", AccountType.ASSET, minimum_minor=0),
            ]
        )
    return Ledger(books)


def at_once(
    database: TestDatabase, clients: int, work: Callable[[Ledger, int], list[Outcome]]
) -> list[list[Outcome]]:
    """Run `work` in so many threads that all start together, each a client of its own."""
    start = Barrier(clients)

    def run(number: int) -> list[Outcome]:
        session = database.session()
        start.wait(60)
        try:
            return work(Ledger(PostgresBooks(session)), number)
        finally:
            session.close()

    with ThreadPoolExecutor(clients) as pool:
        return list(pool.map(run, range(clients)))


def answers(outcomes: list[list[Outcome]]) -> Counter[str]:
    return Counter(o.refusal or o.status for batch in outcomes for o in batch)


def test_the_same_key_from_many_clients_posts_once(ledger: Ledger, database: TestDatabase) -> None:
    journals = [move(f"k{i}", "hot:1", "hot:2", 10 + i) for i in range(20)]

    def work(client: Ledger, number: int) -> list[Outcome]:
        order = journals if number % 2 else journals[::-1]
        found = client.post(TENANT, WHO, order)
        return found if number % 2 else found[::-1]

    outcomes = at_once(database, 16, work)
    assert answers(outcomes) == {Status.POSTED: 20, Status.ALREADY_POSTED: 300}
    for column in zip(*outcomes, strict=True):
        assert len({outcome.journal_id for outcome in column}) == 1
    assert balances(database.runtime_conninfo)["hot:1"] == sum(10 + i for i in range(20))
    assert_sound(database.runtime_conninfo)


def test_the_same_key_with_different_content_has_one_winner(
    ledger: Ledger, database: TestDatabase
) -> None:
    outcomes = at_once(
        database,
        16,
        lambda client, n: client.post(TENANT, WHO, [move("k", "hot:1", "hot:2", 100 + n)]),
    )
    assert answers(outcomes) == {Status.POSTED: 1, Refusal.KEY_REUSED: 15}
    assert_sound(database.runtime_conninfo)


def test_a_hundred_clients_on_two_accounts(ledger: Ledger, database: TestDatabase) -> None:
    """Opposite directions, so that locks taken as they come would deadlock."""

    def work(client: Ledger, number: int) -> list[Outcome]:
        ends = ("hot:1", "hot:2") if number % 2 else ("hot:2", "hot:1")
        return [
            outcome
            for turn in range(5)
            for outcome in client.post(
                TENANT,
                WHO,
                [move(f"{number}-{turn}-{i}", *ends, 1 + number % 2) for i in range(3)],
            )
        ]

    outcomes = at_once(database, 100, work)
    assert answers(outcomes) == {Status.POSTED: 1500}
    assert balances(database.runtime_conninfo)["hot:1"] == 50 * 15 * 2 - 50 * 15
    assert_sound(database.runtime_conninfo)


def test_a_limit_holds_whoever_comes_first(ledger: Ledger, database: TestDatabase) -> None:
    ledger.post(TENANT, WHO, [move("in", "safe", "hot:1", 100)])
    outcomes = at_once(
        database,
        24,
        lambda client, n: client.post(
            TENANT,
            WHO,
            [move(f"{n}", "hot:1", "safe", 10), move(f"{n}b", "wide", "hot:2", 1)],
        ),
    )
    assert answers(outcomes) == {Status.POSTED: 10 + 24, Refusal.BELOW_MINIMUM: 14}
    assert "safe" not in balances(database.runtime_conninfo)
    assert_sound(database.runtime_conninfo)


def test_a_journal_is_reversed_once_whoever_tries(ledger: Ledger, database: TestDatabase) -> None:
    ledger.post(TENANT, WHO, [move("k", "hot:1", "hot:2", 100)])
    outcomes = at_once(
        database,
        12,
        lambda client, n: client.post(TENANT, WHO, [Journal(f"back{n}", "test", reverses="k")]),
    )
    assert answers(outcomes) == {Status.POSTED: 1, Refusal.ALREADY_REVERSED: 11}
    assert balances(database.runtime_conninfo) == {}
    assert_sound(database.runtime_conninfo)


def test_a_split_account_is_read_as_one(ledger: Ledger, database: TestDatabase) -> None:
    at_once(
        database, 16, lambda client, n: client.post(TENANT, WHO, [move(f"{n}", "wide", "hot:1", 5)])
    )
    assert balances(database.runtime_conninfo) == {"wide": 80, "hot:1": -80}
    assert_sound(database.runtime_conninfo)


def test_first_use_of_accounts_by_many_clients(ledger: Ledger, database: TestDatabase) -> None:
    outcomes = at_once(
        database,
        12,
        lambda client, n: client.post(
            TENANT, WHO, [move(f"{n}-{i}", f"bank:b{i}", f"pot:p{i}", 1) for i in range(5)]
        ),
    )
    assert answers(outcomes) == {Status.POSTED: 60}
    assert_sound(database.runtime_conninfo)


def end_hold(
    database: TestDatabase,
    key: str,
    done: list[tuple[HoldStatus, HoldRefusal | None, bool]],
    _: Ledger,
    number: int,
) -> list[Outcome]:
    action = HoldStatus.CAPTURED if number % 2 else HoldStatus.VOIDED
    session = database.session()
    with PostgresBooks(session).open(TENANT, WHO) as book:
        found = book.end_hold(key, action)
    session.close()
    done.append((found.status, found.refusal, found.again))
    return []


def test_capture_and_void_race_and_one_wins(ledger: Ledger, database: TestDatabase) -> None:
    books = PostgresBooks(database.session())
    ledger.post(TENANT, WHO, [move("in", "safe", "hot:1", 100)])
    for turn in range(5):
        with books.open(TENANT, WHO) as book:
            book.hold([Hold(f"h{turn}", "hot:2", "safe", "JMD", 20)])

        done: list[tuple[HoldStatus, HoldRefusal | None, bool]] = []
        at_once(database, 10, partial(end_hold, database, f"h{turn}", done))
        won = [status for status, refusal, again in done if refusal is None and not again]
        assert len(won) == 1
        assert sum(refusal is not None for _, refusal, _ in done) == 5
    assert_sound(database.runtime_conninfo)
    held = "SELECT sum(held_debits_minor) + sum(held_credits_minor) FROM ledger.balances"
    assert rows(database.runtime_conninfo, held) == [(0,)]


def test_open_items_are_kept_whoever_posts(ledger: Ledger, database: TestDatabase) -> None:
    """Both sides of the same items at once, in opposite order."""

    def work(client: Ledger, number: int) -> list[Outcome]:
        sign = 1 if number % 2 else -1
        journals = [
            Journal(
                f"{number}-{item}",
                "test",
                (
                    Line("clearing:x", "JMD", sign * (item + 1), f"t{item}"),
                    Line("hot:1", "JMD", -sign * (item + 1)),
                ),
            )
            for item in range(10)
        ]
        return client.post(TENANT, WHO, journals if number % 4 < 2 else journals[::-1])

    assert answers(at_once(database, 13, work)) == {Status.POSTED: 130}
    assert_sound(database.runtime_conninfo)
    left = rows(database.runtime_conninfo, "SELECT item, amount_minor FROM ledger.open_items")
    assert sorted(left) == sorted((f"t{item}", -(item + 1)) for item in range(10))
