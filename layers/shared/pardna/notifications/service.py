"""Use case of notifications: send a message once, by every way the person gave."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pardna.notifications.model import Message, write
from pardna.notifications.ports import Mail, TextMessages
from pardna.runtime.attempts import Attempts, Begun
from pardna.runtime.errors import RefusedByRule, Unavailable
from pardna.runtime.observability import count, logger

LEASE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Notifications:
    """E-mail and SMS have a record each: one that failed does not send the other again.

    A process that dies between sending and remembering leaves a doubt, which is resolved by sending
    again: a receipt that comes twice harms nobody, one that never comes does.
    """

    mail: Mail
    texts: TextMessages
    attempts: Attempts

    def send(self, event_id: str, message: Message) -> int:
        """Send `message`; returns how many were sent now. Repeating it sends nothing.

        Raises Unavailable when a service did not answer: send again later.
        """
        written = write(message)
        to = message.recipient
        sent = 0
        if to.email:
            sent += self._once(
                message.tenant_id,
                f"mail:{event_id}",
                lambda: self.mail.send(to.email, written.subject, written.email),
            )
        if to.phone:
            sent += self._once(
                message.tenant_id, f"sms:{event_id}", lambda: self.texts.send(to.phone, written.sms)
            )
        return sent

    def _once(self, tenant_id: str, subject: str, send: Callable[[], None]) -> int:
        attempt = self.attempts.begin(tenant_id, subject, LEASE_SECONDS)
        if attempt.begun is Begun.DONE:
            return 0
        if attempt.begun is Begun.BUSY:
            raise Unavailable("notification.in_progress", "this message is being sent")
        outcome = "sent"
        try:
            send()
        except RefusedByRule as error:
            # Sending it again would be refused again; people hear of it by the metric.
            logger.info("Message refused by its service", error_code=error.code)
            count("NotificationRefused")
            outcome = "refused"
        except Exception:
            self.attempts.release(tenant_id, subject, attempt.token)
            raise
        self.attempts.finish(tenant_id, subject, attempt.token, {"outcome": outcome})
        return int(outcome == "sent")
