"""POST /tenants: the platform's own people open a tenant with its first admin."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from pardna.identity.model import Tenant
from pardna.identity.wiring import tenancy
from pardna.runtime.http import Request, Response, api, respond


class NewTenant(BaseModel):
    """The request's body. Without `admin_principal`, the caller becomes the first admin."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tenant_id: str
    name: str
    admin_principal: str = ""


@api
def handler(request: Request) -> Response:
    body = request.parse(NewTenant)
    first = tenancy().create_tenant(
        request.principal,
        request.groups,
        Tenant(body.tenant_id, body.name),
        body.admin_principal or request.principal,
    )
    return respond(201, {"tenant_id": first.tenant_id, "admin_principal": first.principal})
