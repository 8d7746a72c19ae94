"""The composition root of circles."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from pardna.circles.rounds import OpenRound, Rounds
from pardna.circles.service import Circles, Looks, StartRound
from pardna.runtime.clients import client
from pardna.runtime.clock import utc_now
from pardna.runtime.settings import settings

if TYPE_CHECKING:
    from pardna.circles.postgres import PostgresBooks
    from pardna.payments.directory import DynamoSourceProfiles


@cache
def circles() -> Circles:
    """In the database's network: PostgreSQL and the directory."""
    from pardna.circles.calendar import is_business_day

    return Circles(_books(), _profiles(), is_business_day)


@cache
def looks() -> Looks:
    """In the database's network: PostgreSQL."""
    return Looks(_books())


@cache
def open_round() -> OpenRound:
    """In the database's network: PostgreSQL and the directory."""
    return OpenRound(_books(), _profiles(), utc_now)


@cache
def rounds() -> Rounds:
    """In the database's network: PostgreSQL."""
    return Rounds(_books(), utc_now)


@cache
def start_round() -> StartRound:
    """Outside the database's network: Step Functions."""
    from pardna.circles.stepfunctions import StepFunctionsPayouts

    arn = settings().need("payout_round_machine_arn")
    return StartRound(StepFunctionsPayouts(client("stepfunctions"), arn))


def drain(tenant_id: str) -> int:
    """Let what was announced leave the database now rather than with the next schedule."""
    from pardna.outbox.wiring import drainer

    return drainer().drain(tenant_id)


@cache
def _books() -> PostgresBooks:
    from pardna.circles.postgres import PostgresBooks
    from pardna.database.session import from_settings

    return PostgresBooks(from_settings(settings()))


@cache
def _profiles() -> DynamoSourceProfiles:
    from pardna.payments.directory import DynamoSourceProfiles

    return DynamoSourceProfiles(client("dynamodb"), settings().need("directory_table"))
