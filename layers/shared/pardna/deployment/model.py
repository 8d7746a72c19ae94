"""The protocol of CloudFormation's custom resources, without the network.

Source: CloudFormation User Guide, "Custom resource request types" and "response objects".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pardna.runtime.errors import InvalidInput

#: CloudFormation refuses a response above 4,096 bytes; a reason needs far less.
REASON_MAX = 600
_NEEDED = ("RequestType", "ResponseURL", "StackId", "RequestId", "LogicalResourceId")


@dataclass(frozen=True, slots=True)
class Change:
    """What CloudFormation asks for: Create, Update or Delete of one resource."""

    request_type: str
    response_url: str = field(repr=False)  # signed: who holds it may answer in our name
    stack_id: str
    request_id: str
    logical_id: str
    physical_id: str

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> Change:
        """Raises InvalidInput when the event is no custom resource request."""
        missing = [name for name in _NEEDED if not event.get(name)]
        if missing:
            raise InvalidInput("deployment.event", f"{missing[0]} is missing")
        if event["RequestType"] not in ("Create", "Update", "Delete"):
            raise InvalidInput("deployment.event", "RequestType is Create, Update or Delete")
        return cls(
            request_type=event["RequestType"],
            response_url=event["ResponseURL"],
            stack_id=event["StackId"],
            request_id=event["RequestId"],
            logical_id=event["LogicalResourceId"],
            # Constant, so that no update looks like a replacement with a Delete to follow.
            physical_id=event.get("PhysicalResourceId") or "database-schema",
        )

    def answer(self, data: Mapping[str, str] | None = None, failed: str = "") -> bytes:
        """The response's body; `failed` is a reason without secrets, and makes the stack roll back."""
        return json.dumps(
            {
                "Status": "FAILED" if failed else "SUCCESS",
                "Reason": failed[:REASON_MAX] or "done",
                "PhysicalResourceId": self.physical_id,
                "StackId": self.stack_id,
                "RequestId": self.request_id,
                "LogicalResourceId": self.logical_id,
                "Data": dict(data or {}),
            }
        ).encode()
