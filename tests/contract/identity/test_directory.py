"""What every directory keeps, in memory and in DynamoDB."""

from __future__ import annotations

from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws

from pardna.identity.dynamodb import DynamoDirectory
from pardna.identity.model import Membership, Role, Tenant
from pardna.identity.ports import Directory
from pardna.runtime import keys
from pardna.runtime.errors import Conflict, NotFound
from tests.fakes.directory import MemoryDirectory

AT = "2026-01-31T12:00:00.000Z"
KINGSTON = Tenant("kingston", "Kingston Partners")
ADA = Membership("kingston", "ada", frozenset({Role.ADMIN}))


def table() -> DynamoDirectory:
    """A directory on a table of its own, in moto."""
    client = boto3.client("dynamodb", region_name="us-east-1")
    client.create_table(
        TableName="directory",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
        ],
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
    )
    return DynamoDirectory(client, "directory")


@pytest.fixture(params=["memory", "dynamodb"])
def directory(request: pytest.FixtureRequest) -> Iterator[Directory]:
    if request.param == "memory":
        yield MemoryDirectory()
        return
    with mock_aws():
        yield table()


def test_a_tenant_opens_with_its_first_member(directory: Directory) -> None:
    directory.open_tenant(KINGSTON, ADA, AT)

    assert directory.tenant("kingston") == KINGSTON
    assert directory.membership("ada", "kingston") == ADA


def test_what_is_not_there_is_none(directory: Directory) -> None:
    assert directory.tenant("kingston") is None
    assert directory.membership("ada", "kingston") is None


def test_opening_again_changes_nothing(directory: Directory) -> None:
    directory.open_tenant(KINGSTON, ADA, AT)
    grown = Membership("kingston", "ada", frozenset({Role.ADMIN, Role.OPERATOR}))
    directory.put_membership(grown, by="bea", at=AT)
    directory.open_tenant(KINGSTON, ADA, AT)

    assert directory.membership("ada", "kingston") == grown


@pytest.mark.parametrize(
    ("tenant", "first"),
    [
        (Tenant("kingston", "Somebody Else"), ADA),
        (KINGSTON, Membership("kingston", "bea", frozenset({Role.ADMIN}))),
    ],
)
def test_a_taken_id_is_a_conflict(directory: Directory, tenant: Tenant, first: Membership) -> None:
    directory.open_tenant(KINGSTON, ADA, AT)
    with pytest.raises(Conflict, match=r"identity\.tenant_exists"):
        directory.open_tenant(tenant, first, AT)

    assert directory.tenant("kingston") == KINGSTON
    assert directory.membership("bea", "kingston") is None


def test_a_membership_replaces_the_roles_that_were_there(directory: Directory) -> None:
    directory.open_tenant(KINGSTON, ADA, AT)
    for held in ({Role.BANKER}, {Role.AUDITOR, Role.APPROVER}):
        written = Membership("kingston", "bea", frozenset(held))
        directory.put_membership(written, by="ada", at=AT)

        assert directory.membership("bea", "kingston") == written


def test_nobody_joins_a_tenant_that_does_not_exist(directory: Directory) -> None:
    with pytest.raises(NotFound, match=r"identity\.no_tenant"):
        directory.put_membership(ADA, by="bea", at=AT)

    assert directory.membership("ada", "kingston") is None


def test_a_membership_counts_in_its_tenant_only(directory: Directory) -> None:
    directory.open_tenant(KINGSTON, ADA, AT)
    directory.open_tenant(
        Tenant("montego", "Montego"), Membership("montego", "bea", frozenset({Role.ADMIN})), AT
    )

    assert directory.membership("ada", "montego") is None
    assert directory.membership("bea", "kingston") is None


@mock_aws()
def test_a_role_that_this_version_does_not_know_grants_nothing() -> None:
    directory = table()
    client = boto3.client("dynamodb", region_name="us-east-1")
    pk, sk = keys.membership("ada", "kingston")
    for known, expected in ((["banker"], frozenset({Role.BANKER})), ([], None)):
        roles = [{"S": role} for role in [*known, "owner-of-tomorrow"]]
        client.put_item(
            TableName="directory",
            Item={"pk": {"S": pk}, "sk": {"S": sk}, "roles": {"L": roles}},  # type: ignore[dict-item]
        )
        found = directory.membership("ada", "kingston")

        assert (found.roles if found else None) == expected
