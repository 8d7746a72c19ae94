"""Doing something outside once: a record of each attempt that survives the process that made it.

For effects that cannot be taken back and cannot be repeated blindly: a file sent, a card charged, a
message sent. Who begins first holds a lease. When a process dies with the lease in its hand, the
next one is told that the outcome is in doubt (`Begun.IN_DOUBT`) and must look before it acts.

The lease must outlive the function that holds it: longer than its timeout.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any, Protocol

from pardna.runtime import keys
from pardna.runtime.clock import Clock, utc_now
from pardna.runtime.errors import Conflict

KIND = "attempt"


class Begun(StrEnum):
    """What an attempt may take for granted."""

    FIRST = "first"  # nobody has tried, or whoever tried has proved that nothing happened
    IN_DOUBT = "in_doubt"  # somebody tried and did not come back
    BUSY = "busy"  # somebody is at it now
    DONE = "done"  # it happened; `outcome` tells what


@dataclass(frozen=True, slots=True)
class Attempt:
    """How an attempt begins; `token` is the lease, to be shown when it ends."""

    begun: Begun
    token: str = ""
    outcome: Mapping[str, Any] = field(default_factory=dict)


class Attempts(Protocol):
    """The memory of attempts, per tenant and subject (``upload:PB123``)."""

    def begin(self, tenant_id: str, subject: str, lease_seconds: int) -> Attempt:
        """Begin, and hold the lease if the answer is FIRST or IN_DOUBT."""
        ...

    def finish(self, tenant_id: str, subject: str, token: str, outcome: Mapping[str, Any]) -> None:
        """It happened. Raises Conflict ``attempt.lease_lost`` when somebody else has taken over."""
        ...

    def release(self, tenant_id: str, subject: str, token: str) -> None:
        """It certainly did not happen: the next attempt is as good as the first."""
        ...

    def leave_in_doubt(self, tenant_id: str, subject: str, token: str) -> None:
        """It may have happened: give up the lease now, so that the next one may look at once."""
        ...


class DynamoAttempts:
    """`Attempts` in a table with ``pk`` and ``sk``; conditional writes decide every race.

    `keep_days` bounds how long an item is remembered (0: for ever, as money needs).
    """

    def __init__(
        self, client: Any, table: str, *, clock: Clock = utc_now, keep_days: int = 0
    ) -> None:
        self._client = client
        self._table = table
        self._clock = clock
        self._keep_days = keep_days

    def begin(self, tenant_id: str, subject: str, lease_seconds: int) -> Attempt:
        """See `Attempts`. The token is the lease's end and a count, unlike any earlier one."""
        now = self._clock()
        item = self._get(tenant_id, subject)
        state = item.get("state", {}).get("S", "")
        if state == "done":
            return Attempt(Begun.DONE, outcome=json.loads(item["outcome"]["S"]))
        if state == "running" and int(item["lease_until"]["N"]) > int(now.timestamp()):
            return Attempt(Begun.BUSY)
        tries = int(item.get("tries", {}).get("N", "0")) + 1
        until = int((now + timedelta(seconds=lease_seconds)).timestamp())
        token = str(tries)
        new = self._item(
            tenant_id,
            subject,
            state={"S": "running"},
            tries={"N": str(tries)},
            lease_until={"N": str(until)},
        )
        if not self._put(new, tries - 1):
            return Attempt(Begun.BUSY)
        return Attempt(Begun.FIRST if state in ("", "released") else Begun.IN_DOUBT, token)

    def finish(self, tenant_id: str, subject: str, token: str, outcome: Mapping[str, Any]) -> None:
        """See `Attempts`."""
        self._end(tenant_id, subject, token, "done", json.dumps(dict(outcome), sort_keys=True))

    def release(self, tenant_id: str, subject: str, token: str) -> None:
        """See `Attempts`."""
        self._end(tenant_id, subject, token, "released")

    def leave_in_doubt(self, tenant_id: str, subject: str, token: str) -> None:
        """See `Attempts`."""
        self._end(tenant_id, subject, token, "running")

    def _end(
        self, tenant_id: str, subject: str, token: str, state: str, outcome: str = "{}"
    ) -> None:
        ended = self._item(
            tenant_id,
            subject,
            state={"S": state},
            tries={"N": token},
            lease_until={"N": "0"},
            outcome={"S": outcome},
        )
        if not self._put(ended, int(token)):
            raise Conflict("attempt.lease_lost", "somebody else has taken over this attempt")

    def _item(self, tenant_id: str, subject: str, **attributes: Any) -> dict[str, Any]:
        pk, sk = keys.attempt(tenant_id, subject)
        now = self._clock()
        item: dict[str, Any] = {
            "pk": {"S": pk},
            "sk": {"S": sk},
            "kind": {"S": KIND},
            "tenant_id": {"S": tenant_id},
            "subject": {"S": subject},
            **attributes,
        }
        if self._keep_days:
            forget = int((now + timedelta(days=self._keep_days)).timestamp())
            item["expires_at"] = {"N": str(forget)}
        return item

    def _get(self, tenant_id: str, subject: str) -> dict[str, Any]:
        pk, sk = keys.attempt(tenant_id, subject)
        answer = self._client.get_item(
            TableName=self._table, Key={"pk": {"S": pk}, "sk": {"S": sk}}, ConsistentRead=True
        )
        item: dict[str, Any] = answer.get("Item", {})
        return item

    def _put(self, item: dict[str, Any], tries_before: int) -> bool:
        """Write unless somebody else was faster or it was done; False then."""
        try:
            if tries_before == 0:
                self._client.put_item(
                    TableName=self._table,
                    Item=item,
                    ConditionExpression="attribute_not_exists(pk)",
                )
            else:
                self._client.put_item(
                    TableName=self._table,
                    Item=item,
                    ConditionExpression="tries = :before AND #state <> :done",
                    ExpressionAttributeNames={"#state": "state"},
                    ExpressionAttributeValues={
                        ":before": {"N": str(tries_before)},
                        ":done": {"S": "done"},
                    },
                )
        except self._client.exceptions.ConditionalCheckFailedException:
            return False
        return True
