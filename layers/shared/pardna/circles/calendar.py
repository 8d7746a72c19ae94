"""Jamaica's business days, by the package `holidays` (observed days included)."""

from __future__ import annotations

from datetime import date
from functools import cache


def is_business_day(day: date) -> bool:
    """Monday to Friday and no public holiday in Jamaica."""
    return day.weekday() < 5 and day not in _holidays(day.year)


@cache
def _holidays(year: int) -> frozenset[date]:
    import holidays

    return frozenset(holidays.country_holidays("JM", years=year))
