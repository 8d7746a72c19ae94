"""What the processor keeps: one percentage and one fixed amount per charge, in minor units.

The percentage part is rounded half up to the minor unit, then the fixed part of the currency is
added, so a fee is a pure function of (amount, currency). Refunds cost nothing and give no fee back;
a dispute costs its own fee, which is kept even when the dispute is won. A currency without a price
of its own pays the figure of the US dollar.
"""

from __future__ import annotations

PER_THOUSAND = 29  # 2.9 %
CHARGE_FIXED_MINOR = {"usd": 30, "jmd": 5_000}
DISPUTE_FEE_MINOR = {"usd": 1_500, "jmd": 240_000}


def charge_fee(amount_minor: int, currency: str) -> int:
    """Fee for a captured charge of `amount_minor` (>= 0), in minor units of `currency`."""
    percentage = (amount_minor * PER_THOUSAND + 500) // 1_000
    return percentage + CHARGE_FIXED_MINOR.get(currency, CHARGE_FIXED_MINOR["usd"])


def dispute_fee(currency: str) -> int:
    """Fee that the processor takes with the disputed amount, in minor units."""
    return DISPUTE_FEE_MINOR.get(currency, DISPUTE_FEE_MINOR["usd"])
