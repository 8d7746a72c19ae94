"""POST /tenants/{tenant_id}/sources: write down where a tenant's files and events come from."""

from __future__ import annotations

from pardna.identity.wiring import access
from pardna.ingestion import wiring
from pardna.ingestion.requests import NewSource
from pardna.runtime.http import Request, Response, api, respond


@api
def handler(request: Request) -> Response:
    """Store the profile; the same again changes nothing. Secrets are named, never sent."""
    tenant_id = request.path_value("tenant_id")
    access().require(request.principal, tenant_id, "sources.write")
    body = request.parse(NewSource)
    profile = wiring.register_source(tenant_id, body)
    return respond(
        201,
        {
            "tenant_id": tenant_id,
            "source_id": profile.source_id,
            "profile_version": profile.layout_version or None,
            "webhook_path": f"/webhooks/{tenant_id}/{profile.source_id}",
        },
    )
