"""POST /tenants/{tenant_id}/profiles/trial: what a profile makes of a sample, row by row."""

from __future__ import annotations

from pardna.identity.wiring import access
from pardna.ingestion.profiles import trial, trial_report
from pardna.ingestion.quality_requests import SampleOfProfile
from pardna.runtime.http import Request, Response, api, respond


@api
def handler(request: Request) -> Response:
    """Nothing is kept."""
    tenant_id = request.path_value("tenant_id")
    access().require(request.principal, tenant_id, "sources.write")
    asked = request.parse(SampleOfProfile)
    return respond(200, trial_report(trial(asked.sample, asked.profile)))
