"""EventBridge's "Object Created" events, as they come from the queue."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import unquote_plus

from pardna.ingestion.model import RawKey
from pardna.runtime.errors import InvalidInput, PardnaError
from pardna.runtime.observability import logger


def each(records: Iterable[Mapping[str, Any]], act: Callable[[RawKey, str], object]) -> list[str]:
    """Call `act` with each message's raw key and cause; returns the ids of messages that failed.

    One message's trouble does not touch the others. An error that nobody expected is logged with
    its traceback and its message comes again too.
    """
    failed = []
    for record in records:
        message_id = str(record.get("messageId", ""))
        try:
            key, cause = _read(record.get("body", ""))
            act(key, cause)
        except PardnaError as error:
            logger.info("Message failed", error_code=error.code, message_id=message_id)
            failed.append(message_id)
        except Exception:  # noqa: BLE001  (one message must not take its batch with it)
            logger.exception("Message failed unexpectedly", message_id=message_id)
            failed.append(message_id)
    return failed


def _read(body: str) -> tuple[RawKey, str]:
    """The key, and the id of the event as the cause. EventBridge gives keys as they are."""
    try:
        event = json.loads(body)
        key = str(event["detail"]["object"]["key"])
        cause = str(event.get("id") or "none")
    except (KeyError, TypeError, ValueError, AttributeError):
        raise InvalidInput("message.unreadable", "not an event about an object") from None
    try:
        return RawKey.parse(key), cause
    except InvalidInput:
        return RawKey.parse(unquote_plus(key)), cause
