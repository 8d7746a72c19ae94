"""GET /tenants/{tenant_id}/matching-history?subject=…|month=…: who did what in matching, and why."""

from __future__ import annotations

from pardna.identity.wiring import access
from pardna.matching.wiring import match_pages
from pardna.runtime.http import Request, Response, api, respond


@api
def handler(request: Request) -> Response:
    tenant_id = request.path_value("tenant_id")
    access().require(request.principal, tenant_id, "matching.read")
    return respond(200, match_pages().history(tenant_id, request.query))
