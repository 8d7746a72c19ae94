"""Waiting for the outside world: a state machine registers, the world signals, in either order.

Exactly one resume comes of any number of registrations and signals: each call writes first and
looks at what stands after its write, so whoever comes second sees both halves and tells the
machine. A process that dies in between is repeated by its caller (the outbox sends a signal until
it was taken; the machine retries its registration), and a consumed token resumes nothing twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pardna.approvals.ports import Tasks, Wait, WaitBook
from pardna.runtime.errors import InvalidInput
from pardna.runtime.observability import logger


@dataclass(frozen=True, slots=True)
class Waits:
    """Register and signal; see the module."""

    book: WaitBook
    tasks: Tasks

    def register(self, tenant_id: str, subject: str, token: str) -> bool:
        """A machine waits for `subject`; True when it could go on at once.

        Raises Unavailable: register again.
        """
        if not token:
            raise InvalidInput("wait.no_token", "a wait needs a task token")
        return self._resume(tenant_id, subject, self.book.register(tenant_id, subject, token))

    def signal(self, tenant_id: str, subject: str, outcome: Mapping[str, Any]) -> None:
        """The world said `outcome` about `subject`; the first word counts.

        Raises Unavailable: signal again.
        """
        self._resume(tenant_id, subject, self.book.say(tenant_id, subject, outcome))

    def _resume(self, tenant_id: str, subject: str, wait: Wait) -> bool:
        if not wait.token or wait.outcome is None or wait.resumed_token == wait.token:
            return False
        waited = self.tasks.succeed(wait.token, wait.outcome)
        if not waited:
            logger.info("Nobody waits any more", subject=subject)
        self.book.mark_resumed(tenant_id, subject, wait.token)
        return waited
