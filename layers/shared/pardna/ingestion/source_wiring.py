"""The composition root of what people do about sources and their deliveries."""

from __future__ import annotations

import uuid
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from pardna.ingestion.credentials import part_for
from pardna.ingestion.model import SourceProfile
from pardna.ingestion.store_wiring import sources
from pardna.runtime.clients import client
from pardna.runtime.clock import iso, utc_now
from pardna.runtime.errors import InvalidInput
from pardna.runtime.settings import settings

if TYPE_CHECKING:
    from pardna.ingestion.deliveries import ListDeliveries, ReplayDeliveries
    from pardna.ingestion.deliveries_postgres import PostgresDeliveryShelf
    from pardna.ingestion.event_gaps_postgres import PostgresEventBook
    from pardna.ingestion.source_requests import NewReplay, NewSecret, SourceChange
    from pardna.ingestion.sources import SecretDesk, SourceDesk


def list_sources(tenant_id: str, after: str) -> dict[str, Any]:
    """A page of a tenant's sources, by name, and the name to go on after."""
    from pardna.ingestion.sources import PAGE, shown

    found = sources().of_tenant(tenant_id, after, PAGE + 1)
    following = found[PAGE - 1].source_id if len(found) > PAGE else None
    return {"sources": [shown(p) for p in found[:PAGE]], "next": following}


def show_source(tenant_id: str, source_id: str) -> dict[str, Any]:
    """One source, where polling it got to, and what was last heard of it."""
    from pardna.ingestion.sources import shown

    profile = sources().get(tenant_id, source_id)
    return shown(profile) | {
        "cursor": sources().cursor(tenant_id, source_id),
        "activity": event_book().activity(tenant_id, source_id).shown(),
    }


def change_source(tenant_id: str, source_id: str, body: SourceChange) -> dict[str, Any]:
    """Switch a source, or give it schedules; the source as it is then."""
    from pardna.ingestion.sources import shown

    expressions = None if body.schedules is None else {str(c): e for c, e in body.schedules.items()}
    changed: SourceProfile = source_desk().change(tenant_id, source_id, body.enabled, expressions)
    return shown(changed)


def rotate_secret(tenant_id: str, source_id: str, body: NewSecret) -> dict[str, Any]:
    """Give a source another secret; until when the one before is valid too, for webhooks."""
    if body.channel != "webhook":
        return _replace_credential(tenant_id, source_id, body)
    overlap = timedelta(seconds=body.previous_valid_seconds)
    until = secret_desk().rotate(tenant_id, source_id, body.secret.get_secret_value(), overlap)
    return {"source_id": source_id, "previous_valid_until": None if until is None else iso(until)}


def _replace_credential(tenant_id: str, source_id: str, body: NewSecret) -> dict[str, Any]:
    secret = body.secret.get_secret_value()
    if body.channel == "sftp" and part_for("sftp", secret) == "private_key":
        from pardna.runtime.sftp import load_private_key

        load_private_key(secret)  # one that nobody can read is refused now, not at the next pull
    secret_desk().replace_credential(tenant_id, source_id, body.channel, secret)
    return {"source_id": source_id, "channel": body.channel}


def replay(tenant_id: str, source_id: str, body: NewReplay, cause: str) -> dict[str, Any]:
    """Have one delivery, or a window of them, normalised again."""
    desk = replay_deliveries()
    if body.received_from is None or body.received_until is None:
        return desk.one(tenant_id, source_id, body.raw_sha256, cause)
    return desk.window(
        tenant_id, source_id, body.received_from, body.received_until, body.cursor, cause
    )


def page_limit(text: str) -> int:
    """How long a page is to be, of a query's text; raises InvalidInput ``deliveries.limit``."""
    if not (text.isascii() and text.isdigit() and len(text) <= 4):
        raise InvalidInput("deliveries.limit", "a number")
    return int(text)


@cache
def source_desk() -> SourceDesk:
    """Outside the database's network: directory and scheduler."""
    from pardna.ingestion.scheduler_api import SchedulerSchedules
    from pardna.ingestion.sources import SourceDesk

    schedules = SchedulerSchedules(
        client("scheduler"),
        settings().need("source_schedule_group"),
        settings().need("source_schedule_role_arn"),
        settings().need("failed_invocations_queue_arn"),
        {
            "poll": settings().need("poll_provider_arn"),
            "sftp": settings().need("pull_files_arn"),
            "email": settings().need("fetch_mail_arn"),
        },
    )
    return SourceDesk(sources(), schedules)


@cache
def secret_desk() -> SecretDesk:
    """Outside the database's network: directory and Secrets Manager."""
    from pardna.ingestion.secrets_api import SecretsManagerVault
    from pardna.ingestion.sources import SecretDesk

    return SecretDesk(sources(), SecretsManagerVault(client("secretsmanager")), utc_now)


@cache
def event_book() -> PostgresEventBook:
    """In the database's network."""
    from pardna.database.session import from_settings
    from pardna.ingestion.event_gaps_postgres import PostgresEventBook

    return PostgresEventBook(from_settings(settings()))


@cache
def list_deliveries() -> ListDeliveries:
    """In the database's network."""
    from pardna.ingestion.deliveries import ListDeliveries

    return ListDeliveries(_shelf())


@cache
def replay_deliveries() -> ReplayDeliveries:
    """In the database's network: PostgreSQL, directory and the outbox's table."""
    from pardna.database.session import from_settings
    from pardna.ingestion.deliveries import ReplayDeliveries
    from pardna.outbox.postgres import PostgresOutbox
    from pardna.outbox.wiring import drainer

    outbox = PostgresOutbox(from_settings(settings()))
    return ReplayDeliveries(
        sources(), _shelf(), outbox, drainer(), utc_now, lambda: uuid.uuid4().hex
    )


@cache
def _shelf() -> PostgresDeliveryShelf:
    from pardna.database.session import from_settings
    from pardna.ingestion.deliveries_postgres import PostgresDeliveryShelf

    return PostgresDeliveryShelf(from_settings(settings()))
