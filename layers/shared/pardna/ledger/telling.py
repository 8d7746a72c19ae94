"""What the ledger's consumers say of a batch, each in the same words and counts."""

from __future__ import annotations

from pardna.ledger.consume import Consumed
from pardna.runtime.observability import count, logger


def tell(sentence: str, consumed: Consumed, posted_metric: str) -> None:
    """Log a batch under a fixed sentence, and count what was posted and what was poison."""
    logger.info(
        sentence,
        records_count=consumed.records,
        new_count=consumed.new,
        known_count=consumed.known,
        poisoned_count=consumed.poisoned,
    )
    count(posted_metric, consumed.new)
    count("RecordsPoisoned", consumed.poisoned)
