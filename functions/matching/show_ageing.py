"""GET /tenants/{tenant_id}/ageing: open breaks by age, severity, class and currency."""

from __future__ import annotations

from pardna.identity.wiring import access
from pardna.matching.wiring import break_pages
from pardna.runtime.http import Request, Response, api, respond


@api
def handler(request: Request) -> Response:
    tenant_id = request.path_value("tenant_id")
    access().require(request.principal, tenant_id, "breaks.read")
    return respond(200, break_pages().ageing(tenant_id))
