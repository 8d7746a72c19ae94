"""Amounts, currencies and days as SWIFT statements write them."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time
from functools import lru_cache

from pardna.money.model import MoneyError, exponent, minor_from_text


def balance_minor(match: re.Match[str] | None, currency: str) -> int | None:
    """Minor units of a balance (mark, date, currency, amount); raises MoneyError."""
    if match is None:
        return None
    amount = minor(match.group(4), currency)
    return amount if match.group(1) == "C" else -amount


def minor(text: str, currency: str) -> int:
    """Minor units of ``1234,5``; a point is the decimal one only where there is no comma."""
    if " " in text:
        text = text.replace(" ", "")
    if "," in text:
        if "." in text:
            text = text.replace(".", "")
        text = text.replace(",", ".")
    return minor_from_text(
        f"0{text}" if text[0] == "." != text else text, currency if known(currency) else "EUR"
    )


@lru_cache(maxsize=256)
def known(currency: str) -> bool:
    """Whether ISO 4217 lists the currency today; others are shown in hundredths."""
    try:
        exponent(currency)
    except MoneyError:
        return False
    return True


@lru_cache(maxsize=4096)
def day_of(text: str) -> date | None:
    """YYMMDD; two-digit years from 80 on are of the last century."""
    try:
        year = int(text[:2])
        return date(1900 + year if year >= 80 else 2000 + year, int(text[2:4]), int(text[4:6]))
    except ValueError:
        return None


@lru_cache(maxsize=4096)
def entry_day(text: str, value_day: date) -> date:
    """MMDD in the year that brings it closest to the value date; absent, the value date."""
    if not text.strip():
        return value_day
    near = []
    for year in (value_day.year - 1, value_day.year, value_day.year + 1):
        try:
            near.append(date(year, int(text[:2]), int(text[2:])))
        except ValueError:
            continue
    return min(near, key=lambda d: abs(d - value_day), default=value_day)


@lru_cache(maxsize=4096)
def midnight(day: date) -> datetime:
    """The first moment of a day."""
    return datetime.combine(day, time(), UTC)
