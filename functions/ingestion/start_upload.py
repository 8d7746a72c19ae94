"""POST /tenants/{tenant_id}/sources/{source_id}/uploads: announce a file, get a form to send it."""

from __future__ import annotations

from pardna.identity.wiring import access
from pardna.ingestion import upload_wiring as wiring
from pardna.ingestion.upload_requests import NewUpload
from pardna.runtime.http import Request, Response, api, respond


@api
def handler(request: Request) -> Response:
    """The file itself goes straight to the object store; whoever has the form may send it once."""
    tenant_id = request.path_value("tenant_id")
    access().require(request.principal, tenant_id, "sources.write")
    source_id = request.path_value("source_id")
    body = request.parse(NewUpload)
    return respond(201, wiring.start(tenant_id, request.principal, source_id, body))
