"""Books to hold every promise against: the ones in memory and the ones on PostgreSQL."""

from __future__ import annotations

import pytest

from pardna.ledger.ports import Books
from pardna.ledger.postgres import PostgresBooks
from tests.fakes.ledger import FakeBooks


@pytest.fixture(params=["memory", "postgres"])
def empty_books(request: pytest.FixtureRequest) -> Books:
    """Books without an account."""
    if request.param == "memory":
        return FakeBooks()
    return PostgresBooks(request.getfixturevalue("database").session())
