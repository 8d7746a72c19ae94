"""GET /tenants/{tenant_id}/deliveries?source_id=&status=&cursor=&limit=: what arrived, what became of it."""

from __future__ import annotations

from pardna.identity.wiring import access
from pardna.ingestion import source_wiring
from pardna.runtime.http import Request, Response, api, respond


@api
def handler(request: Request) -> Response:
    """A page, newest first, and the cursor of the next one."""
    tenant_id = request.path_value("tenant_id")
    access().require(request.principal, tenant_id, "sources.read")
    query = request.query
    page = source_wiring.list_deliveries().page(
        tenant_id,
        query.get("source_id", ""),
        query.get("status", ""),
        query.get("cursor", ""),
        source_wiring.page_limit(query.get("limit", "50")),
    )
    return respond(200, page)
