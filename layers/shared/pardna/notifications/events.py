"""The event ``notification.requested``, read and written in one place.

envelope.subject = "{template}:{about}"     (one message per template and subject)
envelope.data    = {template, about, to: {name, email, phone}, values: {...}}
"""

from __future__ import annotations

from pardna.notifications.model import Message, Recipient
from pardna.runtime.errors import InvalidInput
from pardna.runtime.events import NOTIFICATION_REQUESTED, Envelope


def to_envelope(message: Message, occurred_at: str, correlation_id: str) -> Envelope:
    """The event that asks for a message."""
    to = message.recipient
    return Envelope(
        event_type=NOTIFICATION_REQUESTED,
        tenant_id=message.tenant_id,
        subject=f"{message.template}:{message.about}",
        key=message.about,
        occurred_at=occurred_at,
        correlation_id=correlation_id,
        data={
            "template": message.template,
            "about": message.about,
            "to": {"name": to.name, "email": to.email, "phone": to.phone},
            "values": dict(message.values),
        },
    )


def from_json(text: str) -> tuple[str, Message]:
    """Event id and message; raises InvalidInput for anything else."""
    envelope = Envelope.from_json(text)
    if envelope.event_type != NOTIFICATION_REQUESTED:
        raise InvalidInput("notification.unreadable", f"{envelope.event_type} is another event")
    try:
        data = envelope.data
        recipient = Recipient(**{k: str(v) for k, v in data["to"].items()})
        values = {str(k): str(v) for k, v in data["values"].items()}
        message = Message(
            envelope.tenant_id, str(data["template"]), str(data["about"]), recipient, values
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise InvalidInput("notification.unreadable", "the message cannot be read") from error
    return envelope.event_id, message
