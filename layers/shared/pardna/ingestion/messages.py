"""What waits in ingestion's queues: EventBridge's "Object Created" events, large objects, parts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import unquote_plus

from pardna.ingestion.model import RawKey
from pardna.runtime.errors import InvalidInput, PardnaError
from pardna.runtime.events import DELIVERY_REPLAY_REQUESTED, Envelope
from pardna.runtime.observability import logger
from pardna.transactions.lake import PartMessage, is_replay_id

T = TypeVar("T")


def each(
    records: Iterable[Mapping[str, Any]],
    act: Callable[[T, str], object],
    read: Callable[[str], tuple[T, str]],
) -> list[str]:
    """Call `act` with what each message says and its cause; returns the ids of those that failed.

    One message's trouble does not touch the others. An error that nobody expected is logged with
    its traceback and its message comes again too.
    """
    failed = []
    for record in records:
        message_id = str(record.get("messageId", ""))
        try:
            said, cause = read(record.get("body", ""))
            act(said, cause)
        except PardnaError as error:
            logger.info("Message failed", error_code=error.code, message_id=message_id)
            failed.append(message_id)
        except Exception:  # noqa: BLE001  (one message must not take its batch with it)
            logger.exception("Message failed unexpectedly", message_id=message_id)
            failed.append(message_id)
    return failed


@dataclass(frozen=True, slots=True)
class Arrival:
    """An object that is to be normalised, and the replay that asks for it, if one does."""

    key: RawKey
    replay_id: str = ""


def read_large(body: str) -> tuple[Arrival, str]:
    """What an event that names an object asks for, and its cause."""
    envelope = Envelope.from_json(body)
    replay_id = envelope.data.get("replay_id", "")
    if not is_replay_id(replay_id):
        raise InvalidInput("message.unreadable", "not a replay of ours")
    arrival = Arrival(RawKey.parse(str(envelope.data.get("key", ""))), replay_id)
    return arrival, envelope.correlation_id


def read_part(body: str) -> tuple[PartMessage, str]:
    """A part of a large delivery, and its cause."""
    message = PartMessage.from_json(body)
    return message, message.correlation_id


def read_arrival(body: str) -> tuple[Arrival, str]:
    """The object, and the id of the event as the cause. EventBridge gives keys as they are.

    A request to normalise an object again (``delivery.replay_requested``) is the other message here.
    """
    try:
        event = json.loads(body)
        if event.get("event_type") == DELIVERY_REPLAY_REQUESTED:
            return read_large(body)
        key = str(event["detail"]["object"]["key"])
        cause = str(event.get("id") or "none")
    except (KeyError, TypeError, ValueError, AttributeError):
        raise InvalidInput("message.unreadable", "not an event about an object") from None
    try:
        return Arrival(RawKey.parse(key)), cause
    except InvalidInput:
        return Arrival(RawKey.parse(unquote_plus(key))), cause
