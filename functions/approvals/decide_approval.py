"""POST /tenants/{tenant_id}/approvals/{approval_id}/decision: a second person says yes or no."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from pardna.approvals.answers import approval_body
from pardna.approvals.model import Status
from pardna.approvals.wiring import approvals
from pardna.identity.wiring import access
from pardna.runtime.http import Request, Response, api, respond

_STATUS = {"approve": Status.APPROVED, "reject": Status.REJECTED}


class Decision(BaseModel):
    """The request's body."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    decision: Literal["approve", "reject"]
    comment: str = ""


@api
def handler(request: Request) -> Response:
    tenant_id = request.path_value("tenant_id")
    access().require(request.principal, tenant_id, "approvals.decide")
    body = request.parse(Decision)
    approval = approvals().decide(
        tenant_id,
        request.principal,
        request.path_value("approval_id"),
        _STATUS[body.decision],
        body.comment,
    )
    return respond(200, approval_body(approval))
