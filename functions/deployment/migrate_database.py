"""Custom resource `MigrateDatabase`: bring the database's schema up to date."""

from __future__ import annotations

from typing import Any

from pardna.deployment.wiring import deployment
from pardna.runtime.observability import observed


@observed
def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    return deployment().change(event)
