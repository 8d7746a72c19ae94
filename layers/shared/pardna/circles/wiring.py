"""The composition root of circles."""

from __future__ import annotations

from functools import cache

from pardna.circles.service import Circles, StartRound
from pardna.runtime.clients import client
from pardna.runtime.clock import utc_now
from pardna.runtime.settings import settings


@cache
def circles() -> Circles:
    """In the database's network: PostgreSQL and the directory."""
    from pardna.circles.calendar import is_business_day
    from pardna.circles.postgres import PostgresBooks
    from pardna.database.session import from_settings
    from pardna.payments.directory import DynamoSourceProfiles

    profiles = DynamoSourceProfiles(client("dynamodb"), settings().need("directory_table"))
    books = PostgresBooks(from_settings(settings()))
    return Circles(books, profiles, is_business_day, utc_now)


@cache
def start_round() -> StartRound:
    """Outside the database's network: Step Functions."""
    from pardna.circles.stepfunctions import StepFunctionsPayouts

    arn = settings().need("payout_round_machine_arn")
    return StartRound(StepFunctionsPayouts(client("stepfunctions"), arn))


def drain(tenant_id: str) -> int:
    """Let what was announced leave the database now rather than with the next schedule."""
    from pardna.outbox.wiring import relay

    return relay().drain(tenant_id)
