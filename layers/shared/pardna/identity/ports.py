"""What identity needs from a store."""

from __future__ import annotations

from typing import Protocol

from pardna.identity.model import Membership, Tenant


class Directory(Protocol):
    """Tenants and who belongs to them."""

    def tenant(self, tenant_id: str) -> Tenant | None:
        """The tenant, or None."""

    def membership(self, principal: str, tenant_id: str) -> Membership | None:
        """What `principal` is in the tenant, or None; reads its own latest write."""

    def open_tenant(self, tenant: Tenant, first: Membership, at: str) -> None:
        """Write a tenant and its first membership, both or neither.

        The same again changes nothing; raises Conflict (``identity.tenant_exists``) when the id
        is taken by another name or another first member.
        """

    def put_membership(self, membership: Membership, by: str, at: str) -> None:
        """Write a membership, replacing the roles that were there.

        Raises NotFound (``identity.no_tenant``) when the tenant does not exist.
        """
