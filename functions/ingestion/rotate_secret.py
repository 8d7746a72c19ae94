"""POST /tenants/{tenant_id}/sources/{source_id}/secret: another secret for a source."""

from __future__ import annotations

from pardna.identity.wiring import access
from pardna.ingestion import source_wiring
from pardna.ingestion.source_requests import NewSecret
from pardna.runtime.http import Request, Response, api, respond


@api
def handler(request: Request) -> Response:
    """Until when the old one is valid too. The secret itself goes to Secrets Manager only."""
    tenant_id = request.path_value("tenant_id")
    access().require(request.principal, tenant_id, "sources.write")
    body = request.parse(NewSecret)
    source_id = request.path_value("source_id")
    return respond(200, source_wiring.rotate_secret(tenant_id, source_id, body))
