"""POST /tenants/{tenant_id}/matches/{match_id}/unmatch: a person takes a match back."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from pardna.identity.wiring import access
from pardna.matching.acts import asked
from pardna.matching.wiring import unmatching
from pardna.runtime.http import Request, Response, api, respond


class Why(BaseModel):
    """The request's body."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reason: str


@api
def handler(request: Request) -> Response:
    tenant_id = request.path_value("tenant_id")
    access().require(request.principal, tenant_id, "matching.write")
    match_id, body = request.path_value("match_id"), request.parse(Why)
    key = request.headers.get("idempotency-key", "")
    by = asked(tenant_id, request.principal, key, f"unmatch:{match_id}", request.body)
    return respond(200, unmatching().unmatch(by, match_id, body.reason))
