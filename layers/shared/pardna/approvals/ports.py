"""What approvals and waits need of the world."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from pardna.approvals.model import Approval, Status


class ApprovalBook(Protocol):
    """Approvals; every write is conditional, so that a race has one winner."""

    def add(self, approval: Approval) -> bool:
        """Write a new one; False when there is one of its id."""
        ...

    def get(self, tenant_id: str, approval_id: str) -> Approval | None:
        """As it stands now, or None."""
        ...

    def renew(self, tenant_id: str, approval_id: str, token: str) -> Approval:
        """Another machine waits for the same decision; returns what stands, decided or not."""
        ...

    def decide(
        self,
        tenant_id: str,
        approval_id: str,
        status: Status,
        principal: str,
        comment: str,
        at: datetime,
    ) -> Approval | None:
        """Write the decision if there is none; None when somebody was first."""
        ...

    def mark_answered(self, tenant_id: str, approval_id: str, token: str) -> None:
        """The machine behind `token` has been told."""
        ...

    def open(self, tenant_id: str, after: str, limit: int) -> tuple[list[Approval], str]:
        """A page of approvals that nobody decided, or whose machine was not told; and the next
        page's `after`, empty on the last."""
        ...


class Tasks(Protocol):
    """State machines that wait with a task token."""

    def succeed(self, token: str, output: Mapping[str, Any]) -> bool:
        """Let the machine go on; False when nobody waits behind this token any more.

        Raises Unavailable when the service did not answer: try again.
        """
        ...


@dataclass(frozen=True, slots=True)
class Wait:
    """Who waits (`token`), what was said (`outcome`), and who was told of it."""

    token: str = ""
    outcome: Mapping[str, Any] | None = None
    resumed_token: str = ""


class WaitBook(Protocol):
    """Waits; each call is one atomic write that returns what stands after it."""

    def register(self, tenant_id: str, subject: str, token: str) -> Wait:
        """`token` waits from now on, instead of any earlier one."""
        ...

    def say(self, tenant_id: str, subject: str, outcome: Mapping[str, Any]) -> Wait:
        """Keep the outcome, unless one was said before."""
        ...

    def mark_resumed(self, tenant_id: str, subject: str, token: str) -> None:
        """The machine behind `token` has been told."""
        ...


class Tenants(Protocol):
    """Who there is; for the sweep only."""

    def tenant_ids(self) -> Iterable[str]:
        """Every tenant."""
        ...
