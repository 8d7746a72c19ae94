"""State "Write round report", and POST .../rounds/{round_number}/report: what happened, on paper.

The machine writes a round's report when it closes; a person has it written again when the bank's
statement or a reconciliation has told more. The same facts write nothing new.
"""

from __future__ import annotations

from typing import Any

from pardna.identity.wiring import access
from pardna.reporting.wiring import reports, round_number
from pardna.runtime.http import Request, Response, api, respond
from pardna.runtime.observability import count, logger, observed

PRINCIPAL = "system:reporting"


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    asked = _on_request if "requestContext" in event else _in_machine
    return asked(event, context)


@api
def _on_request(request: Request) -> Response:
    tenant_id = request.path_value("tenant_id")
    access().require(request.principal, tenant_id, "reports.read")
    number = round_number(request.path_value("round_number"))
    return respond(200, _write(tenant_id, request.path_value("circle_id"), number))


@observed
def _in_machine(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    number = round_number(event["round_number"])
    written = _write(event["tenant_id"], event["circle_id"], number)
    return {"outcome": "written", **written}


def _write(tenant_id: str, circle_id: str, number: int) -> dict[str, Any]:
    written = reports().write_round(tenant_id, PRINCIPAL, circle_id, number)
    logger.info(
        "Round report written",
        tenant_id=tenant_id,
        circle_id=circle_id,
        matches_count=written.matches_count,
        breaks_count=written.open_breaks_count,
    )
    count("RoundReportsWritten", int(written.changed))
    return {
        "html_key": written.html_key,
        "csv_key": written.csv_key,
        "changed": written.changed,
        "open_breaks_count": written.open_breaks_count,
    }
