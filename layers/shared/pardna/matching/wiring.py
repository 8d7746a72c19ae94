"""The composition root of matching: services from settings, each made once per process."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from pardna.matching.rules import Rules, default_rules
from pardna.runtime.clock import utc_now, uuid7
from pardna.runtime.settings import settings

if TYPE_CHECKING:
    from pardna.matching.consumer import StreamConsumer
    from pardna.matching.dynamodb import DynamoMatchState, MatchTable


@cache
def rules() -> Rules:
    """The rules in force."""
    return default_rules()


@cache
def stream_consumer() -> StreamConsumer:
    """Takes the transaction stream in."""
    from pardna.matching.consumer import StreamConsumer
    from pardna.matching.online import MatchOnline
    from pardna.matching.sqs import PoisonQueue
    from pardna.runtime.clients import client

    poison = PoisonQueue(client("sqs"), settings().need("match_online_poison_queue_url"))
    return StreamConsumer(MatchOnline(match_state(), rules()), poison)


@cache
def match_state() -> DynamoMatchState:
    """Match state, and the reader of matches."""
    from pardna.matching.dynamodb import DynamoMatchState

    return DynamoMatchState(_table(), utc_now, uuid7)


@cache
def _table() -> MatchTable:
    from pardna.matching.dynamodb import MatchTable

    return MatchTable(settings().need("match_table"), settings().aws_region)
