"""POST /tenants/{tenant_id}/profiles: save a profile that reads its sample, as its next version."""

from __future__ import annotations

from pardna.identity.wiring import access
from pardna.ingestion import quality_wiring as wiring
from pardna.ingestion.profiles import saved_report
from pardna.ingestion.quality_requests import SampleOfProfile
from pardna.runtime.http import Request, Response, api, respond


@api
def handler(request: Request) -> Response:
    """The same profile again is the same version."""
    tenant_id = request.path_value("tenant_id")
    access().require(request.principal, tenant_id, "sources.write")
    asked = request.parse(SampleOfProfile)
    saved = wiring.profiles().save(tenant_id, request.principal, asked.profile, asked.sample)
    return respond(201, saved_report(saved))
