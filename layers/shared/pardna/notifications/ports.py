"""What notifications need of the world."""

from __future__ import annotations

from typing import Protocol


class Mail(Protocol):
    """E-mail."""

    def send(self, address: str, subject: str, text: str) -> None:
        """Raises Unavailable, or RefusedByRule ``notification.refused`` for an address that the
        service will never take."""
        ...


class TextMessages(Protocol):
    """SMS."""

    def send(self, phone: str, text: str) -> None:
        """Raises as `Mail` does."""
        ...
