"""GET /tenants/{tenant_id}/sources?after=: where a tenant's files and events come from."""

from __future__ import annotations

from pardna.identity.wiring import access
from pardna.ingestion import source_wiring
from pardna.runtime.http import Request, Response, api, respond


@api
def handler(request: Request) -> Response:
    """A page of profiles by name. Secrets are named, never shown."""
    tenant_id = request.path_value("tenant_id")
    access().require(request.principal, tenant_id, "sources.read")
    return respond(200, source_wiring.list_sources(tenant_id, request.query.get("after", "")))
