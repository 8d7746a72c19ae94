"""POST /tenants/{tenant_id}/reconciliations/{run_id}/{action}: stop or resume a run."""

from __future__ import annotations

from pardna.identity.wiring import access
from pardna.matching.wiring import control_runs
from pardna.runtime.http import Request, Response, api, respond


@api
def handler(request: Request) -> Response:
    tenant_id = request.path_value("tenant_id")
    access().require(request.principal, tenant_id, "reconciliation.run")
    return respond(202, control_runs().control(
        tenant_id, request.path_value("run_id"), request.path_value("action"), request.principal,
    ))  # fmt: skip
