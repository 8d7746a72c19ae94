"""POST /tenants/{tenant_id}/proposals/{match_id}/decision: confirm a proposal, or reject it for good."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from pardna.identity.wiring import access
from pardna.matching.acts import asked
from pardna.matching.wiring import hand_matching
from pardna.runtime.http import Request, Response, api, respond


class Decision(BaseModel):
    """The request's body."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    decision: Literal["confirm", "reject"]
    reason: str = ""


@api
def handler(request: Request) -> Response:
    tenant_id = request.path_value("tenant_id")
    access().require(request.principal, tenant_id, "matching.write")
    match_id, body = request.path_value("match_id"), request.parse(Decision)
    key = request.headers.get("idempotency-key", "")
    by = asked(tenant_id, request.principal, key, f"decide_proposal:{match_id}", request.body)
    answer = hand_matching().decide(by, match_id, body.decision == "confirm", body.reason)
    return respond(202 if answer["status"] == "waiting_for_approval" else 200, answer)
