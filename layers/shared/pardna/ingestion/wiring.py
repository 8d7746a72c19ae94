"""The composition root of ingestion. Heavy modules are imported by the part that needs them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from pardna.ingestion.capture import CaptureWebhook
from pardna.ingestion.model import SourceProfile
from pardna.ingestion.retry import Retry
from pardna.ingestion.store_wiring import arrivals, raw_store, secrets, sources
from pardna.runtime.clients import client
from pardna.runtime.clock import utc_now
from pardna.runtime.public_hosts import check_host, dialer
from pardna.runtime.settings import settings

if TYPE_CHECKING:
    from pardna.ingestion.bulk import RecordPart
    from pardna.ingestion.normalise import NormaliseObject
    from pardna.ingestion.pending import PendingBook
    from pardna.ingestion.poll import PollProvider
    from pardna.ingestion.pull import PullFiles
    from pardna.ingestion.requests import NewSource
    from pardna.ingestion.signatures import Verify, Webhook
    from pardna.ingestion.sweep import SweepRaw
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
def pull_files() -> PullFiles:
    """Outside the database's network: partners' servers, secrets, object store, directory."""
    from time import sleep

    from pardna.ingestion.fetch import FetchFile
    from pardna.ingestion.pull import PullFiles
    from pardna.ingestion.sftp import SftpFolders

    fetcher = FetchFile(raw_store(), arrivals(), arrivals(), utc_now)
    folders = SftpFolders(secrets(), dial=dialer(settings().pardna_stage))
    return PullFiles(sources(), folders, fetcher, Retry(), sleep)


@cache
def poll_provider() -> PollProvider:
    """Outside the database's network: the processor's API, secrets, object store, directory."""
    from pardna.ingestion.credentials import replaced
    from pardna.ingestion.poll import PollProvider
    from pardna.ingestion.stripe_api import StripePoller

    base = settings().stripe_settlement_base or settings().stripe_api_base
    pollers = {
        "stripe": StripePoller(
            base,
            lambda p: secrets().part(p.secret_id, "api_key"),
            renewed=lambda p, key: replaced(secrets(), p.secret_id, "poll", (key,)) is not None,
        )
    }
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
    from pardna.ingestion.event_gaps_postgres import PostgresEventBook
    from pardna.ingestion.normalise import NormaliseObject
    from pardna.ingestion.quality_wiring import quality_gate
    from pardna.outbox.wiring import drainer
    from pardna.transactions.postgres import PostgresTransactionStore

    return NormaliseObject(
        raw_store(),
        sources(),
        PostgresTransactionStore(from_settings(settings())),
        HandedOver(_tell_payments),
        drainer(),
        StageDelivery(_parts(), _bulk_store(), drainer()),
        gate=quality_gate(),
        events=PostgresEventBook(from_settings(settings())),
        pending=_pending_book(),
    )


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
    from pardna.ingestion.sweep import SweepRaw
    from pardna.outbox.dynamodb import DynamoTenants

    normaliser = normalise_object()
    tenants = DynamoTenants(client("dynamodb"), settings().need("directory_table"))
    return SweepRaw(raw_store(), normaliser.store, normaliser, _pending_book(), tenants, utc_now)


def _pending_book() -> PendingBook:
    from pardna.database.session import from_settings
    from pardna.ingestion.pending_postgres import PostgresPendingBook

    return PostgresPendingBook(from_settings(settings()))


def register_source(tenant_id: str, body: NewSource) -> SourceProfile:
    """Write a source's profile down.

    Raises NotFound for a saved profile that is not there, InvalidInput ``host.not_public``.
    """
    from pardna.ingestion.quality_wiring import profiles

    named = body.profile
    saved = None if named is None else profiles().get(tenant_id, named.name, named.version)
    profile = body.to_profile(tenant_id, settings().pardna_stage, saved)
    if settings().pardna_stage != "local":  # a laptop's partners are on the laptop
        for host in profile.hosts:
            check_host(host)
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
