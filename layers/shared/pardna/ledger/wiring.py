"""The composition root of the ledger."""

from __future__ import annotations

from functools import cache

from pardna.ledger.consume import Consumer
from pardna.ledger.service import Ledger
from pardna.runtime.clock import utc_now
from pardna.runtime.settings import settings


@cache
def ledger() -> Ledger:
    """The ledger on the database that the settings name."""
    from pardna.database.session import from_settings
    from pardna.ledger.postgres import PostgresBooks

    return Ledger(PostgresBooks(from_settings(settings())))


@cache
def consumer() -> Consumer:
    """Posts stream records; poison leaves through the departures table."""
    from pardna.outbox.wiring import departures

    return Consumer(ledger(), departures(), utc_now)
