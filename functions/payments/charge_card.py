"""ChargeCardQueue: charge a member's card for one contribution."""

from __future__ import annotations

from typing import Any

from pardna.payments.messages import card_charge
from pardna.payments.wiring import charge_card
from pardna.runtime.observability import count, observed
from pardna.runtime.queue import consume


def _charge(text: str) -> None:
    charged = charge_card().charge(card_charge(text))
    count("CardCharged" if charged.outcome == "charged" else "CardNotCharged")


@observed
def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    return consume(event, _charge)
