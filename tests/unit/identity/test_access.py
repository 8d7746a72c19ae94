"""May this principal do this here?"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pardna.identity.model import PERMISSIONS, Membership, Role, Tenant, roles
from pardna.identity.service import CACHE_SECONDS, Access, Tenancy
from pardna.runtime.errors import (
    InvalidInput,
    NotAuthenticated,
    NotPermitted,
    RefusedByRule,
    Unavailable,
)
from tests.fakes.directory import MemoryDirectory

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
KINGSTON = Tenant("kingston", "Kingston Partners")


class Seconds:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class House:
    """A tenant with an admin, and what the tests ask of it."""

    def __init__(self) -> None:
        self.directory = MemoryDirectory()
        self.seconds = Seconds()
        self.access = Access(self.directory, self.seconds)
        self.tenancy = Tenancy(self.directory, self.access, lambda: NOON)
        self.tenancy.create_tenant("root", {"platform"}, KINGSTON, "ada")

    def joins(self, principal: str, *held: Role) -> None:
        self.tenancy.add_member("ada", Membership("kingston", principal, frozenset(held)))


@pytest.fixture
def house() -> House:
    return House()


@pytest.mark.parametrize("permission", sorted(PERMISSIONS))
@pytest.mark.parametrize("role", list(Role))
def test_a_role_may_exactly_what_the_table_says(house: House, role: Role, permission: str) -> None:
    house.joins("bea", role)
    if role in PERMISSIONS[permission]:
        assert house.access.require("bea", "kingston", permission).roles == {role}
    else:
        with pytest.raises(NotPermitted, match=r"auth\.not_permitted"):
            house.access.require("bea", "kingston", permission)


def test_nobody_who_handles_money_decides_who_does() -> None:
    assert PERMISSIONS["memberships.write"] == {Role.ADMIN}
    for permission in ("approvals.decide", "circles.write", "rounds.start", "reconciliation.run"):
        assert Role.ADMIN not in PERMISSIONS[permission]


def test_without_a_login_nothing_goes(house: House) -> None:
    with pytest.raises(NotAuthenticated):
        house.access.require("", "kingston", "breaks.read")


def test_who_is_not_in_a_tenant_is_not_told_whether_it_exists(house: House) -> None:
    said = set()
    for tenant in ("kingston", "montego", "", "../kingston"):
        with pytest.raises(NotPermitted) as refused:
            house.access.require("stranger", tenant, "breaks.read")
        said.add(str(refused.value))

    assert len(said) == 1


def test_a_permission_that_nobody_defined_is_a_defect(house: House) -> None:
    with pytest.raises(ValueError, match="not in the table"):
        house.access.require("ada", "kingston", "everything.do")


def test_a_membership_is_read_once_in_a_few_seconds(house: House) -> None:
    house.joins("bea", Role.AUDITOR)
    house.directory.reads = 0
    for _ in range(3):
        house.access.require("bea", "kingston", "breaks.read")

    assert house.directory.reads == 1


def test_a_revoked_membership_ends_with_the_cache(house: House) -> None:
    house.joins("bea", Role.AUDITOR)
    house.access.require("bea", "kingston", "breaks.read")
    house.directory.forget("bea", "kingston")
    house.seconds.now += CACHE_SECONDS

    with pytest.raises(NotPermitted):
        house.access.require("bea", "kingston", "breaks.read")


def test_a_new_member_does_not_wait_for_a_no_to_expire(house: House) -> None:
    with pytest.raises(NotPermitted):
        house.access.require("bea", "kingston", "breaks.read")
    house.joins("bea", Role.AUDITOR)

    assert house.access.require("bea", "kingston", "breaks.read").principal == "bea"


def test_a_directory_that_is_down_lets_nobody_in(house: House) -> None:
    house.directory.failure = Unavailable("directory.down", "later")
    with pytest.raises(Unavailable):
        house.access.require("ada", "kingston", "memberships.write")


@pytest.mark.parametrize("groups", [set(), {"ops"}, {"platforms"}])
def test_only_the_platform_opens_tenants(house: House, groups: set[str]) -> None:
    with pytest.raises(NotPermitted, match=r"auth\.not_platform"):
        house.tenancy.create_tenant("ada", groups, Tenant("montego", "M"), "ada")
    with pytest.raises(NotAuthenticated):
        house.tenancy.create_tenant("", {"platform"}, Tenant("montego", "M"), "ada")

    assert house.directory.tenant("montego") is None


def test_the_platform_sees_nothing_inside(house: House) -> None:
    with pytest.raises(NotPermitted):
        house.access.require("root", "kingston", "breaks.read")


def test_only_an_admin_adds_members_and_never_their_own_roles(house: House) -> None:
    house.joins("bea", Role.BANKER)
    with pytest.raises(NotPermitted):
        house.tenancy.add_member("bea", Membership("kingston", "cy", frozenset({Role.BANKER})))
    with pytest.raises(RefusedByRule, match=r"identity\.own_membership"):
        house.tenancy.add_member("ada", Membership("kingston", "ada", frozenset({Role.BANKER})))


@pytest.mark.parametrize(
    "tenant_id", ["", "ab", "Kingston", "-kgn", "kgn-", "k" * 41, "kgn one", "kgn#1"]
)
def test_a_tenant_id_that_a_store_would_refuse_is_refused_first(tenant_id: str) -> None:
    with pytest.raises(InvalidInput, match=r"identity\.tenant_id"):
        Tenant(tenant_id, "A name")


@pytest.mark.parametrize("principal", ["", "a b", "#x", "é", "x" * 129, "a\n"])
def test_a_principal_is_the_subject_of_a_login(principal: str) -> None:
    with pytest.raises(InvalidInput, match=r"identity\.principal"):
        Membership("kingston", principal, frozenset({Role.BANKER}))


def test_roles_are_named_and_not_none() -> None:
    assert roles(["banker", "auditor", "banker"]) == {Role.BANKER, Role.AUDITOR}
    with pytest.raises(InvalidInput, match=r"identity\.role_unknown"):
        roles(["king"])
    with pytest.raises(InvalidInput, match=r"identity\.roles"):
        Membership("kingston", "ada", roles([]))
