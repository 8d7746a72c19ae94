"""GET /tenants/{tenant_id}/circles/{circle_id}/rounds/{round_number}: who paid, and the draw."""

from __future__ import annotations

from pardna.circles.answers import round_body
from pardna.circles.requests import round_number
from pardna.circles.wiring import looks
from pardna.identity.wiring import access
from pardna.runtime.http import Request, Response, api, respond


@api
def handler(request: Request) -> Response:
    tenant_id = request.path_value("tenant_id")
    access().require(request.principal, tenant_id, "circles.read")
    number = round_number(request.path_value("round_number"))
    circle_id = request.path_value("circle_id")
    return respond(200, round_body(looks().round(tenant_id, request.principal, circle_id, number)))
