"""E-mail by SES v2, SMS by SNS. Addresses go into calls and nowhere else."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from pardna.runtime.errors import RefusedByRule, Unavailable

#: An address that no repetition makes better. Everything else (an unverified sender included)
#: comes back, and after the queue's patience lies in its dead-letter queue, from where it is redriven.
_NEVER = {"BadRequestException", "InvalidParameter", "InvalidParameterException"}


class SesMail:
    """`Mail` by Amazon SES, version 2."""

    def __init__(self, client: Any, sender: str) -> None:
        self._client = client
        self._sender = sender

    def send(self, address: str, subject: str, text: str) -> None:
        """See `Mail`."""
        try:
            self._client.send_email(
                FromEmailAddress=self._sender,
                Destination={"ToAddresses": [address]},
                Content={
                    "Simple": {
                        "Subject": {"Data": subject, "Charset": "UTF-8"},
                        "Body": {"Text": {"Data": text, "Charset": "UTF-8"}},
                    }
                },
            )
        except (ClientError, BotoCoreError) as error:
            raise _named(error) from None


class SnsTexts:
    """`TextMessages` by Amazon SNS."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def send(self, phone: str, text: str) -> None:
        """See `TextMessages`."""
        try:
            self._client.publish(
                PhoneNumber=phone,
                Message=text,
                MessageAttributes={
                    "AWS.SNS.SMS.SMSType": {
                        "DataType": "String",
                        "StringValue": "Transactional",
                    }
                },
            )
        except (ClientError, BotoCoreError) as error:
            raise _named(error) from None


def _named(error: ClientError | BotoCoreError) -> RefusedByRule | Unavailable:
    """The service's own text may hold the address, so only its code goes on."""
    code = error.response["Error"]["Code"] if isinstance(error, ClientError) else "none"
    if code in _NEVER:
        return RefusedByRule("notification.refused", f"the service refused: {code}")
    return Unavailable("notification.unavailable", f"the service did not take it: {code}")
