"""Post transactions: TransactionsStream (or its poison queue, redriven) -> journals."""

from __future__ import annotations

from typing import Any

from pardna.ledger.consume import texts_of
from pardna.ledger.wiring import transaction_consumer
from pardna.runtime.observability import count, logger, observed
from pardna.runtime.queue import refuse_what_stays_poison


@observed
def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    consumed = transaction_consumer().consume(texts_of(event))
    logger.info(
        "Transactions posted",
        records_count=consumed.records,
        new_count=consumed.new,
        known_count=consumed.known,
        poisoned_count=consumed.poisoned,
    )
    count("JournalsPosted", consumed.new)
    count("RecordsPoisoned", consumed.poisoned)
    refuse_what_stays_poison(event, consumed.poisoned)
    return {"batchItemFailures": []}
