"""GET /tenants/{tenant_id}/reconciliations/{run_id}: a run, shard by shard."""

from __future__ import annotations

from pardna.identity.wiring import access
from pardna.matching.wiring import show_runs
from pardna.runtime.http import Request, Response, api, respond


@api
def handler(request: Request) -> Response:
    tenant_id = request.path_value("tenant_id")
    access().require(request.principal, tenant_id, "reconciliation.read")
    return respond(200, show_runs().show(tenant_id, request.path_value("run_id")))
