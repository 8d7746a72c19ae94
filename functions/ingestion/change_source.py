"""POST /tenants/{tenant_id}/sources/{source_id}: switch a source off or on, or schedule its visits."""

from __future__ import annotations

from pardna.identity.wiring import access
from pardna.ingestion import source_wiring
from pardna.ingestion.source_requests import SourceChange
from pardna.runtime.http import Request, Response, api, respond


@api
def handler(request: Request) -> Response:
    """The source as it is then; the same again changes nothing, and completes what was cut off."""
    tenant_id = request.path_value("tenant_id")
    access().require(request.principal, tenant_id, "sources.write")
    body = request.parse(SourceChange)
    source_id = request.path_value("source_id")
    return respond(200, source_wiring.change_source(tenant_id, source_id, body))
