"""POST /tenants/{tenant_id}/aliases: teach what a reference or a name also stands for.
POST /tenants/{tenant_id}/aliases/{alias_id}/removal: stop using one."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from pardna.identity.wiring import access
from pardna.matching.acts import asked
from pardna.matching.wiring import alias_work
from pardna.runtime.http import Request, Response, api, respond


class NewAlias(BaseModel):
    """The body of the first route."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["reference", "name"]
    value: str
    stands_for: str
    reason: str


class Removal(BaseModel):
    """The body of the second route."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reason: str


@api
def handler(request: Request) -> Response:
    tenant_id = request.path_value("tenant_id")
    access().require(request.principal, tenant_id, "matching.write")
    key = request.headers.get("idempotency-key", "")
    if "alias_id" in request.path:
        alias_id, why = request.path_value("alias_id"), request.parse(Removal)
        by = asked(tenant_id, request.principal, key, f"remove_alias:{alias_id}", request.body)
        return respond(200, alias_work().forget(by, alias_id, why.reason))
    body = request.parse(NewAlias)
    by = asked(tenant_id, request.principal, key, "teach_alias", request.body)
    return respond(201, alias_work().teach(by, body.kind, body.value, body.stands_for, body.reason))
