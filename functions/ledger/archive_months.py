"""Archive months: move what is older than the settings keep to the lake, or bring a month back.

``{}`` archives; ``{"restore": "2026-01"}`` restores the youngest archived month, named for certainty.
"""

from __future__ import annotations

from datetime import date
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from pardna.ledger.wiring import archive_months, restore_month
from pardna.runtime.observability import count, observed


class Order(BaseModel):
    """The event."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    restore: str = Field(default="", pattern=r"^(\d{4}-(0[1-9]|1[0-2]))?$")


@observed
def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Scheduled, or by an operator. Returns what was done."""
    order = Order.model_validate(event)
    if order.restore:
        restore_month(date.fromisoformat(f"{order.restore}-01"))
        return {"restored": order.restore}
    done = archive_months()
    count("LedgerMonthsArchived", done.months_detached)
    count("LedgerArchiveWaiting", done.waiting)
    return {
        "months_detached_count": done.months_detached,
        "tenants_archived_count": done.tenants_archived,
        "waiting_count": done.waiting,
    }
