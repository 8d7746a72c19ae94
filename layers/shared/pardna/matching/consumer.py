"""A stream's batch through `MatchOnline`: every record is taken in or put aside, none holds up
the others. Nothing but losing the place to put poison makes a batch come again."""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pardna.matching.online import MatchOnline
from pardna.runtime.errors import InvalidInput, PardnaError
from pardna.runtime.events import Envelope
from pardna.runtime.observability import count, logger
from pardna.transactions.recorded import TransactionRecorded


class Poison(Protocol):
    """Keeps records that cannot be processed."""

    def put(self, data: bytes, error_code: str, sequence_number: str) -> None:
        """Keep one record whole."""
        ...


@dataclass(frozen=True, slots=True)
class BatchOutcome:
    """Counts of one batch."""

    records: int
    legs: int
    matches: int
    poison: int


class StreamConsumer:
    """Feeds Kinesis records to `MatchOnline`."""

    def __init__(self, online: MatchOnline, poison: Poison) -> None:
        self._online = online
        self._poison = poison

    def consume(self, records: Sequence[Mapping[str, Any]]) -> BatchOutcome:
        """Take every record of a batch in, or put it aside."""
        legs = matches = poison = 0
        for record in records:
            kinesis = record.get("kinesis") or {}
            again = "body" in record
            data = _redriven(record["body"]) if again else _bytes(kinesis.get("data", ""))
            try:
                envelope = Envelope.from_json(data)
                taken = self._online.take(TransactionRecorded.from_envelope(envelope))
            except PardnaError as error:
                poison += self._put_aside(data, error.code, kinesis, again)
            except Exception:  # noqa: BLE001  (one record must not hold up the stream)
                logger.exception("Record put aside")
                poison += self._put_aside(data, "internal", kinesis, again)
            else:
                legs += taken.legs_count
                matches += bool(taken.match_id)
        if matches:
            count("MatchedOnline", matches)
        return BatchOutcome(len(records), legs, matches, poison)

    def _put_aside(self, data: bytes, code: str, kinesis: Mapping[str, Any], again: bool) -> int:
        """Keep a record; one that is being redriven is on the queue already."""
        if not again:
            self._poison.put(data, code, str(kinesis.get("sequenceNumber", "")))
        logger.info("Record put aside", error_code=code)
        count("PoisonRecord")
        return 1


def _bytes(data: Any) -> bytes:
    """The record's bytes; what is not base64 is kept as it came, for the poison queue."""
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError, TypeError) as error:
        if isinstance(data, str):
            return data.encode()
        raise InvalidInput("event.unreadable", "a record without data") from error


def _redriven(body: str) -> bytes:
    """The record inside a message of the poison queue (see `sqs.PoisonQueue`)."""
    try:
        kept = json.loads(body)
        data = base64.b64decode(kept["data"], validate=True)
        return zlib.decompress(data) if kept["encoding"] == "base64+zlib" else data
    except (ValueError, KeyError, TypeError, zlib.error):
        return body.encode()
