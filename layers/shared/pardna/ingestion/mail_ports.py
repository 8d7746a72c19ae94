"""What mail needs of the world, besides what all of ingestion does."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager
from typing import Protocol

from pardna.ingestion.model import SourceProfile


class Mailbox(Protocol):
    """A folder of a mail server, in one session. All raise Unavailable."""

    def waiting(self) -> list[tuple[str, int]]:
        """What lies there: the number of each mail and its size in bytes, oldest first."""
        ...

    def read(self, number: str) -> bytes:
        """A mail as it was received, not marked as seen. Raises NotFound."""
        ...

    def move(self, number: str, folder: str) -> None:
        """Into another folder, which is made if it is not there. One write."""
        ...


class Mailboxes(Protocol):
    """How mail servers are reached."""

    def open(
        self, profile: SourceProfile, seconds: float = math.inf
    ) -> AbstractContextManager[Mailbox]:
        """A session over TLS, of at most so many seconds for each answer.

        Raises Unavailable; UntrustedHost for a certificate that does not hold and SignInRefused
        are not retried.
        """
        ...


class MailShelf(Protocol):
    """Mail that a server has put into the object store. All raise Unavailable."""

    def read(self, key: str, size_max: int) -> bytes:
        """Raises NotFound, TooLarge."""
        ...

    def move(self, key: str, new_key: str) -> None:
        """Copied, then taken away; again changes nothing."""
        ...
