"""POST /tenants/{tenant_id}/memberships: an admin says what somebody is in the tenant."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from pardna.identity.model import Membership, roles
from pardna.identity.wiring import tenancy
from pardna.runtime.http import Request, Response, api, respond


class NewMembership(BaseModel):
    """The request's body: the subject of a login, and its roles from now on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    principal: str
    roles: list[str]


@api
def handler(request: Request) -> Response:
    body = request.parse(NewMembership)
    membership = Membership(request.path_value("tenant_id"), body.principal, roles(body.roles))
    tenancy().add_member(request.principal, membership)
    return respond(
        201,
        {
            "tenant_id": membership.tenant_id,
            "principal": membership.principal,
            "roles": sorted(membership.roles),
        },
    )
