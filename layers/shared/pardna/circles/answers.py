"""Circles and rounds as the API shows them: no account numbers, no addresses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pardna.circles.model import Circle, Round, funded
from pardna.circles.names import end_to_end_id
from pardna.circles.service import RoundView
from pardna.runtime.clock import iso


def circle_body(circle: Circle, rounds: Sequence[Round]) -> dict[str, Any]:
    """A circle with its members by name, its slots and its rounds."""
    terms = circle.terms
    return {
        "circle_id": circle.circle_id,
        "reference": circle.reference,
        "code": circle.code,
        "name": circle.name,
        "status": circle.status.value,
        "currency": terms.hand.currency,
        "hand_minor": terms.hand.amount_minor,
        "hand": str(terms.hand),
        "frequency": terms.frequency.value,
        "starts_on": terms.starts_on.isoformat(),
        "fee": {"model": terms.fee_model.value, "value": terms.fee_value},
        "pot_model": terms.pot_model.value,
        "shortfall": terms.shortfall.value,
        "grace_days": terms.grace_days,
        "bank_source_id": circle.bank_source_id,
        "card_source_id": circle.card_source_id,
        "members": [
            {
                "member_id": m.member_id,
                "name": m.contact.name,
                "rail": m.rail.value,
                "payout_account": "…" + m.payee.account[-4:],
            }
            for m in circle.members
        ],
        "slots": [{"position": s.position, "member_id": s.member_id} for s in circle.slots],
        "rounds": [
            {
                "round_number": r.number,
                "due_on": r.due_on.isoformat(),
                "draw_position": r.draw_position,
                "status": r.status.value,
            }
            for r in rounds
        ],
    }


def round_body(view: RoundView) -> dict[str, Any]:
    """A round: what is owed and paid, the draw, and where its payment is."""
    circle, round_ = view.circle, view.round
    cash = funded(view.contributions, circle.terms.hand.currency)
    body: dict[str, Any] = {
        "circle_id": circle.circle_id,
        "round_number": round_.number,
        "due_on": round_.due_on.isoformat(),
        "status": view.status.value,
        "opened_at": iso(round_.opened_at) if round_.opened_at else "",
        "closed_at": iso(round_.closed_at) if round_.closed_at else "",
        "paid_minor": cash.amount_minor,
        "paid": str(cash),
        "contributions": [
            {
                "contribution_id": c.contribution_id,
                "member_id": c.member_id,
                "position": c.position,
                "amount_minor": c.amount.amount_minor,
                "amount": str(c.amount),
                "rail": c.rail.value,
                "payment_reference": c.payment_reference,
                "transaction_id": c.transaction_id,
                "status": c.status.value,
            }
            for c in view.contributions
        ],
        "draw": None,
    }
    if view.draw is not None and view.payment is not None:
        draw, payment = view.draw, view.payment
        body["draw"] = {
            "draw_id": draw.draw_id,
            "member_id": draw.member_id,
            "position": draw.position,
            "pot_minor": draw.pot.amount_minor,
            "fee_minor": draw.fee.amount_minor,
            "net_minor": draw.net.amount_minor,
            "net": str(draw.net),
            "end_to_end_id": end_to_end_id(circle.code, round_.number),
            "payment_id": draw.payment_id,
            "payment_status": payment.status.value,
            "batch_id": payment.batch_id,
            "approval_id": payment.approval_id,
            "requested_by": payment.instruction.requested_by,
            "approved_by": payment.approved_by,
            "reason_code": payment.reason_code,
        }
    return body
