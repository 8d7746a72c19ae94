"""GET /tenants/{tenant_id}/matching-rules: the rules in force, the latest versions, the aliases."""

from __future__ import annotations

from pardna.identity.wiring import access
from pardna.matching.wiring import rule_list
from pardna.runtime.http import Request, Response, api, respond


@api
def handler(request: Request) -> Response:
    tenant_id = request.path_value("tenant_id")
    access().require(request.principal, tenant_id, "matching.read")
    return respond(200, rule_list().show(tenant_id))
