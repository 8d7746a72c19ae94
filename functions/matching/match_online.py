"""Transactions stream (or its poison queue, redriven): write each record's legs and match what its strong reference finds."""

from __future__ import annotations

from typing import Any

from pardna.matching.wiring import stream_consumer
from pardna.runtime.observability import logger, observed
from pardna.runtime.queue import refuse_what_stays_poison


@observed
def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    done = stream_consumer().consume(event["Records"])
    logger.info("Batch taken in", records_count=done.records, legs_count=done.legs,
                matches_count=done.matches, poison_count=done.poison)  # fmt: skip
    refuse_what_stays_poison(event, done.poison)
    return {"batchItemFailures": []}
