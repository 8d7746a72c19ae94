"""GET /tenants/{tenant_id}/circles/{circle_id}: a circle, its members, its hands and its rounds."""

from __future__ import annotations

from pardna.circles.answers import circle_body
from pardna.circles.wiring import looks
from pardna.identity.wiring import access
from pardna.runtime.http import Request, Response, api, respond


@api
def handler(request: Request) -> Response:
    tenant_id = request.path_value("tenant_id")
    access().require(request.principal, tenant_id, "circles.read")
    found = looks().circle(tenant_id, request.principal, request.path_value("circle_id"))
    return respond(200, circle_body(*found))
