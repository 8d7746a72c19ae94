"""Gaps in webhooks that polling has filled: what every book of events counts, and who sees it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from pardna.ingestion.event_gaps import EventBook, PolledEvent, read_events
from pardna.ingestion.event_gaps_postgres import PostgresEventBook
from pardna.transactions.ports import Batch, Delivery, DeliveryStatus
from pardna.transactions.postgres import PostgresTransactionStore
from tests.fakes.ingestion import MemoryEventBook
from tests.support.ingestion import TENANT
from tests.support.postgres import TestDatabase

Hear = Callable[[str], None]
NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture(params=["memory", "postgres"])
def book(request: pytest.FixtureRequest) -> tuple[EventBook, Hear]:
    if request.param == "memory":
        memory = MemoryEventBook()
        return memory, lambda event_id: memory.hear(TENANT, "stripe", event_id)
    database: TestDatabase = request.getfixturevalue("database")
    store = PostgresTransactionStore(database.session())

    def hear(event_id: str) -> None:
        raw = event_id[-1] * 64
        accepted = DeliveryStatus.ACCEPTED
        told = Delivery("stripe", "webhook", "webhook", raw, NOW, accepted, "f", 1, (), event_id)
        store.record(TENANT, "p", Batch("c", told))

    return PostgresEventBook(database.session()), hear


def made(*ids: str, at: datetime = NOW + timedelta(minutes=1)) -> Sequence[PolledEvent]:
    return [PolledEvent(event_id, at) for event_id in ids]


def test_what_no_webhook_told_of_is_a_gap_once(book: tuple[EventBook, Hear]) -> None:
    events, hear = book
    hear("evt_a")
    assert events.remember(TENANT, "stripe", "1" * 64, made("evt_a", "evt_b", "evt_c")) == 2
    assert events.remember(TENANT, "stripe", "2" * 64, made("evt_b", "evt_c", "evt_d")) == 1
    assert events.remember(TENANT, "stripe", "2" * 64, made("evt_b", "evt_c", "evt_d")) == 0
    seen = events.activity(TENANT, "stripe")
    assert seen.filled_by_polling_count == 3
    assert None not in (seen.last_webhook_at, seen.last_filled_at)


def test_a_webhook_that_comes_late_after_all_is_a_gap_no_longer(
    book: tuple[EventBook, Hear],
) -> None:
    events, hear = book
    hear("evt_a")
    events.remember(TENANT, "stripe", "1" * 64, made("evt_b", "evt_c"))
    hear("evt_b")
    assert events.activity(TENANT, "stripe").filled_by_polling_count == 1


def test_nobody_was_listening_before_the_first_webhook(book: tuple[EventBook, Hear]) -> None:
    events, hear = book
    assert events.remember(TENANT, "stripe", "1" * 64, made("evt_b")) == 0
    seen = events.activity(TENANT, "stripe")
    assert (seen.filled_by_polling_count, seen.last_webhook_at) == (0, None)
    hear("evt_a")
    before = made("evt_c", at=NOW - timedelta(days=1))
    assert events.remember(TENANT, "stripe", "2" * 64, before) == 0
    assert events.activity(TENANT, "stripe").filled_by_polling_count == 1  # evt_b, made since then


def test_sources_and_tenants_have_gaps_of_their_own(book: tuple[EventBook, Hear]) -> None:
    events, hear = book
    hear("evt_a")
    assert events.remember(TENANT, "other", "1" * 64, made("evt_b")) == 0
    assert events.remember("kgn-two", "stripe", "1" * 64, made("evt_b")) == 0
    assert events.activity(TENANT, "stripe").filled_by_polling_count == 0
    assert events.activity("kgn-two", "stripe").last_webhook_at is None


@pytest.mark.parametrize(
    "statement",
    ["UPDATE platform.polled_events SET event_id = 'x'", "DELETE FROM platform.polled_events"],
)
def test_what_was_told_stays_told(database: TestDatabase, statement: str) -> None:
    PostgresEventBook(database.session()).remember(TENANT, "s", "1" * 64, made("evt_b"))
    with (
        database.session().transaction(TENANT, "p") as connection,
        pytest.raises(psycopg.Error),
    ):
        connection.execute(statement.encode())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b'{"data": 7}',
        b'{"data": [{"id": 1, "created": 1}]}',
        b'{"data": [{"id": "", "created": 1}]}',
        b'{"data": [{"id": "a b", "created": 1}]}',
        b'{"data": [{"id": "evt_1", "created": "x"}]}',
        b'{"data": [{"id": "evt_1", "created": 1e99}]}',
        b'{"data": [{"id": "evt_1"}]}',
        b"[" * 100_000,
    ],
)
def test_bytes_that_are_no_list_of_events_name_none(data: bytes) -> None:
    assert read_events(data) == []


def test_an_event_that_is_listed_twice_is_one() -> None:
    rows = [{"id": "evt_2", "created": 2}, {"id": "evt_1", "created": 1}] * 2
    found = read_events(json.dumps({"data": rows}).encode())
    assert [(e.event_id, e.occurred_at.timestamp()) for e in found] == [("evt_1", 1), ("evt_2", 2)]
