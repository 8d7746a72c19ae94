"""Use cases of identity: may this principal do this here, open a tenant, add a member."""

from __future__ import annotations

from collections.abc import Callable, Set

from pardna.identity.model import PLATFORM_GROUP, Membership, Role, Tenant
from pardna.identity.ports import Directory
from pardna.runtime.clock import Clock, iso
from pardna.runtime.errors import NotAuthenticated, NotPermitted, RefusedByRule

#: A revoked membership is good for at most this long in a process that has just read it.
CACHE_SECONDS = 5.0
_CACHE_MAX = 1_000


class Access:
    """The one question that every user-facing function asks before anything else."""

    def __init__(self, directory: Directory, seconds: Callable[[], float]) -> None:
        self._directory = directory
        self._seconds = seconds
        self._known: dict[tuple[str, str], tuple[float, Membership]] = {}

    def require(self, principal: str, tenant_id: str, permission: str) -> Membership:
        """The principal's membership, if it grants `permission` in the tenant.

        Raises NotAuthenticated without a principal, NotPermitted otherwise; whether the tenant
        exists is not told to those who are not in it.
        """
        if not principal:
            raise NotAuthenticated("auth.no_principal", "log in first")
        membership = self._membership(principal, tenant_id)
        if membership is None or not membership.may(permission):
            raise NotPermitted("auth.not_permitted", f"this needs {permission} in this tenant")
        return membership

    def _membership(self, principal: str, tenant_id: str) -> Membership | None:
        now = self._seconds()
        until, known = self._known.get((principal, tenant_id), (0.0, None))
        if known is not None and now < until:
            return known
        found = self._directory.membership(principal, tenant_id)
        # Only what was granted is remembered: a new member must not wait for a "no" to expire.
        if found is None:
            self._known.pop((principal, tenant_id), None)
            return None
        if len(self._known) >= _CACHE_MAX:
            self._known.clear()
        self._known[(principal, tenant_id)] = (now + CACHE_SECONDS, found)
        return found


class Tenancy:
    """Opening tenants and saying who belongs to them."""

    def __init__(self, directory: Directory, access: Access, clock: Clock) -> None:
        self._directory = directory
        self._access = access
        self._clock = clock

    def create_tenant(
        self, principal: str, groups: Set[str], tenant: Tenant, first_admin: str
    ) -> Membership:
        """Open `tenant` with `first_admin` as its admin; repeating it changes nothing.

        Only people of the group ``platform`` may: raises NotAuthenticated, NotPermitted, or
        Conflict when the id is taken.
        """
        if not principal:
            raise NotAuthenticated("auth.no_principal", "log in first")
        if PLATFORM_GROUP not in groups:
            raise NotPermitted("auth.not_platform", "only the platform's own people open tenants")
        first = Membership(tenant.tenant_id, first_admin, frozenset({Role.ADMIN}))
        self._directory.open_tenant(tenant, first, iso(self._clock()))
        return first

    def add_member(self, principal: str, membership: Membership) -> Membership:
        """Give a principal its roles in a tenant, replacing earlier ones.

        Raises NotPermitted without ``memberships.write``, RefusedByRule when somebody would change
        their own roles: that takes a second admin.
        """
        self._access.require(principal, membership.tenant_id, "memberships.write")
        if membership.principal == principal:
            raise RefusedByRule("identity.own_membership", "nobody changes their own roles")
        held = self._directory.membership(membership.principal, membership.tenant_id)
        if held == membership:
            return membership  # said before: who said it first, and when, stands
        self._directory.put_membership(membership, by=principal, at=iso(self._clock()))
        return membership
