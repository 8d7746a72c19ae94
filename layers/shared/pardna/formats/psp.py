"""What all readers of payment processors' objects and reports need: one way to build a movement.

Amounts are signed as the processor's balance moves: a charge is positive, a refund, a dispute and a
payout negative. `gross - fee = net`; what a record does not tell stays unknown.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Any

from pardna.formats.instants import from_iso
from pardna.formats.items import Item
from pardna.formats.model import Origin, Problem
from pardna.formats.text import clean, references, sorted_references
from pardna.money.model import MoneyError, exponent, minor_from_text
from pardna.runtime.errors import InvalidInput
from pardna.transactions.model import Counterparty, Kind, Side, Strength, Transaction

Json = Mapping[str, Any]
_WHOLE = re.compile(r"([+-]?[0-9]{1,30})(?:\.0*)?")
STRONG, WEAK = Strength.STRONG, Strength.WEAK
Named = tuple[str, str | None, Strength]


def movement(
    origin: Origin,
    position: str,
    *,
    external_id: str,
    kind: Kind,
    amount: int,
    currency: str,
    occurred_at: datetime,
    named: Iterable[Named] = (),
    account: str = "",
    fee: int | None = None,
    net: int | None = None,
    value_date: date | None = None,
    batch_id: str = "",
    description: str | None = "",
    name: str | None = "",
) -> Transaction:
    """A movement of a processor's balance; `amount` is gross and signed, all in minor units.

    Without `net` it follows from a known `fee`. Raises InvalidInput when the parts contradict.
    """
    if fee is not None and net is None:
        net = amount - fee
    return Transaction(
        tenant_id=origin.tenant_id,
        source=origin.source(origin.account or account),
        external_id=external_id,
        side=Side.PSP,
        kind=kind,
        amount_minor=amount,
        currency=currency,
        occurred_at=occurred_at,
        raw_sha256=origin.raw_sha256,
        raw_position=position,
        value_date=value_date,
        account=origin.account or clean(account, 100),
        gross_minor=amount,
        fee_minor=fee,
        net_minor=net,
        counterparty=Counterparty(clean(name)),
        description=clean(description),
        references=sorted_references(references(named)),
        batch_id=clean(batch_id, 200),
    )


def each(
    rows: Iterable[Any],
    one: Callable[[Any, str], Iterable[Item]],
    what: str = "row",
) -> Iterator[Item]:
    """The items of each row; a row that cannot be read is named by its number."""
    for number, row in enumerate(rows, 1):
        yield from guarded(row, one, f"{what} {number}")


def guarded(row: Any, one: Callable[[Any, str], Iterable[Item]], position: str) -> Iterator[Item]:
    """The items of one row, or what is wrong with it, in words without its data."""
    try:
        yield from one(row, position)
    except ROW_ERRORS as error:
        yield problem_of(error, position)


#: What a reader of a row raises; MoneyError is a ValueError.
ROW_ERRORS = (InvalidInput, KeyError, TypeError, ValueError, AttributeError)


def problem_of(error: Exception, position: str) -> Problem:
    """What is wrong with a row, in words without its data."""
    if isinstance(error, InvalidInput):
        return Problem(error.code, position, error.detail)
    if isinstance(error, MoneyError):
        return Problem("row.amount", position, "an amount or currency cannot be read")
    reason = f"the object lacks or garbles a field ({type(error).__name__})"
    return Problem("row.shape", position, reason)


def identifier(value: Any, what: str = "id") -> str:
    """A processor's id: short, printable, never empty."""
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if not 1 <= len(text) <= 150 or not text.isprintable() or text.isspace():
        raise InvalidInput("row.id", f"it has no {what}")
    return text


def whole(value: Any) -> int:
    """An integer amount; a decimal text of a whole number too. Never a float."""
    if type(value) is int:
        return value
    if isinstance(value, str) and (written := _WHOLE.fullmatch(value.strip())):
        return int(written[1])
    raise InvalidInput("row.amount", "an amount is not whole minor units")


def decimal(value: Any, currency: str) -> int:
    """Minor units of a decimal in text; a JSON number that is not text is refused."""
    if not isinstance(value, str):
        raise InvalidInput("row.amount", "an amount is not decimal text")
    return minor_from_text(value.strip(), currency)


def exact(text: str, currency: str) -> int | None:
    """Minor units of a decimal, or None for one that is finer than its currency: never rounded.

    Raises MoneyError for what is no number.
    """
    plain = text.strip()
    whole_part, point, part = plain.partition(".")
    digits = exponent(currency)
    if len(part) > digits and part[digits:].strip("0") and part.isdigit():
        minor_from_text(f"{whole_part}{point}{part[:digits] or '0'}", currency)
        return None
    return minor_from_text(plain, currency)


def rescaled(value: int, digits: int, currency: str) -> int:
    """Minor units of an amount that a processor counts with `digits` decimals, whatever ISO says."""
    difference = exponent(currency) - digits
    if difference >= 0:
        return value * int("1" + "0" * difference)
    units, rest = divmod(abs(value), int("1" + "0" * -difference))
    if rest:
        raise InvalidInput("row.amount", "an amount is finer than its currency")
    return -units if value < 0 else units


def currency_of(value: Any) -> str:
    """A currency's code in capitals; raises MoneyError for what is none."""
    code = str(value or "").strip().upper()
    exponent(code)
    return code


def instant(value: Any) -> datetime:
    """An instant from ISO 8601 text or from seconds since 1970, in UTC."""
    if type(value) is int and 0 <= value < 4_102_444_800:
        return datetime.fromtimestamp(value, UTC)
    if not isinstance(value, str):
        raise InvalidInput("row.time", "it has no time")
    try:
        return from_iso(value)
    except ValueError:
        raise InvalidInput("row.time", "a time is none") from None


def day(value: Any) -> date | None:
    """A day from the beginning of ISO 8601 text; nothing when there is none."""
    try:
        return date.fromisoformat(str(value)[:10]) if value else None
    except ValueError:
        return None
