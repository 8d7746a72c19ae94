"""States "Upload payment file" and "Upload payment file again": the file goes to the bank, once."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from pardna.payments.wiring import upload_payment_file
from pardna.runtime.observability import logger, observed


class File(BaseModel):
    """What the machine sends; `send_again` is a person's word that the bank has no such file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tenant_id: str
    batch_id: str
    source_id: str
    send_again: bool = False
    correlation_id: str = ""


@observed
def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    file = File.model_validate(event)
    outcome = upload_payment_file().upload(
        file.tenant_id, file.batch_id, file.source_id, send_again=file.send_again
    )
    logger.info(
        "Payment file sent", tenant_id=file.tenant_id, batch_id=file.batch_id, outcome=outcome
    )
    return {"outcome": outcome}
