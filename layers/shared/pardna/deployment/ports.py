"""What a deployment needs from outside."""

from __future__ import annotations

from typing import Protocol


class Schema(Protocol):
    """The database's schema."""

    def migrate(self) -> list[str]:
        """Apply what is missing, in order; returns the names applied now.

        Raises MigrationFailed, Conflict, or Unavailable when the database does not answer.
        """


class Answers(Protocol):
    """Where CloudFormation waits for an answer."""

    def send(self, url: str, body: bytes) -> None:
        """Put `body` to the signed `url`; raises Unavailable when nobody takes it."""
