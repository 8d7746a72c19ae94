"""Secrets, read from Secrets Manager where they are used and kept in memory for a short while.

A secret is a JSON object of named parts (``api_key``, ``webhook_secret``, ``private_key``,
``password``), or plain text that is one part whatever its name. Never logged, never in an error.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from pardna.runtime.errors import NotFound, Unavailable

Credential = TypeVar("Credential")

#: A rotated secret is used after this long at the latest.
CACHE_SECONDS = 300.0
#: What was read this recently is not read again, however many wrong signatures come in.
FRESH_SECONDS = 15.0


class RenewableSecrets(Protocol):
    """Parts of secrets that may be rotated while they are remembered (`Secrets`)."""

    def part(self, secret_id: str, name: str) -> str:
        """A part of a secret, or the empty text. Raises NotFound, Unavailable."""
        ...

    def renew(self, secret_id: str) -> bool:
        """Forget what is remembered unless it is fresh; whether it was forgotten."""
        ...


def replaced(
    secrets: RenewableSecrets, secret_id: str, read: Callable[[], Credential], refused: Credential
) -> Credential | None:
    """The credential that took the place of one that was refused; None when it is still that one.

    A wrong one that is tried twice may lock an account: only another one is worth a try.
    """
    if not secrets.renew(secret_id):
        return None
    found = read()
    return found if found != refused else None


class Secrets:
    """Parts of secrets by the secret's name."""

    def __init__(self, client: Any, seconds: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._seconds = seconds
        self._known: dict[str, tuple[float, str]] = {}

    def part(self, secret_id: str, name: str) -> str:
        """The part `name`, or the empty text when the secret has other parts only.

        Raises NotFound ``secret.not_found``, Unavailable ``secret.unavailable``.
        """
        text = self._text(secret_id)
        try:
            parts = json.loads(text)
        except ValueError:
            return text
        return str(parts.get(name, "")) if isinstance(parts, dict) else text

    def renew(self, secret_id: str) -> bool:
        """Forget a secret that was read a while ago; whether it was. Bounds what strangers cause."""
        until, _ = self._known.get(secret_id, (0.0, ""))
        read_at = until - CACHE_SECONDS
        if not until or self._seconds() - read_at < FRESH_SECONDS:
            return False
        del self._known[secret_id]
        return True

    def _text(self, secret_id: str) -> str:
        until, text = self._known.get(secret_id, (0.0, ""))
        if self._seconds() < until:
            return text
        try:
            text = str(self._client.get_secret_value(SecretId=secret_id)["SecretString"])
        except self._client.exceptions.ResourceNotFoundException:
            raise NotFound(
                "secret.not_found", "a source names a secret that is not there"
            ) from None
        except (self._client.exceptions.ClientError, KeyError) as error:
            raise Unavailable("secret.unavailable", "a secret could not be read") from error
        self._known[secret_id] = (self._seconds() + CACHE_SECONDS, text)
        return text
