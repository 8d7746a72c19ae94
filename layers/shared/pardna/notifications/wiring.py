"""The composition root of notifications."""

from __future__ import annotations

from functools import cache

from pardna.notifications.service import Notifications
from pardna.runtime.attempts import DynamoAttempts
from pardna.runtime.clients import client
from pardna.runtime.settings import settings

#: Messages are remembered this long, longer than any queue repeats them.
KEEP_DAYS = 400


@cache
def notifications() -> Notifications:
    """Sends by SES and SNS."""
    from pardna.notifications.aws import SesMail, SnsTexts

    return Notifications(
        SesMail(client("sesv2"), settings().need("notification_sender")),
        SnsTexts(client("sns")),
        DynamoAttempts(
            client("dynamodb"), settings().need("idempotency_table"), keep_days=KEEP_DAYS
        ),
    )
