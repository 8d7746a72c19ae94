"""The event ``card_charge.requested``, read and written in one place.

envelope.subject = contribution_id      (one order per contribution)
envelope.data    = {contribution_id, circle_id, source_id, amount_minor, currency,
                    customer_id, payment_method_id}
"""

from __future__ import annotations

from pardna.money.model import Money
from pardna.payments.model import CardCharge
from pardna.runtime.errors import InvalidInput
from pardna.runtime.events import CARD_CHARGE_REQUESTED, Envelope


def to_envelope(request: CardCharge, occurred_at: str, correlation_id: str) -> Envelope:
    """The event that orders a charge."""
    return Envelope(
        event_type=CARD_CHARGE_REQUESTED,
        tenant_id=request.tenant_id,
        subject=request.contribution_id,
        key=request.contribution_id,
        occurred_at=occurred_at,
        correlation_id=correlation_id,
        data={
            "contribution_id": request.contribution_id,
            "circle_id": request.circle_id,
            "source_id": request.source_id,
            "amount_minor": request.amount.amount_minor,
            "currency": request.amount.currency,
            "customer_id": request.customer_id,
            "payment_method_id": request.payment_method_id,
        },
    )


def card_charge(text: str) -> CardCharge:
    """The order in a message; raises InvalidInput for anything else."""
    envelope = Envelope.from_json(text)
    if envelope.event_type != CARD_CHARGE_REQUESTED:
        raise InvalidInput("card.unreadable", f"{envelope.event_type} is another event")
    data = dict(envelope.data)
    try:
        amount = Money(data.pop("amount_minor"), data.pop("currency"))
        return CardCharge(tenant_id=envelope.tenant_id, amount=amount, **data)
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInput("card.unreadable", "the order cannot be read") from error
