"""GET /tenants/{tenant_id}/sources/{source_id}/uploads/{upload_id}: how far it is, what it said."""

from __future__ import annotations

from pardna.identity.wiring import access
from pardna.ingestion import upload_wiring as wiring
from pardna.runtime.http import Request, Response, api, respond


@api
def handler(request: Request) -> Response:
    """Awaiting, parsing, then the result with its problems and counts."""
    tenant_id = request.path_value("tenant_id")
    access().require(request.principal, tenant_id, "sources.read")
    source_id, upload_id = request.path_value("source_id"), request.path_value("upload_id")
    return respond(200, wiring.show_upload().show(tenant_id, source_id, upload_id))
