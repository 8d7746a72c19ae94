"""What was begun and came to nothing: what every book of it does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from pardna.ingestion.model import RawKey
from pardna.ingestion.pending import PendingBook
from pardna.ingestion.pending_postgres import PostgresPendingBook
from pardna.transactions.ports import (
    COPY,
    Batch,
    Delivery,
    DeliveryStatus,
    TransactionStore,
    of_known_event,
)
from pardna.transactions.postgres import PostgresTransactionStore
from tests.fakes.ingestion import MemoryPendingBook
from tests.fakes.transactions import MemoryTransactionStore
from tests.support.ingestion import NOON, TENANT, a_receipt
from tests.support.postgres import TestDatabase

Deliver = Callable[..., None]


@pytest.fixture(params=["memory", "postgres"])
def book(request: pytest.FixtureRequest) -> tuple[PendingBook, Deliver]:
    store: TransactionStore
    pending: PendingBook
    if request.param == "memory":
        store = memory = MemoryTransactionStore()
        pending = MemoryPendingBook(lambda k: not memory.undelivered(k.tenant_id, [k.raw_sha256]))
    else:
        database: TestDatabase = request.getfixturevalue("database")
        store = PostgresTransactionStore(database.session())
        pending = PostgresPendingBook(database.session())

    def deliver(key: RawKey, status: DeliveryStatus, *problems: dict[str, str]) -> None:
        told = Delivery(
            "ncb", "sftp", f"{status}.xml", key.raw_sha256, NOON, status, problems=problems
        )
        store.record(key.tenant_id, "p", Batch("c", told))

    return pending, deliver


def a_key(digit: str, tenant_id: str = TENANT) -> RawKey:
    return RawKey(tenant_id, digit * 64)


def soon() -> datetime:
    return datetime.now(UTC) + timedelta(seconds=5)


@pytest.mark.parametrize("status", list(DeliveryStatus))
def test_what_was_begun_waits_until_a_delivery_names_it(
    book: tuple[PendingBook, Deliver], status: DeliveryStatus
) -> None:
    pending, deliver = book
    for digit in "ab":
        pending.begin(a_key(digit), a_receipt())
        pending.begin(a_key(digit), a_receipt(name="other.xml"))
    pending.begin(a_key("a", "kgn-two"), a_receipt())
    assert pending.waiting(TENANT, soon(), 10) == [a_key("a"), a_key("b")]
    deliver(a_key("a"), status, dict(of_known_event()))
    assert pending.waiting(TENANT, soon(), 10) == [a_key("b")]
    pending.begin(a_key("a"), a_receipt())  # a replay of what has a delivery
    assert pending.waiting(TENANT, soon(), 10) == [a_key("b")]
    assert pending.waiting("kgn-two", soon(), 10) == [a_key("a", "kgn-two")]


def test_a_copy_under_another_name_ends_nothing(book: tuple[PendingBook, Deliver]) -> None:
    pending, deliver = book
    pending.begin(a_key("a"), a_receipt())
    deliver(a_key("a"), DeliveryStatus.DUPLICATE, {"code": COPY})
    assert pending.waiting(TENANT, soon(), 10) == [a_key("a")]
    deliver(a_key("b"), DeliveryStatus.DUPLICATE, {"code": COPY})
    pending.begin(a_key("b"), a_receipt())
    assert pending.waiting(TENANT, soon(), 10) == [a_key("a"), a_key("b")]


def test_what_was_tried_longest_ago_comes_first_and_what_is_being_read_not_at_all(
    book: tuple[PendingBook, Deliver],
) -> None:
    pending, _ = book
    for digit in "abc":
        pending.begin(a_key(digit), a_receipt())
    pending.begin(a_key("a"), a_receipt())
    assert pending.waiting(TENANT, soon(), 2) == [a_key("b"), a_key("c")]
    assert pending.waiting(TENANT, soon(), 10)[-1] == a_key("a")
    assert pending.waiting(TENANT, datetime.now(UTC) - timedelta(minutes=5), 10) == []


def test_each_tenants_sweep_has_its_own_place(book: tuple[PendingBook, Deliver]) -> None:
    pending, _ = book
    assert pending.place(TENANT) == ""
    for place in ("raw/x", "raw/y"):
        pending.set_place(TENANT, place)
        assert (pending.place(TENANT), pending.place("kgn-two")) == (place, "")
    pending.set_place(TENANT, "")
    assert pending.place(TENANT) == ""


def test_another_tenant_can_neither_read_nor_end_what_waits(database: TestDatabase) -> None:
    PostgresPendingBook(database.session()).begin(a_key("a"), a_receipt())
    with psycopg.connect(database.runtime_conninfo) as connection:
        connection.execute("SELECT app.enter('kgn-two', 'eve')")
        assert connection.execute("SELECT FROM platform.pending_deliveries").rowcount == 0
        assert connection.execute("DELETE FROM platform.pending_deliveries").rowcount == 0
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("UPDATE platform.pending_deliveries SET source_id = 'mine'")


def test_card_numbers_in_names_are_masked(database: TestDatabase) -> None:
    name = "4111 1111 1111 1111.xml"
    PostgresPendingBook(database.session()).begin(a_key("a"), a_receipt(name=name))
    with psycopg.connect(database.superuser_conninfo) as connection:
        (row,) = connection.execute("SELECT name FROM platform.pending_deliveries").fetchall()
    assert "1111 1111 1" not in row[0]
