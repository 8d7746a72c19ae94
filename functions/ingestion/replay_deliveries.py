"""POST /tenants/{tenant_id}/sources/{source_id}/replays: normalise what arrived, once more."""

from __future__ import annotations

from pardna.identity.wiring import access
from pardna.ingestion import source_wiring
from pardna.ingestion.source_requests import NewReplay
from pardna.runtime.http import Request, Response, api, respond


@api
def handler(request: Request) -> Response:
    """202: the bytes go the usual road again. Whatever counted before counts no second time."""
    tenant_id = request.path_value("tenant_id")
    access().require(request.principal, tenant_id, "sources.write")
    body = request.parse(NewReplay)
    source_id = request.path_value("source_id")
    return respond(202, source_wiring.replay(tenant_id, source_id, body, request.correlation_id))
