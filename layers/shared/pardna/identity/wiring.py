"""The composition root of identity."""

from __future__ import annotations

import time
from functools import cache

from pardna.identity.ports import Directory
from pardna.identity.service import Access, Tenancy
from pardna.runtime.clock import utc_now
from pardna.runtime.settings import settings


@cache
def access() -> Access:
    """Ask it first: ``access().require(request.principal, tenant_id, "breaks.read")``."""
    return Access(_directory(), time.monotonic)


@cache
def tenancy() -> Tenancy:
    """Opens tenants and adds members."""
    return Tenancy(_directory(), access(), utc_now)


@cache
def _directory() -> Directory:
    from pardna.identity.dynamodb import DynamoDirectory
    from pardna.runtime.clients import client

    return DynamoDirectory(client("dynamodb"), settings().need("directory_table"))
