"""GET /tenants/{tenant_id}/quarantine?status=&source_id=&code=&raw_sha256=&limit=&cursor=."""

from __future__ import annotations

from pardna.identity.wiring import access
from pardna.ingestion import quality_wiring as wiring
from pardna.runtime.http import Request, Response, api, respond


@api
def handler(request: Request) -> Response:
    """Rows that were put aside, with line and reason, in the order in which they were."""
    tenant_id = request.path_value("tenant_id")
    access().require(request.principal, tenant_id, "quarantine.read")
    return respond(200, wiring.quarantine_page(tenant_id, request.query))
