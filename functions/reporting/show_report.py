"""GET .../rounds/{round_number}/report?format=html|csv: a link to the report, good for minutes."""

from __future__ import annotations

from pardna.identity.wiring import access
from pardna.reporting.wiring import links, round_number
from pardna.runtime.http import Request, Response, api, respond


@api
def handler(request: Request) -> Response:
    tenant_id = request.path_value("tenant_id")
    access().require(request.principal, tenant_id, "reports.read")
    link = links().link(
        tenant_id,
        request.path_value("circle_id"),
        round_number(request.path_value("round_number")),
        request.query.get("format", "html"),
    )
    return respond(200, {"url": link.url, "expires_in_seconds": link.seconds})
