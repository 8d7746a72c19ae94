"""The composition root of uploads."""

from __future__ import annotations

import secrets
from functools import cache
from typing import TYPE_CHECKING, Any

from pardna.ingestion.store_wiring import arrivals, sources
from pardna.ingestion.upload import ReceiveUpload, ShowUpload, StartUpload
from pardna.runtime.clients import client
from pardna.runtime.clock import iso, utc_now
from pardna.runtime.settings import settings

if TYPE_CHECKING:
    from pardna.ingestion.upload_ports import Uploads
    from pardna.ingestion.upload_requests import NewUpload


@cache
def uploads() -> Uploads:
    """What was announced."""
    from pardna.ingestion.dynamodb_uploads import DynamoUploads

    return DynamoUploads(client("dynamodb"), settings().need("workflow_table"))


@cache
def start_upload() -> StartUpload:
    """Outside the database's network: directory, workflow table; signs links by itself."""
    from pardna.ingestion.s3_links import S3UploadLinks

    links = S3UploadLinks(client("s3"), settings().need("arrivals_bucket"))
    return StartUpload(sources(), uploads(), links, utc_now, lambda: secrets.token_hex(16))


def start(tenant_id: str, principal: str, source_id: str, body: NewUpload) -> dict[str, Any]:
    """Announce a file; where to send it, and until when."""
    upload, link = start_upload().start(
        tenant_id, principal, source_id, body.name, body.size, body.sha256
    )
    return {
        "upload_id": upload.upload_id,
        "url": link.url,
        "fields": link.fields,
        "link_expires_at": iso(upload.expires_at),
    }


@cache
def receive_upload() -> ReceiveUpload:
    """Outside the database's network: object stores, workflow table."""
    return ReceiveUpload(uploads(), arrivals(), utc_now)


@cache
def show_upload() -> ShowUpload:
    """In the database's network: PostgreSQL, DynamoDB."""
    from pardna.database.session import from_settings
    from pardna.transactions.postgres import PostgresTransactionStore

    return ShowUpload(uploads(), PostgresTransactionStore(from_settings(settings())), utc_now)
