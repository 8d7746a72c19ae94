"""The stores that all of ingestion is built on. Heavy modules are imported by the part that needs them."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from pardna.ingestion.ports import RawStore, Sources
from pardna.runtime.clients import client
from pardna.runtime.secrets import RenewableSecrets
from pardna.runtime.settings import settings

if TYPE_CHECKING:
    from pardna.ingestion.s3_arrivals import S3Arrivals


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
