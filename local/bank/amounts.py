"""Whole minor units to and from the decimals of the wire. All currencies here have two digits."""

from __future__ import annotations

import re

_DECIMAL = re.compile(r"(\d{1,16})(?:\.(\d{1,5}))?")


def decimal(minor: int, point: str = ".") -> str:
    """`1234` as `12.34`. The sign is not written: formats carry it as a debit or credit mark."""
    return f"{abs(minor) // 100}{point}{abs(minor) % 100:02d}"


def minor(text: str) -> int:
    """`12.34` as `1234`. Raises `ValueError` for anything that is not a whole number of cents."""
    found = _DECIMAL.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"not an amount: {text!r}")
    whole, fraction = found.group(1), (found.group(2) or "").rstrip("0")
    if len(fraction) > 2:
        raise ValueError(f"more than two decimals: {text!r}")
    return int(whole) * 100 + int(fraction.ljust(2, "0") or "0")
