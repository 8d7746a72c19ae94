"""Approvals and waits in the workflow table. boto3's low-level client: few calls, quick imports."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pardna.approvals.model import Approval, Status
from pardna.approvals.ports import Wait
from pardna.money.model import Money
from pardna.runtime import keys
from pardna.runtime.clock import iso
from pardna.runtime.errors import NotFound


class DynamoApprovals:
    """`ApprovalBook`; index ``pending`` lists what is undecided or unanswered."""

    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self._table = table

    def add(self, approval: Approval) -> bool:
        """See `ApprovalBook`."""
        return self._put(approval, "attribute_not_exists(pk)")

    def get(self, tenant_id: str, approval_id: str) -> Approval | None:
        """See `ApprovalBook`."""
        answer = self._client.get_item(
            TableName=self._table, Key=_key(tenant_id, approval_id), ConsistentRead=True
        )
        return _approval(answer["Item"]) if "Item" in answer else None

    def renew(self, tenant_id: str, approval_id: str, token: str) -> Approval:
        """See `ApprovalBook`."""
        found = self._update(
            tenant_id,
            approval_id,
            "SET #token = :token, pending_pk = :pk, pending_sk = if_not_exists(pending_sk, :sk)",
            "attribute_exists(pk)",
            {
                ":token": {"S": token},
                ":pk": {"S": keys.pending(tenant_id)},
                ":sk": {"S": f"renewed#{approval_id}"},
            },
            {"#token": "token"},
        )
        if found is None:
            raise NotFound("approval.not_found", "there is no such approval")
        return found

    def decide(
        self,
        tenant_id: str,
        approval_id: str,
        status: Status,
        principal: str,
        comment: str,
        at: datetime,
    ) -> Approval | None:
        """See `ApprovalBook`. That the requester cannot decide is a condition of the write too."""
        return self._update(
            tenant_id,
            approval_id,
            "SET #status = :status, decided_by = :by, decided_at = :at, #comment = :comment",
            "#status = :pending AND requested_by <> :by",
            {
                ":status": {"S": status.value},
                ":pending": {"S": Status.PENDING.value},
                ":by": {"S": principal},
                ":at": {"S": iso(at)},
                ":comment": {"S": comment},
            },
            {"#status": "status", "#comment": "comment"},
        )

    def mark_answered(self, tenant_id: str, approval_id: str, token: str) -> None:
        """See `ApprovalBook`. Leaves the index, unless another machine has asked meanwhile."""
        self._update(
            tenant_id,
            approval_id,
            "SET answered_token = :token REMOVE pending_pk, pending_sk",
            "#token = :token",
            {":token": {"S": token}},
            {"#token": "token"},
        )

    def open(self, tenant_id: str, after: str, limit: int) -> tuple[list[Approval], str]:
        """See `ApprovalBook`."""
        answer = self._client.query(
            TableName=self._table,
            IndexName="pending",
            KeyConditionExpression="pending_pk = :pk AND pending_sk > :after",
            ExpressionAttributeValues={
                ":pk": {"S": keys.pending(tenant_id)},
                ":after": {"S": after or " "},
            },
            Limit=limit,
        )
        items = answer["Items"]
        more = "LastEvaluatedKey" in answer and bool(items)
        return [_approval(i) for i in items], items[-1]["pending_sk"]["S"] if more else ""

    def _put(self, approval: Approval, condition: str) -> bool:
        item = _key(approval.tenant_id, approval.approval_id) | {
            "kind": {"S": "approval"},
            "tenant_id": {"S": approval.tenant_id},
            "approval_id": {"S": approval.approval_id},
            "approval_kind": {"S": approval.kind},
            "subject": {"S": approval.subject},
            "amount_minor": {"N": str(approval.amount.amount_minor)},
            "currency": {"S": approval.amount.currency},
            "requested_by": {"S": approval.requested_by},
            "requested_at": {"S": iso(approval.requested_at)},
            "decide_before": {"S": iso(approval.decide_before)},
            "status": {"S": approval.status.value},
            "token": {"S": approval.token},
            "context": {"M": {k: {"S": v} for k, v in approval.context.items()}},
            "pending_pk": {"S": keys.pending(approval.tenant_id)},
            "pending_sk": {"S": f"{iso(approval.requested_at)}#{approval.approval_id}"},
        }
        try:
            self._client.put_item(TableName=self._table, Item=item, ConditionExpression=condition)
        except self._client.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def _update(
        self,
        tenant_id: str,
        approval_id: str,
        expression: str,
        condition: str,
        values: dict[str, Any],
        names: dict[str, str],
    ) -> Approval | None:
        try:
            answer = self._client.update_item(
                TableName=self._table,
                Key=_key(tenant_id, approval_id),
                UpdateExpression=expression,
                ConditionExpression=condition,
                ExpressionAttributeValues=values,
                ExpressionAttributeNames=names,
                ReturnValues="ALL_NEW",
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return None
        return _approval(answer["Attributes"])


class DynamoWaits:
    """`WaitBook`."""

    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self._table = table

    def register(self, tenant_id: str, subject: str, token: str) -> Wait:
        """See `WaitBook`."""
        return self._update(tenant_id, subject, "SET #token = :new", {"S": token}, "token")

    def say(self, tenant_id: str, subject: str, outcome: Mapping[str, Any]) -> Wait:
        """See `WaitBook`."""
        said = {"S": json.dumps(dict(outcome), sort_keys=True)}
        expression = "SET #outcome = if_not_exists(#outcome, :new)"
        return self._update(tenant_id, subject, expression, said, "outcome")

    def mark_resumed(self, tenant_id: str, subject: str, token: str) -> None:
        """See `WaitBook`."""
        expression = "SET #resumed_token = :new"
        self._update(tenant_id, subject, expression, {"S": token}, "resumed_token")

    def _update(
        self, tenant_id: str, subject: str, expression: str, value: dict[str, str], name: str
    ) -> Wait:
        pk, sk = keys.wait(tenant_id, subject)
        answer = self._client.update_item(
            TableName=self._table,
            Key={"pk": {"S": pk}, "sk": {"S": sk}},
            UpdateExpression=f"{expression}, #kind = :kind, tenant_id = :tenant, #subject = :subject",
            ExpressionAttributeNames={f"#{name}": name, "#kind": "kind", "#subject": "subject"},
            ExpressionAttributeValues={
                ":new": value,
                ":kind": {"S": "wait"},
                ":tenant": {"S": tenant_id},
                ":subject": {"S": subject},
            },
            ReturnValues="ALL_NEW",
        )
        item = {k: v["S"] for k, v in answer["Attributes"].items() if "S" in v}
        outcome = json.loads(item["outcome"]) if "outcome" in item else None
        return Wait(item.get("token", ""), outcome, item.get("resumed_token", ""))


def _key(tenant_id: str, approval_id: str) -> dict[str, Any]:
    pk, sk = keys.approval(tenant_id, approval_id)
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def _approval(item: Mapping[str, Any]) -> Approval:
    text = {k: v["S"] for k, v in item.items() if "S" in v}
    decided_at = text.get("decided_at")
    return Approval(
        tenant_id=text["tenant_id"],
        approval_id=text["approval_id"],
        kind=text["approval_kind"],
        subject=text["subject"],
        amount=Money(int(item["amount_minor"]["N"]), text["currency"]),
        requested_by=text["requested_by"],
        requested_at=datetime.fromisoformat(text["requested_at"]),
        decide_before=datetime.fromisoformat(text["decide_before"]),
        token=text["token"],
        status=Status(text["status"]),
        decided_by=text.get("decided_by", ""),
        decided_at=datetime.fromisoformat(decided_at) if decided_at else None,
        comment=text.get("comment", ""),
        answered_token=text.get("answered_token", ""),
        context={k: v["S"] for k, v in item.get("context", {}).get("M", {}).items()},
    )
