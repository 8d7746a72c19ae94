"""Sources' secrets in Secrets Manager, written: webhook secrets after a look, credentials without."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from pardna.runtime.errors import Unavailable


class SecretsManagerVault:
    """`SecretVault`."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def read(self, secret_id: str) -> str:
        """See `SecretVault`."""
        try:
            return str(self._client.get_secret_value(SecretId=secret_id)["SecretString"])
        except self._client.exceptions.ResourceNotFoundException:
            return ""
        except (ClientError, BotoCoreError, KeyError) as error:
            raise Unavailable("secret.unavailable", "a secret could not be read") from error

    def write(self, secret_id: str, text: str) -> None:
        """See `SecretVault`."""
        try:
            try:
                self._client.put_secret_value(SecretId=secret_id, SecretString=text)
            except self._client.exceptions.ResourceNotFoundException:
                self._client.create_secret(Name=secret_id, SecretString=text)
        except (ClientError, BotoCoreError):
            # The error may quote what was sent; nothing of it goes further.
            raise Unavailable("secret.unavailable", "a secret could not be written") from None
