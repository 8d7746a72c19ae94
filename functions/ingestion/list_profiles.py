"""GET /tenants/{tenant_id}/profiles: every version of every saved profile."""

from __future__ import annotations

from pardna.identity.wiring import access
from pardna.ingestion import quality_wiring as wiring
from pardna.ingestion.profiles import saved_report
from pardna.runtime.http import Request, Response, api, respond


@api
def handler(request: Request) -> Response:
    tenant_id = request.path_value("tenant_id")
    access().require(request.principal, tenant_id, "sources.write")
    found = wiring.profiles().shelf.versions(tenant_id)
    return respond(200, {"profiles": [saved_report(saved) for saved in found]})
