"""Fakes of what approvals and waits need of the world."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from pardna.approvals.model import Approval, Status
from pardna.approvals.ports import Wait
from pardna.runtime.errors import NotFound


class MemoryApprovals:
    """`ApprovalBook` in memory."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.items: dict[tuple[str, str], Approval] = {}
        self.listed: dict[tuple[str, str], str] = {}

    def add(self, approval: Approval) -> bool:
        key = (approval.tenant_id, approval.approval_id)
        with self._lock:
            if key in self.items:
                return False
            self.items[key] = approval
            self.listed[key] = f"{approval.requested_at.isoformat()}#{approval.approval_id}"
            return True

    def get(self, tenant_id: str, approval_id: str) -> Approval | None:
        return self.items.get((tenant_id, approval_id))

    def renew(self, tenant_id: str, approval_id: str, token: str) -> Approval:
        key = (tenant_id, approval_id)
        with self._lock:
            if key not in self.items:
                raise NotFound("approval.not_found", "there is no such approval")
            self.items[key] = replace(self.items[key], token=token)
            self.listed.setdefault(key, f"renewed#{approval_id}")
            return self.items[key]

    def decide(
        self,
        tenant_id: str,
        approval_id: str,
        status: Status,
        principal: str,
        comment: str,
        at: datetime,
    ) -> Approval | None:
        key = (tenant_id, approval_id)
        with self._lock:
            standing = self.items[key]
            if standing.status is not Status.PENDING or standing.requested_by == principal:
                return None
            self.items[key] = replace(
                standing, status=status, decided_by=principal, decided_at=at, comment=comment
            )
            return self.items[key]

    def mark_answered(self, tenant_id: str, approval_id: str, token: str) -> None:
        key = (tenant_id, approval_id)
        with self._lock:
            if self.items[key].token == token:
                self.items[key] = replace(self.items[key], answered_token=token)
                self.listed.pop(key, None)

    def open(self, tenant_id: str, after: str, limit: int) -> tuple[list[Approval], str]:
        found = sorted(
            (at, key) for key, at in self.listed.items() if key[0] == tenant_id and at > after
        )
        page = found[:limit]
        return [self.items[key] for _, key in page], page[-1][0] if len(found) > limit else ""


class MemoryWaits:
    """`WaitBook` in memory."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.items: dict[tuple[str, str], Wait] = {}

    def register(self, tenant_id: str, subject: str, token: str) -> Wait:
        return self._change(tenant_id, subject, lambda w: replace(w, token=token))

    def say(self, tenant_id: str, subject: str, outcome: Mapping[str, Any]) -> Wait:
        return self._change(
            tenant_id, subject, lambda w: w if w.outcome else replace(w, outcome=dict(outcome))
        )

    def mark_resumed(self, tenant_id: str, subject: str, token: str) -> None:
        self._change(tenant_id, subject, lambda w: replace(w, resumed_token=token))

    def _change(self, tenant_id: str, subject: str, change: Callable[[Wait], Wait]) -> Wait:
        with self._lock:
            now = change(self.items.get((tenant_id, subject), Wait()))
            self.items[(tenant_id, subject)] = now
            return now


class MemoryTasks:
    """Task tokens as Step Functions keeps them: each takes one answer. `fail` is raised first,
    `die` after the machine went on."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.answers: dict[str, dict[str, Any]] = {}
        self.fail: BaseException | None = None
        self.die: BaseException | None = None

    def succeed(self, token: str, output: Mapping[str, Any]) -> bool:
        if self.fail is not None:
            failure, self.fail = self.fail, None
            raise failure
        with self._lock:
            if token in self.answers:
                return False
            self.answers[token] = dict(output)
        if self.die is not None:
            death, self.die = self.die, None
            raise death
        return True


class SomeTenants:
    """Who there is."""

    def __init__(self, *tenant_ids: str) -> None:
        self._ids = tenant_ids

    def tenant_ids(self) -> tuple[str, ...]:
        return self._ids
