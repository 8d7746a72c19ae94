"""Post delivery: post what a part of a large delivery recorded, a thousand transactions at a time."""

from __future__ import annotations

from typing import Any

from pardna.ledger.telling import tell
from pardna.ledger.wiring import post_delivery
from pardna.runtime.errors import PardnaError
from pardna.runtime.observability import logger, observed
from pardna.transactions.lake import PartMessage


@observed
def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """An SQS batch of parts in, the identifiers of failed messages out."""
    failed = []
    for record in event.get("Records", ()):
        try:
            consumed = post_delivery().post(PartMessage.from_json(record["body"]))
        except PardnaError as error:
            logger.info("Part not posted", error_code=error.code, message_id=record["messageId"])
            failed.append({"itemIdentifier": record["messageId"]})
            continue
        tell("Part posted", consumed, "JournalsPosted")
    return {"batchItemFailures": failed}
