"""The composition root of ingestion. Heavy modules are imported by the part that needs them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from pardna.ingestion.capture import CaptureWebhook
from pardna.ingestion.model import SourceProfile
from pardna.ingestion.ports import RawStore, RenewableSecrets, Sources
from pardna.ingestion.retry import Retry
from pardna.runtime.clients import client
from pardna.runtime.clock import utc_now
from pardna.runtime.settings import settings

if TYPE_CHECKING:
    from pardna.ingestion.bulk import RecordPart
    from pardna.ingestion.normalise import NormaliseObject, SweepRaw
    from pardna.ingestion.poll import PollProvider
    from pardna.ingestion.profiles import Profiles
    from pardna.ingestion.pull import PullFiles
    from pardna.ingestion.quality_daily import ReportQuality
    from pardna.ingestion.quality_gate import QualityGate
    from pardna.ingestion.quality_requests import NewDecision
    from pardna.ingestion.quarantine import Quarantine
    from pardna.ingestion.quarantine_postgres import PostgresQuarantine
    from pardna.ingestion.requests import NewSource
    from pardna.ingestion.s3_arrivals import S3Arrivals
    from pardna.ingestion.signatures import Verify, Webhook
    from pardna.ingestion.webhook_rules import WebhookRules
    from pardna.transactions.bulk import BulkStore, PartFiles


@cache
def capture_webhook() -> CaptureWebhook:
    """In front of the world: object store, directory and secrets only."""
    from pardna.ingestion.signatures import SCHEMES

    schemes = {**SCHEMES, "paypal": _verify_paypal}
    return CaptureWebhook(sources(), secrets(), raw_store(), utc_now, schemes)


def _verify_paypal(
    webhook: Webhook, secrets: Sequence[str], rules: WebhookRules, now: datetime
) -> None:
    """Cryptography is imported by the first webhook of PayPal's, and by no other."""
    _paypal()(webhook, secrets, rules, now)


@cache
def _paypal() -> Verify:
    from pardna.ingestion import signatures_paypal as paypal

    return paypal.PayPalSignatures(paypal.fetch_certificate, paypal.public_roots)


@cache
def sources() -> Sources:
    """The profiles of sources."""
    from pardna.ingestion.dynamodb import DynamoSources

    return DynamoSources(client("dynamodb"), settings().need("directory_table"))


@cache
def secrets() -> RenewableSecrets:
    """Parts of secrets."""
    from pardna.runtime.secrets import Secrets

    return Secrets(client("secretsmanager"))


@cache
def raw_store() -> RawStore:
    """Every byte received."""
    from pardna.ingestion.s3 import S3RawStore

    return S3RawStore(client("s3"), settings().need("raw_bucket"))


@cache
def arrivals() -> S3Arrivals:
    """Bytes that are not whole, or not judged, yet."""
    from pardna.ingestion.s3_arrivals import S3Arrivals

    bucket = settings().need("arrivals_bucket")
    return S3Arrivals(client("s3"), bucket, settings().need("raw_bucket"))


@cache
def pull_files() -> PullFiles:
    """Outside the database's network: partners' servers, secrets, object store, directory."""
    from time import sleep

    from pardna.ingestion.fetch import FetchFile
    from pardna.ingestion.pull import PullFiles
    from pardna.ingestion.sftp import SftpFolders

    fetcher = FetchFile(raw_store(), arrivals(), arrivals(), utc_now)
    return PullFiles(sources(), SftpFolders(secrets()), fetcher, Retry(), sleep)


@cache
def poll_provider() -> PollProvider:
    """Outside the database's network: the processor's API, secrets, object store, directory."""
    from pardna.ingestion.poll import PollProvider
    from pardna.ingestion.stripe_api import StripePoller

    base = settings().stripe_settlement_base or settings().stripe_api_base
    pollers = {"stripe": StripePoller(base, lambda p: secrets().part(p.secret_id, "api_key"))}
    return PollProvider(sources(), pollers, raw_store(), utc_now, Retry())


@cache
def normalise_object() -> NormaliseObject:
    """In the database's network: PostgreSQL, object store, DynamoDB. Leaves large objects to others."""
    from dataclasses import replace

    from pardna.database.session import from_settings
    from pardna.ingestion.large import AnnouncedObjects
    from pardna.outbox.postgres import PostgresOutbox

    outbox = PostgresOutbox(from_settings(settings()))
    return replace(stage_delivery(), large=AnnouncedObjects(outbox, utc_now))


@cache
def stage_delivery() -> NormaliseObject:
    """The same, with time and disk for objects of any size."""
    from pardna.database.session import from_settings
    from pardna.ingestion.answers import HandedOver
    from pardna.ingestion.bulk import StageDelivery
    from pardna.ingestion.normalise import NormaliseObject
    from pardna.outbox.wiring import drainer
    from pardna.transactions.postgres import PostgresTransactionStore

    return NormaliseObject(
        raw_store(),
        sources(),
        PostgresTransactionStore(from_settings(settings())),
        HandedOver(_tell_payments),
        drainer(),
        StageDelivery(_parts(), _bulk_store(), drainer()),
        gate=_quality_gate(),
    )


