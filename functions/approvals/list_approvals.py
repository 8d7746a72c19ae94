"""GET /tenants/{tenant_id}/approvals: what waits for a second person, oldest first."""

from __future__ import annotations

from pardna.approvals.answers import approval_body
from pardna.approvals.wiring import approvals
from pardna.identity.wiring import access
from pardna.runtime.http import Request, Response, api, respond


@api
def handler(request: Request) -> Response:
    tenant_id = request.path_value("tenant_id")
    access().require(request.principal, tenant_id, "approvals.read")
    page, following = approvals().pending(tenant_id, request.query.get("after", ""))
    return respond(200, {"approvals": [approval_body(a) for a in page], "next": following})
