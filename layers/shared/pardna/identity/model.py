"""Who may do what: tenants, memberships, roles, and the table of permissions.

A principal is the subject of a login (Cognito's ``sub``). What it may do in a tenant is a
membership of ours, never a claim of its token: claims can be stale, and some its owner can change.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from pardna.runtime.errors import InvalidInput

#: The group of people who run the platform itself. They create tenants and see nothing inside.
PLATFORM_GROUP = "platform"

# As app.enter() in migration 0001 has it, so that every store accepts the same names.
_TENANT_ID = re.compile(r"[a-z0-9][a-z0-9-]{1,38}[a-z0-9]")
_PRINCIPAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}")


class Role(StrEnum):
    """What a member of a tenant is there for; one person may hold several."""

    ADMIN = "admin"
    APPROVER = "approver"
    AUDITOR = "auditor"
    BANKER = "banker"
    MEMBER = "member"
    OPERATOR = "operator"


_READERS = frozenset({Role.APPROVER, Role.AUDITOR, Role.BANKER, Role.OPERATOR})

#: Permission -> roles that hold it. `member` holds none: what members see of their own circle is
#: decided there. `admin` looks after people and sources and touches no money.
PERMISSIONS: Mapping[str, frozenset[Role]] = MappingProxyType(
    {
        "approvals.decide": frozenset({Role.APPROVER, Role.BANKER}),
        "approvals.read": _READERS,
        "breaks.read": _READERS,
        "breaks.write": frozenset({Role.BANKER, Role.OPERATOR}),
        "circles.read": _READERS,
        "circles.write": frozenset({Role.BANKER}),
        "ledger.close": frozenset({Role.BANKER}),
        "ledger.read": frozenset({Role.AUDITOR, Role.BANKER, Role.OPERATOR}),
        "matching.read": _READERS,
        "matching.write": frozenset({Role.BANKER, Role.OPERATOR}),
        # Rules say what a machine may decide about money; a second person agrees to each change.
        "matching_rules.write": frozenset({Role.BANKER}),
        "memberships.write": frozenset({Role.ADMIN}),
        "quarantine.decide": frozenset({Role.BANKER, Role.OPERATOR}),
        "quarantine.read": _READERS,
        "reconciliation.read": _READERS,
        "reconciliation.run": frozenset({Role.BANKER, Role.OPERATOR}),
        "reports.read": _READERS,
        "rounds.start": frozenset({Role.BANKER, Role.OPERATOR}),
        "sources.read": _READERS | frozenset({Role.ADMIN}),
        "sources.write": frozenset({Role.ADMIN, Role.OPERATOR}),
    }
)


@dataclass(frozen=True, slots=True)
class Tenant:
    """A business that uses the platform. Raises InvalidInput for a name that no store accepts."""

    tenant_id: str
    name: str

    def __post_init__(self) -> None:
        if not _TENANT_ID.fullmatch(self.tenant_id):
            raise InvalidInput(
                "identity.tenant_id",
                "a tenant's id has 3 to 40 lower-case letters, digits or inner hyphens",
            )
        if not self.name.strip() or len(self.name) > 200:
            raise InvalidInput("identity.tenant_name", "a tenant's name has 1 to 200 characters")


@dataclass(frozen=True, slots=True)
class Membership:
    """A principal's roles in one tenant. Raises InvalidInput for an empty or odd one."""

    tenant_id: str
    principal: str
    roles: frozenset[Role]

    def __post_init__(self) -> None:
        if not _PRINCIPAL.fullmatch(self.principal):
            raise InvalidInput("identity.principal", "a principal is the subject of a login")
        if not self.roles:
            raise InvalidInput("identity.roles", "a membership needs at least one role")

    def may(self, permission: str) -> bool:
        """Whether one of the roles holds `permission`; ValueError if nobody defined it."""
        if permission not in PERMISSIONS:
            raise ValueError(f"{permission!r} is not in the table of permissions")
        return bool(self.roles & PERMISSIONS[permission])


def roles(names: list[str]) -> frozenset[Role]:
    """Roles by name; raises InvalidInput naming the one that does not exist."""
    known = {role.value: role for role in Role}
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise InvalidInput("identity.role_unknown", f"{unknown[0]!r} is not one of {sorted(known)}")
    return frozenset(known[name] for name in names)
