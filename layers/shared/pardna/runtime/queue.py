"""Messages of an SQS queue, one by one: what fails goes back, what succeeded does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pardna.runtime.errors import PardnaError, RefusedByRule
from pardna.runtime.observability import count, logger


def consume(event: dict[str, Any], handle: Callable[[str], None]) -> dict[str, Any]:
    """Call `handle` with each body; the answer names the messages that failed.

    A message that fails comes back until the queue's redrive policy puts it aside, so nothing is
    lost and nothing blocks its neighbours. Unknown errors are logged once, with their traceback.
    """
    failed = []
    for record in event.get("Records", ()):
        message_id = str(record.get("messageId", ""))
        try:
            handle(str(record["body"]))
        except PardnaError as error:
            logger.info("Message refused", message_id=message_id, error_code=error.code)
            failed.append({"itemIdentifier": message_id})
        except Exception:  # noqa: BLE001  (one message must not take its neighbours with it)
            logger.exception("Message failed", message_id=message_id)
            failed.append({"itemIdentifier": message_id})
    count("MessagesFailed", len(failed))
    return {"batchItemFailures": failed}


def refuse_what_stays_poison(event: dict[str, Any], poisoned_count: int) -> None:
    """A consumer of a stream puts poison aside and goes on; a redrive of that poison must not.

    Its record is on the queue already: were it put aside again, deleting the message would lose it.
    Raises RefusedByRule ``record.still_poison``, so that the message stays.
    """
    if poisoned_count and any("body" in record for record in event.get("Records", ())):
        raise RefusedByRule("record.still_poison", "the record fails as it did before")
