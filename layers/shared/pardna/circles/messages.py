"""What circles tell people, as events for `pardna.notifications`.

The event carries the address, because who sends the message cannot read the database.
"""

from __future__ import annotations

from pardna.circles.model import Circle, Contact, Contribution, Draw
from pardna.circles.names import end_to_end_id
from pardna.notifications.events import to_envelope
from pardna.notifications.model import Message, Recipient
from pardna.runtime.events import Envelope


def transfer_request(
    circle: Circle, one: Contribution, account: str, at: str, correlation_id: str
) -> Envelope:
    """Please transfer your hand, with this reference."""
    values = _values(circle, one.round_number) | {
        "amount": str(one.amount),
        "reference": one.payment_reference,
        "due_on": one.due_on.isoformat(),
        "account": account,
    }
    contact = circle.member(one.member_id).contact
    return _message(
        circle, "transfer_request", one.contribution_id, contact, values, at, correlation_id
    )


def contribution_receipt(
    circle: Circle, one: Contribution, at: str, correlation_id: str
) -> Envelope:
    """Your hand has arrived."""
    values = _values(circle, one.round_number) | {
        "amount": str(one.amount),
        "reference": one.payment_reference,
        "rail": one.rail.value,
    }
    contact = circle.member(one.member_id).contact
    return _message(
        circle, "contribution_receipt", one.contribution_id, contact, values, at, correlation_id
    )


def draw_receipt(circle: Circle, draw: Draw, at: str, correlation_id: str) -> Envelope:
    """Your draw is on its way, confirmed by the bank."""
    values = _values(circle, draw.round_number) | {
        "pot": str(draw.pot),
        "fee": str(draw.fee),
        "amount": str(draw.net),
        "reference": end_to_end_id(circle.code, draw.round_number),
    }
    contact = circle.member(draw.member_id).contact
    return _message(circle, "draw_receipt", draw.draw_id, contact, values, at, correlation_id)


def approval_needed(circle: Circle, draw: Draw, at: str, correlation_id: str) -> list[Envelope]:
    """A payout waits for a second person; told to the banker, if there is an address."""
    if not (circle.banker.email or circle.banker.phone):
        return []
    values = _values(circle, draw.round_number) | {"amount": str(draw.net)}
    return [
        _message(circle, "approval_needed", draw.draw_id, circle.banker, values, at, correlation_id)
    ]


def _values(circle: Circle, round_number: int) -> dict[str, str]:
    return {
        "circle": circle.name,
        "round": str(round_number),
        "rounds": str(len(circle.slots)),
    }


def _message(
    circle: Circle,
    template: str,
    about: str,
    contact: Contact,
    values: dict[str, str],
    at: str,
    correlation_id: str,
) -> Envelope:
    recipient = Recipient(contact.name, contact.email, contact.phone)
    message = Message(circle.tenant_id, template, about, recipient, values)
    return to_envelope(message, at, correlation_id)
