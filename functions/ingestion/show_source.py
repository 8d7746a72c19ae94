"""GET /tenants/{tenant_id}/sources/{source_id}: one source, its switches and its schedules."""

from __future__ import annotations

from pardna.identity.wiring import access
from pardna.ingestion import source_wiring
from pardna.runtime.http import Request, Response, api, respond


@api
def handler(request: Request) -> Response:
    """The profile. Secrets are named, never shown."""
    tenant_id = request.path_value("tenant_id")
    access().require(request.principal, tenant_id, "sources.read")
    return respond(200, source_wiring.show_source(tenant_id, request.path_value("source_id")))
