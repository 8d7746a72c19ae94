"""Post matches: MatchTable's stream (or the poison queue, redriven) -> clearing journals.

Also the state "Post clearing" of a reconciliation, which posts whatever the stream lost: its event
names the tenant and no records, and its answer is an outcome to branch on.
"""

from __future__ import annotations

from typing import Any

from pardna.ledger.consume import texts_of
from pardna.ledger.report import clearing_outcome
from pardna.ledger.telling import tell
from pardna.ledger.wiring import match_consumer
from pardna.runtime.observability import observed
from pardna.runtime.queue import refuse_what_stays_poison


@observed
def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    if "Records" not in event:
        return clearing_outcome(match_consumer(), event)
    consumed = match_consumer().consume(texts_of(event))
    tell("Matches posted", consumed, "ClearingPosted")
    refuse_what_stays_poison(event, consumed.poisoned)
    return {"batchItemFailures": []}
