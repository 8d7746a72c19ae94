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
    from pardna.approvals.dynamodb import DynamoApprovals
    from pardna.database.session import from_settings
    from pardna.ledger.wiring import ledger
    from pardna.matching.wiring import break_book, match_state
    from pardna.reporting.postgres import PostgresRoundBook
    from pardna.reporting.service import Reports
    from pardna.runtime.clients import client

    return Reports(
        PostgresRoundBook(from_settings(settings())),
        match_state(),
        break_book(),
        ledger(),
        DynamoApprovals(client("dynamodb"), settings().need("workflow_table")),
        _shelf(),
    )


@cache
def links() -> ReportLinks:
    """Hands out links; needs the bucket only."""
    return ReportLinks(_shelf())


@cache
def _shelf() -> Shelf:
    from pardna.runtime.clients import client
    from pardna.runtime.s3_shelf import S3Shelf

    return S3Shelf(client("s3"), settings().need("packs_bucket"))
