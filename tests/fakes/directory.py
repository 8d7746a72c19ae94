"""`Directory` in memory; passes the same contract as the table."""

from __future__ import annotations

from pardna.identity.model import Membership, Tenant
from pardna.runtime.errors import Conflict, NotFound, PardnaError


class MemoryDirectory:
    """Fails with `failure` on every call while one is set, and counts reads of memberships."""

    def __init__(self) -> None:
        self._tenants: dict[str, tuple[Tenant, str]] = {}
        self._memberships: dict[tuple[str, str], Membership] = {}
        self.failure: PardnaError | None = None
        self.reads = 0

    def tenant(self, tenant_id: str) -> Tenant | None:
        self._fail_on_demand()
        found = self._tenants.get(tenant_id)
        return found[0] if found else None

    def membership(self, principal: str, tenant_id: str) -> Membership | None:
        self._fail_on_demand()
        self.reads += 1
        return self._memberships.get((principal, tenant_id))

    def open_tenant(self, tenant: Tenant, first: Membership, at: str) -> None:
        self._fail_on_demand()
        stands = self._tenants.get(tenant.tenant_id)
        if stands is not None:
            if stands != (tenant, first.principal):
                raise Conflict("identity.tenant_exists", "taken")
            return
        self._tenants[tenant.tenant_id] = (tenant, first.principal)
        self._memberships[(first.principal, tenant.tenant_id)] = first

    def put_membership(self, membership: Membership, by: str, at: str) -> None:
        self._fail_on_demand()
        if membership.tenant_id not in self._tenants:
            raise NotFound("identity.no_tenant", "there is no such tenant")
        self._memberships[(membership.principal, membership.tenant_id)] = membership

    def forget(self, principal: str, tenant_id: str) -> None:
        """Take a membership away, as an operator would by hand."""
        self._memberships.pop((principal, tenant_id), None)

    def _fail_on_demand(self) -> None:
        if self.failure is not None:
            raise self.failure
