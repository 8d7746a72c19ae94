"""GET /tenants/{tenant_id}/breaks, and …/breaks/{break_id}: what is not explained, and why."""

from __future__ import annotations

from pardna.identity.wiring import access
from pardna.matching.wiring import break_pages
from pardna.runtime.http import Request, Response, api, respond


@api
def handler(request: Request) -> Response:
    tenant_id = request.path_value("tenant_id")
    access().require(request.principal, tenant_id, "breaks.read")
    if "break_id" in request.path:
        return respond(200, break_pages().show(tenant_id, request.path_value("break_id")))
    return respond(200, break_pages().page(tenant_id, request.query))