@cache
def _quality_gate() -> QualityGate:
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
    return Quarantine(book, book, book, raw_store(), sources(), _quality_gate(), drainer())


@cache
def quarantine_list() -> PostgresQuarantine:
    """In the database's network."""
    from pardna.database.session import from_settings
    from pardna.ingestion.quarantine_postgres import PostgresQuarantine

    return PostgresQuarantine(from_settings(settings()))


@cache
def record_part() -> RecordPart:
    """In the database's network, with the engine layer for Parquet."""
    from pardna.ingestion.bulk import RecordPart
    from pardna.outbox.wiring import drainer
    from pardna.transactions.parquet import to_parquet

    return RecordPart(_parts(), _bulk_store(), drainer(), to_parquet)


def _parts() -> PartFiles:
    from pardna.transactions.s3 import S3PartFiles

    return S3PartFiles(client("s3"), settings().need("lake_bucket"))


def _bulk_store() -> BulkStore:
    from pardna.database.session import from_settings
    from pardna.transactions.postgres_bulk import PostgresBulkStore

    return PostgresBulkStore(from_settings(settings()))


def normalise_messages(records: Iterable[Mapping[str, Any]]) -> list[str]:
    """Normalise what a queue's messages name; returns the ids of messages that failed."""
    from pardna.ingestion.messages import each, read_arrival

    normaliser = normalise_object()
    return each(
        records, lambda a, cause: normaliser.normalise(a.key, cause, a.replay_id), read_arrival
    )


def stage_messages(records: Iterable[Mapping[str, Any]]) -> list[str]:
    """Read the large objects that a queue's messages name; returns the ids that failed."""
    from pardna.ingestion.messages import each, read_large

    stager = stage_delivery()
    return each(records, lambda a, cause: stager.normalise(a.key, cause, a.replay_id), read_large)


def record_messages(records: Iterable[Mapping[str, Any]]) -> list[str]:
    """Record the parts that a queue's messages name; returns the ids that failed."""
    from pardna.ingestion.messages import each, read_part

    return each(records, lambda part, _cause: record_part().record(part), read_part)


@cache
def sweep_raw() -> SweepRaw:
    """In the database's network."""
    from pardna.ingestion.normalise import SweepRaw
    from pardna.outbox.dynamodb import DynamoTenants

    normaliser = normalise_object()
    tenants = DynamoTenants(client("dynamodb"), settings().need("directory_table"))
    return SweepRaw(raw_store(), normaliser.store, normaliser, tenants, utc_now)


def register_source(tenant_id: str, body: NewSource) -> SourceProfile:
    """Write a source's profile down. Raises NotFound for a saved profile that is not there."""
    named = body.profile
    saved = None if named is None else profiles().get(tenant_id, named.name, named.version)
    profile = body.to_profile(tenant_id, settings().pardna_stage, saved)
    sources().put(profile)
    return profile


def _tell_payments(
    tenant_id: str, said: Sequence[tuple[str, str, str, str]], correlation_id: str
) -> None:
    """Payments are above ingestion: only this root knows them, and only when a bank answers."""
    from pardna.formats.model import PaymentStatus
    from pardna.payments.wiring import payment_statuses

    statuses = [
        PaymentStatus(message_id, status, end_to_end_id, reason_code=reason)
        for message_id, status, end_to_end_id, reason in said
    ]
    payment_statuses().apply(tenant_id, statuses, correlation_id)


def quarantine_page(tenant_id: str, query: Mapping[str, str]) -> dict[str, Any]:
    """A page of what was put aside, as a query chooses."""
    from pardna.ingestion.quality_requests import filter_of, page_report
    from pardna.runtime.paging import page_size

    most = page_size(query)
    return page_report(quarantine_list().page(tenant_id, filter_of(query), most + 1), most)


def decide_quarantined(
    tenant_id: str, principal: str, quarantine_id: str, asked: NewDecision, cause: str
) -> dict[str, Any]:
    """Decide, confirm or withdraw; what came of it."""
    from pardna.ingestion.quality_requests import decision_report

    if asked.action == "confirm":
        done = quarantine().confirm(tenant_id, principal, asked.decision_id, cause)
    elif asked.action == "withdraw":
        done = quarantine().withdraw(tenant_id, principal, asked.decision_id)
    else:
        done = quarantine().decide(tenant_id, principal, asked.to_asked(quarantine_id), cause)
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
    from pardna.ingestion.s3_reports import S3ReportShelf
    from pardna.outbox.dynamodb import DynamoTenants
    from pardna.outbox.postgres import PostgresOutbox
    from pardna.outbox.wiring import drainer

    database = from_settings(settings())
    return ReportQuality(
        PostgresQualityFacts(database),
        sources(),
        S3ReportShelf(client("s3"), settings().need("packs_bucket")),
        PostgresOutbox(database),
        drainer(),
        DynamoTenants(client("dynamodb"), settings().need("directory_table")),
        utc_now,
    )
