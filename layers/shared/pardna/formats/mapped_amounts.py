"""Amounts as a profile says they are written: the sign rule, and numbers as people write them."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from pardna.formats.profile import Amounts, Column
from pardna.money.model import MoneyError, exponent, minor_from_text
from pardna.runtime.errors import InvalidInput

#: Characters of an amount as people write it; a search in a longer one would take its time.
AMOUNT_MAX = 80
#: The text of a row's cell.
Cell = Callable[[Column], str]
_SYMBOLS = re.compile(r"^(?:[A-Z]{0,3}\s?[$£€¥₹]|[A-Z]{3}\s)\s*|\s*(?:[$£€¥₹]|\s[A-Z]{3})$")


def signed(amounts: Amounts, cell: Cell, currency: str) -> int:
    """A row's amount in minor units, negative for what goes out, by the profile's sign rule.

    Raises MoneyError and InvalidInput for a row that does not follow it.
    """
    if amounts.amount is not None:
        value = number(cell(amounts.amount), amounts, currency)
        if amounts.direction is not None:
            marked = cell(amounts.direction).strip().upper()
            if marked in {v.upper() for v in amounts.debit_values}:
                value = -abs(value)
            elif marked in {v.upper() for v in amounts.credit_values}:
                if value < 0:
                    # A reversal with some, a habit with others: a profile that knows has no direction.
                    raise InvalidInput(
                        "row.direction", "it says credit, and its amount is negative"
                    )
            else:
                raise InvalidInput("row.direction", "it says neither credit nor debit")
    else:
        debit = cell(amounts.debit).strip() if amounts.debit is not None else ""
        credit = cell(amounts.credit).strip() if amounts.credit is not None else ""
        out = number(debit, amounts, currency) if debit else 0
        into = number(credit, amounts, currency) if credit else 0
        if out and into:
            raise InvalidInput("row.amount", "both a debit and a credit are given")
        if not debit and not credit:
            raise InvalidInput("row.amount", "neither a debit nor a credit is given")
        value = into + (out if amounts.debit_is_negative else -out)
    return -value if amounts.negated else value


def number(text: str, amounts: Amounts, currency: str) -> int:
    """Minor units of an amount as the profile writes it; raises MoneyError for anything else.

    Understood besides a plain number: a sign before or behind, parentheses or ``DR`` for minus,
    ``CR`` for plus, a currency's code or symbol around it.
    """
    mark, minor_units = amounts.decimal_mark, amounts.minor_units
    if not minor_units:
        # As nearly all are written: digits, a mark, digits.
        whole, _, part = text.partition(mark)
        body = whole[1:] if whole[:1] == "-" else whole
        plain = body + part
        if body and plain.isdigit() and plain.isascii():
            minor = minor_from_text(f"{body}.{part or '0'}", currency)
            return minor if body is whole else -minor
    if len(text) > AMOUNT_MAX:
        raise MoneyError("it is too long to be a number")
    return _number(text, mark, amounts.thousands_mark, minor_units, currency)


@lru_cache(maxsize=4096)
def _number(text: str, mark: str, thousands: str, minor_units: bool, currency: str) -> int:
    plain, negative = _unsigned(text)
    whole, point, part = plain.partition(mark)
    if thousands and thousands in whole:
        groups = whole.split(thousands)
        if not (1 <= len(groups[0]) <= 3) or len(groups[-1]) != 3:
            raise MoneyError("its thousands are not set as the profile says")
        if any(len(g) not in (2, 3) for g in groups[1:]):
            raise MoneyError("its thousands are not set as the profile says")
        whole = "".join(groups)
    digits = whole.isascii() and (whole.isdigit() or (not whole and part.isdigit()))
    if not digits or (point and not (part.isascii() and part.isdigit()) and part):
        raise MoneyError("it is not a number as the profile writes it")
    if minor_units:
        if part.strip("0"):
            raise MoneyError("it is not whole minor units")
        value = int(whole or "0")
        exponent(currency)
    else:
        value = minor_from_text(f"{whole or '0'}.{part or '0'}", currency)
    return -value if negative else value


def _unsigned(text: str) -> tuple[str, bool]:
    """A number without its signs and symbols, and whether it is negative.

    Raises MoneyError where two signs contradict each other (``-5.00 CR``) or one comes twice.
    """
    plain = text.replace("\u00a0", " ").replace("\u202f", " ").replace("\u2212", "-").strip()
    signs = []
    if plain.startswith("(") and plain.endswith(")"):
        plain = plain[1:-1].strip()
        signs.append(True)
    tail = plain[-2:].upper()
    if tail in ("CR", "DR") and len(plain) > 2:
        plain = plain[:-2].strip()
        signs.append(tail == "DR")
    for _ in range(2):  # outside of the symbol, and behind it: -$5, $-5
        if plain.endswith(("-", "+")):
            signs.append(plain[-1] == "-")
            plain = plain[:-1].strip()
        if plain[:1] in ("-", "+"):
            signs.append(plain[0] == "-")
            plain = plain[1:].strip()
        plain = _SYMBOLS.sub("", _SYMBOLS.sub("", plain)).strip()
    if len(set(signs)) > 1 or text.count("-") + text.count("\u2212") > 1:
        raise MoneyError("it has two signs")
    return plain, True in signs


def without_value(error: MoneyError) -> str:
    """The error's words, but none of the row's data."""
    words = str(error)
    if words.startswith("unknown currency"):
        return "the currency is not one"
    if "decimals" in words:
        return "it has more decimals than its currency"
    return words if words.startswith("it") else "the amount cannot be read"
