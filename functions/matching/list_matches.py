"""GET /tenants/{tenant_id}/matches?status=proposed, and …/matches/{match_id}: matches with reasons."""

from __future__ import annotations

from pardna.identity.wiring import access
from pardna.matching.wiring import match_pages
from pardna.runtime.http import Request, Response, api, respond


@api
def handler(request: Request) -> Response:
    tenant_id = request.path_value("tenant_id")
    access().require(request.principal, tenant_id, "matching.read")
    if "match_id" in request.path:
        return respond(200, match_pages().show(tenant_id, request.path_value("match_id")))
    return respond(200, match_pages().page(tenant_id, request.query))
