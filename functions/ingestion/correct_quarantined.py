"""POST /tenants/{tenant_id}/quarantine/{quarantine_id}/decision: correct, release, discard.

What changes money is proposed by one person and confirmed by another, here too.
"""

from __future__ import annotations

from pardna.identity.wiring import access
from pardna.ingestion import quality_wiring as wiring
from pardna.ingestion.quality_requests import NewDecision
from pardna.runtime.http import Request, Response, api, respond


@api
def handler(request: Request) -> Response:
    """200 when it is decided, 202 when a second person has to agree."""
    tenant_id = request.path_value("tenant_id")
    access().require(request.principal, tenant_id, "quarantine.decide")
    quarantine_id, asked = request.path_value("quarantine_id"), request.parse(NewDecision)
    cause = request.correlation_id
    report = wiring.decide_quarantined(tenant_id, request.principal, quarantine_id, asked, cause)
    return respond(202 if report["state"] == "proposed" else 200, report)
