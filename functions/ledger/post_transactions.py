"""Post transactions: TransactionsStream (or its poison queue, redriven) -> journals."""

from __future__ import annotations

from typing import Any

from pardna.ledger.consume import texts_of
from pardna.ledger.telling import tell
from pardna.ledger.wiring import transaction_consumer
from pardna.runtime.observability import observed
from pardna.runtime.queue import refuse_what_stays_poison


@observed
def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    consumed = transaction_consumer().consume(texts_of(event))
    tell("Transactions posted", consumed, "JournalsPosted")
    refuse_what_stays_poison(event, consumed.poisoned)
    return {"batchItemFailures": []}
