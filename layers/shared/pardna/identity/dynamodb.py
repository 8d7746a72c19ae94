"""The directory in DynamoDB: one table, keys from `runtime.keys`.

boto3's low-level client and nothing else: these calls stand in front of every user request, so
they must not cost an object mapper's import.
"""

from __future__ import annotations

from typing import Any

from pardna.identity.model import Membership, Role, Tenant
from pardna.runtime import keys
from pardna.runtime.errors import Conflict, NotFound, Unavailable

_UNTOUCHED = "attribute_not_exists(pk)"


class DynamoDirectory:
    """`Directory` on a DynamoDB table."""

    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self._table = table

    def tenant(self, tenant_id: str) -> Tenant | None:
        """See `Directory`."""
        item = self._get(keys.tenant(tenant_id))
        return Tenant(item["tenant_id"]["S"], item["name"]["S"]) if item else None

    def membership(self, principal: str, tenant_id: str) -> Membership | None:
        """See `Directory`. Consistent read: who was just added may act at once."""
        item = self._get(keys.membership(principal, tenant_id))
        if not item:
            return None
        known = {role.value for role in Role}
        # A role that a newer version wrote grants nothing here, rather than failing every request.
        held = frozenset(Role(r["S"]) for r in item["roles"]["L"] if r["S"] in known)
        return Membership(tenant_id, principal, held) if held else None

    def open_tenant(self, tenant: Tenant, first: Membership, at: str) -> None:
        """See `Directory`."""
        head = _item(
            keys.tenant(tenant.tenant_id),
            kind="tenant",
            tenant_id=tenant.tenant_id,
            name=tenant.name,
            first_admin=first.principal,
            opened_at=at,
        )
        try:
            self._client.transact_write_items(
                TransactItems=[
                    self._put(head, _UNTOUCHED),
                    self._put(_membership_item(first, first.principal, at), _UNTOUCHED),
                ]
            )
        except self._client.exceptions.TransactionCanceledException:
            self._accept_same(tenant, first)

    def _accept_same(self, tenant: Tenant, first: Membership) -> None:
        """Raise Conflict or Unavailable unless what stands is what was asked for."""
        item = self._get(keys.tenant(tenant.tenant_id))
        if not item:  # cancelled by another transaction on the same items, which failed as well
            raise Unavailable("directory.busy", "somebody else is writing this; try again")
        if (item.get("name", {}).get("S"), item.get("first_admin", {}).get("S")) != (
            tenant.name,
            first.principal,
        ):
            raise Conflict("identity.tenant_exists", "a tenant with this id exists already")

    def put_membership(self, membership: Membership, by: str, at: str) -> None:
        """See `Directory`."""
        pk, sk = keys.tenant(membership.tenant_id)
        exists = {
            "ConditionCheck": {
                "TableName": self._table,
                "Key": {"pk": {"S": pk}, "sk": {"S": sk}},
                "ConditionExpression": "attribute_exists(pk)",
            }
        }
        put = self._put(_membership_item(membership, by, at))
        try:
            self._client.transact_write_items(TransactItems=[exists, put])
        except self._client.exceptions.TransactionCanceledException as error:
            reasons = [r.get("Code") for r in error.response.get("CancellationReasons", ())]
            if "ConditionalCheckFailed" not in reasons:
                raise Unavailable("directory.busy", "somebody else is writing this") from None
            raise NotFound("identity.no_tenant", "there is no such tenant") from None

    def _get(self, key: tuple[str, str]) -> dict[str, Any]:
        answer = self._client.get_item(
            TableName=self._table,
            Key={"pk": {"S": key[0]}, "sk": {"S": key[1]}},
            ConsistentRead=True,
        )
        item: dict[str, Any] = answer.get("Item", {})
        return item

    def _put(self, item: dict[str, Any], condition: str = "") -> dict[str, Any]:
        put: dict[str, Any] = {"TableName": self._table, "Item": item}
        if condition:
            put["ConditionExpression"] = condition
        return {"Put": put}


def _item(key: tuple[str, str], **text: str) -> dict[str, Any]:
    return {"pk": {"S": key[0]}, "sk": {"S": key[1]}} | {n: {"S": v} for n, v in text.items()}


def _membership_item(membership: Membership, by: str, at: str) -> dict[str, Any]:
    item = _item(
        keys.membership(membership.principal, membership.tenant_id),
        kind="membership",
        tenant_id=membership.tenant_id,
        principal=membership.principal,
        changed_by=by,
        changed_at=at,
    )
    item["roles"] = {"L": [{"S": role.value} for role in sorted(membership.roles)]}
    return item
