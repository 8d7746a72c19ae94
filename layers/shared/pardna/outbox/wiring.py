"""The composition root of the outbox."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Any

from pardna.outbox.ports import Departures, Port, Waits
from pardna.outbox.service import Publisher, Relay
from pardna.runtime import events
from pardna.runtime.clients import client
from pardna.runtime.clock import utc_now
from pardna.runtime.observability import count
from pardna.runtime.settings import settings

if TYPE_CHECKING:
    from pardna.outbox.aws import QueuePort


@cache
def relay() -> Relay:
    """Moves events out of the database; for functions in its network."""
    from pardna.database.session import from_settings
    from pardna.outbox.dynamodb import DynamoTenants
    from pardna.outbox.postgres import PostgresUnsentEvents

    return Relay(
        PostgresUnsentEvents(from_settings(settings())),
        departures(),
        DynamoTenants(client("dynamodb"), settings().need("directory_table")),
    )


@cache
def drainer() -> Relay:
    """Moves one tenant's events out of the database; knows no other tenant."""
    from pardna.database.session import from_settings
    from pardna.outbox.postgres import PostgresUnsentEvents
    from pardna.outbox.service import NoTenants

    events = PostgresUnsentEvents(from_settings(settings()))
    return Relay(events, departures(), NoTenants())


@cache
def publisher() -> Publisher:
    """Sends departed events on; for the function outside the database's network."""
    return Publisher(departures(), routes(), utc_now)


@cache
def departures() -> Departures:
    """The departures table; consumers in the database's network put poison records here."""
    from pardna.outbox.dynamodb import DynamoDepartures

    return DynamoDepartures(client("dynamodb"), settings().need("outbox_table"), utc_now)


def routes() -> dict[str, Port]:
    """Which type of event goes where."""
    from pardna.outbox.aws import PartsPort, PoisonPort, StreamPort, TopicPort, WaitPort

    return {
        events.TRANSACTION_RECORDED: StreamPort(
            client("kinesis"), settings().need("transactions_stream")
        ),
        events.LARGE_OBJECT_ARRIVED: _queue("stage_delivery_queue_url"),
        events.DELIVERY_STAGED: PartsPort(client("sqs"), settings().need("record_part_queue_url")),
        events.DELIVERY_RECORDED: PartsPort(
            client("sqs"), settings().need("post_delivery_queue_url")
        ),
        events.DELIVERY_REPLAY_REQUESTED: _queue("normalise_queue_url"),
        events.CARD_CHARGE_REQUESTED: _queue("charge_card_queue_url"),
        events.NOTIFICATION_REQUESTED: _queue("notification_queue_url"),
        events.WAIT_SIGNALLED: WaitPort(_waits()),
        events.ALERT_RAISED: TopicPort(client("sns"), settings().need("alarm_topic_arn")),
        events.RECORD_POISONED: PoisonPort(
            {
                "post_transactions": _queue("post_transactions_poison_queue_url"),
                "match_online": _queue("match_online_poison_queue_url"),
                "post_matches": _queue("post_matches_poison_queue_url"),
            }
        ),
    }


def _queue(setting: str) -> QueuePort:
    from pardna.outbox.aws import QueuePort

    return QueuePort(client("sqs"), settings().need(setting))


def _waits() -> Waits:
    from pardna.approvals.wiring import waits

    return waits()


def departed(records: Iterable[Any]) -> list[events.Envelope]:
    """The new departures in a batch of the table's stream; others are counted and passed over."""
    from pardna.outbox.dynamodb import envelopes_of

    return envelopes_of(records, lambda: count("OutboxUnreadable"))
