"""State "Await confirmation": wait, with a task token, for the bank's word about a file."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from pardna.payments.model import wait_subject
from pardna.payments.wiring import waits
from pardna.runtime.observability import logger, observed


class Awaited(BaseModel):
    """What the machine sends."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    task_token: str
    tenant_id: str
    batch_id: str
    correlation_id: str = ""


@observed
def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    awaited = Awaited.model_validate(event)
    resumed = waits().register(
        awaited.tenant_id, wait_subject(awaited.batch_id), awaited.task_token
    )
    logger.info("Confirmation awaited", tenant_id=awaited.tenant_id, batch_id=awaited.batch_id)
    return {"resumed": resumed}
