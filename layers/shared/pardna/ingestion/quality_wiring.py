"""The composition root of quality: the gate, quarantine, profiles, the daily report."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from pardna.ingestion.store_wiring import raw_store, sources
from pardna.runtime.clients import client
from pardna.runtime.clock import utc_now
from pardna.runtime.settings import settings

if TYPE_CHECKING:
    from pardna.ingestion.profiles import Profiles
    from pardna.ingestion.quality_daily import ReportQuality
    from pardna.ingestion.quality_gate import QualityGate
    from pardna.ingestion.quality_requests import NewDecision
    from pardna.ingestion.quarantine import Quarantine
    from pardna.ingestion.quarantine_postgres import PostgresQuarantine


@cache
def quality_gate() -> QualityGate:
    """In the database's network: PostgreSQL; it closes raw objects that carry card numbers."""
    from pardna.database.session import from_settings
    from pardna.ingestion.quality_gate import QualityGate
    from pardna.ingestion.quality_postgres import PostgresSourceHistory
    from pardna.ingestion.s3_restriction import S3RawRestriction
    from pardna.transactions.postgres import PostgresTransactionStore

    database = from_settings(settings())
    return QualityGate(
        PostgresTransactionStore(database),
        PostgresSourceHistory(database),
        S3RawRestriction(client("s3"), settings().need("raw_bucket")),
    )


@cache
def quarantine() -> Quarantine:
    """In the database's network: PostgreSQL, object store, DynamoDB."""
    from pardna.ingestion.quarantine import Quarantine
    from pardna.outbox.wiring import drainer

    book = quarantine_list()
    return Quarantine(book, book, book, raw_store(), sources(), quality_gate(), drainer())


@cache
def quarantine_list() -> PostgresQuarantine:
    """In the database's network."""
    from pardna.database.session import from_settings
    from pardna.ingestion.quarantine_postgres import PostgresQuarantine

    return PostgresQuarantine(from_settings(settings()))


def quarantine_page(tenant_id: str, query: Mapping[str, str]) -> dict[str, Any]:
    """A page of what was put aside, as a query chooses."""
    from pardna.ingestion.quality_requests import filter_of, page_report
    from pardna.runtime.paging import page_size

    most = page_size(query)
    return page_report(quarantine_list().page(tenant_id, filter_of(query), most + 1), most)


def decide_quarantined(
    tenant_id: str, principal: str, quarantine_id: str, asked: NewDecision, cause: str
) -> dict[str, Any]:
    """Decide, or end a proposal; what came of it."""
    from pardna.ingestion.quality_requests import decision_report

    desk, proposal = quarantine(), asked.decision_id
    if asked.action == "confirm":
        done = desk.confirm(tenant_id, principal, quarantine_id, proposal, cause)
    elif asked.action == "reject":
        done = desk.reject(tenant_id, principal, quarantine_id, proposal, asked.reason)
    elif asked.action == "withdraw":
        done = desk.withdraw(tenant_id, principal, quarantine_id, proposal)
    else:
        done = desk.decide(tenant_id, principal, asked.to_asked(quarantine_id), cause)
    return decision_report(done)


@cache
def profiles() -> Profiles:
    """Outside the database's network: the directory."""
    from pardna.ingestion.profiles import Profiles
    from pardna.ingestion.profiles_dynamodb import DynamoProfileShelf

    shelf = DynamoProfileShelf(client("dynamodb"), settings().need("directory_table"))
    return Profiles(shelf, utc_now)


@cache
def report_quality() -> ReportQuality:
    """In the database's network: PostgreSQL, object store, DynamoDB. Its alert leaves by the outbox."""
    from pardna.database.session import from_settings
    from pardna.ingestion.quality_daily import ReportQuality
    from pardna.ingestion.quality_daily_postgres import PostgresQualityFacts
    from pardna.outbox.dynamodb import DynamoTenants
    from pardna.outbox.postgres import PostgresOutbox
    from pardna.outbox.wiring import drainer
    from pardna.runtime.s3_shelf import S3Shelf

    database = from_settings(settings())
    return ReportQuality(
        PostgresQualityFacts(database),
        sources(),
        S3Shelf(client("s3"), settings().need("packs_bucket")),
        PostgresOutbox(database),
        drainer(),
        DynamoTenants(client("dynamodb"), settings().need("directory_table")),
        utc_now,
    )
