"""The composition root of reporting."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from pardna.reporting.links import ReportLinks, round_number
from pardna.reporting.ports import Shelf
from pardna.runtime.settings import settings

if TYPE_CHECKING:
    from pardna.reporting.service import Reports

__all__ = ["links", "reports", "round_number"]


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
