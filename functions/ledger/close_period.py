"""POST /tenants/{tenant_id}/closings {"until": instant}: nothing effective before it is posted again."""

from __future__ import annotations

from pydantic import AwareDatetime, BaseModel, ConfigDict

from pardna.identity.wiring import access
from pardna.ledger.wiring import ledger
from pardna.runtime.http import Request, Response, api, respond


class Closing(BaseModel):
    """Until when the books are to be closed."""

    model_config = ConfigDict(extra="forbid")

    until: AwareDatetime


@api
def handler(request: Request) -> Response:
    tenant_id = request.path_value("tenant_id")
    access().require(request.principal, tenant_id, "ledger.close")
    until = request.parse(Closing).until
    ledger().close_period(tenant_id, request.principal, until)
    return respond(200, {"tenant_id": tenant_id, "closed_until": until.isoformat()})
