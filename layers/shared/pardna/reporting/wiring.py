"""The composition root of reporting."""

from __future__ import annotations

from functools import cache

from pardna.reporting.links import ReportLinks
from pardna.reporting.ports import Shelf
from pardna.reporting.service import Reports
from pardna.runtime.settings import settings


@cache
def reports() -> Reports:
    """Writes reports; needs the database, the match table, the workflow table and the bucket."""
    raise NotImplementedError


@cache
def links() -> ReportLinks:
    """Hands out links; needs the bucket only."""
    return ReportLinks(_shelf())


@cache
def _shelf() -> Shelf:
    from pardna.reporting.s3 import S3Shelf
    from pardna.runtime.clients import client

    return S3Shelf(client("s3"), settings().need("packs_bucket"))
