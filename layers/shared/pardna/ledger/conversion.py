"""A currency conversion as one journal in two currencies, through an exchange account.

Each currency balances on its own: what leaves in one enters the exchange account of that currency,
what arrives in the other leaves the exchange account of the other. The exchange account's two
balances are the position, and valuing it is somebody's decision, not this journal's. The rate that
was applied, its source and its time are stored with the journal.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation, localcontext

from pardna.ledger.model import Journal, Line
from pardna.money.model import Money, exponent
from pardna.runtime.errors import InvalidInput

#: Digits that an amount of 64 bits times a rate of 30 characters can have, and some.
_DIGITS = 80


@dataclass(frozen=True, slots=True)
class Rate:
    """`value`: units of the bought currency for one unit of the sold one, as a plain decimal text.

    `spread_minor` is what the converter keeps, in minor units of the bought currency.
    """

    value: str
    source: str
    quoted_at: datetime
    spread_minor: int = 0


def converted(sold: Money, currency: str, rate: Rate) -> Money:
    """What `sold` buys in `currency`: exact decimal arithmetic, rounded half to even, less the spread.

    Raises InvalidInput for a rate that is not a positive decimal, or when nothing would be left.
    """
    try:
        value = Decimal(rate.value)
    except InvalidOperation:
        value = Decimal(0)
    if not value.is_finite() or value <= 0 or len(rate.value) > 30:
        raise InvalidInput("ledger.rate", "a rate is a positive decimal")
    shift = exponent(currency) - exponent(sold.currency)
    with localcontext(prec=_DIGITS):
        exact = Decimal(sold.amount_minor) * value.scaleb(shift)
        bought = int(exact.to_integral_value(ROUND_HALF_EVEN)) - rate.spread_minor
    if rate.spread_minor < 0 or bought <= 0:
        raise InvalidInput("ledger.rate", "the spread is negative or leaves nothing")
    return Money(bought, currency)


def conversion(
    key: str, sold: Money, giver: str, taker: str, currency: str, rate: Rate, exchange: str = "fx"
) -> Journal:
    """The journal that takes `sold` out of account `giver` and puts what it buys into `taker`.

    The spread goes to ``fees:{exchange}`` in the bought currency. Raises InvalidInput as `converted`
    does, and for a conversion into the same currency or of nothing.
    """
    if sold.currency == currency or sold.amount_minor <= 0:
        raise InvalidInput("ledger.conversion", "convert a positive amount into another currency")
    bought = converted(sold, currency, rate)
    account = f"exchange:{exchange}"
    lines = [
        Line(giver, sold.currency, -sold.amount_minor),
        Line(account, sold.currency, sold.amount_minor),
        Line(account, currency, -(bought.amount_minor + rate.spread_minor)),
        Line(taker, currency, bought.amount_minor),
    ]
    if rate.spread_minor:
        lines.append(Line(f"fees:{exchange}", currency, rate.spread_minor))
    return Journal(
        key=key,
        kind="conversion",
        lines=tuple(lines),
        description=f"{sold.currency} to {currency}",
        metadata={
            "rate": rate.value,
            "rate_source": rate.source,
            "rate_quoted_at": rate.quoted_at.isoformat(),
            "spread_minor": rate.spread_minor,
        },
    )
