"""POST /tenants/{tenant_id}/circles: a banker sets up a circle; the same again finds it."""

from __future__ import annotations

from pardna.circles.answers import circle_body
from pardna.circles.requests import NewCircle
from pardna.circles.wiring import circles, looks
from pardna.identity.wiring import access
from pardna.runtime.clock import utc_now
from pardna.runtime.http import Request, Response, api, respond


@api
def handler(request: Request) -> Response:
    tenant_id = request.path_value("tenant_id")
    access().require(request.principal, tenant_id, "circles.write")
    body = request.parse(NewCircle)
    asked = body.to_circle(tenant_id, request.principal, utc_now())
    circle, is_new = circles().create(asked, body.request_hash)
    _, rounds = looks().circle(tenant_id, request.principal, circle.circle_id)
    return respond(201 if is_new else 200, circle_body(circle, rounds))
