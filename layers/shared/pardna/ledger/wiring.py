"""The composition root of the ledger."""

from __future__ import annotations

from datetime import date
from functools import cache
from typing import TYPE_CHECKING

from pardna.ledger.anchor import Anchoring
from pardna.ledger.archive import ArchiveRun, Archivist
from pardna.ledger.consume import MatchConsumer, TransactionConsumer
from pardna.ledger.service import Ledger
from pardna.ledger.upkeep import DayUpkeep, MinuteUpkeep
from pardna.runtime.clients import client
from pardna.runtime.clock import utc_now
from pardna.runtime.settings import settings

if TYPE_CHECKING:
    from pardna.ledger.deliveries import PostDelivery
    from pardna.ledger.postgres_archive import PostgresArchive


@cache
def ledger() -> Ledger:
    """The ledger on the database that the settings name."""
    from pardna.database.session import from_settings
    from pardna.ledger.postgres import PostgresBooks

    return Ledger(PostgresBooks(from_settings(settings())))


@cache
def transaction_consumer() -> TransactionConsumer:
    """Posts recorded transactions; poison leaves through the departures table."""
    from pardna.outbox.wiring import departures

    return TransactionConsumer(ledger(), departures(), utc_now)


@cache
def match_consumer() -> MatchConsumer:
    """Posts clearing of matches; poison leaves through the departures table."""
    from pardna.ledger.dynamodb import DynamoMatches
    from pardna.outbox.wiring import departures

    matches = DynamoMatches(client("dynamodb"), settings().need("match_table"))
    return MatchConsumer(ledger(), matches, departures(), utc_now)


@cache
def minute_upkeep() -> MinuteUpkeep:
    """Holds and seals, on the database that the settings name."""
    from pardna.database.session import from_settings
    from pardna.ledger.postgres_upkeep import PostgresUpkeep

    return PostgresUpkeep(from_settings(settings()))


@cache
def day_upkeep() -> tuple[DayUpkeep, Anchoring]:
    """Months, snapshots, and anchors beside the raw objects."""
    from pardna.database.session import from_settings
    from pardna.ledger.postgres_upkeep import PostgresUpkeep
    from pardna.ledger.s3_anchor import S3Anchors

    upkeep = PostgresUpkeep(from_settings(settings()))
    return upkeep, Anchoring(upkeep, S3Anchors(client("s3"), settings().need("raw_bucket")))


@cache
def post_delivery() -> PostDelivery:
    """Posts parts of large deliveries."""
    from pardna.database.session import from_settings
    from pardna.ledger.deliveries import PostDelivery
    from pardna.ledger.postgres_heads import PostgresHeads
    from pardna.transactions.s3 import S3PartFiles

    parts = S3PartFiles(client("s3"), settings().need("lake_bucket"))
    return PostDelivery(parts, PostgresHeads(from_settings(settings())), transaction_consumer())


@cache
def _archive() -> tuple[Archivist, PostgresArchive]:
    """Months out and in; for functions that carry the engine layer."""
    from pardna.database.session import from_settings
    from pardna.ledger.parquet import DuckParquet
    from pardna.ledger.postgres_archive import PostgresArchive
    from pardna.ledger.s3_archive import S3Lake

    book = PostgresArchive(from_settings(settings()))
    lake = S3Lake(client("s3"), settings().need("lake_bucket"))
    return Archivist(book, DuckParquet(), lake, utc_now), book


def archive_months() -> ArchiveRun:
    """Archive what is older than the months that the settings keep."""
    return _archive()[0].run(settings().ledger_months_kept)


def restore_month(month: date) -> None:
    """Bring an archived month back. See `Archivist.restore`."""
    archivist, book = _archive()
    archivist.restore(book, month)
