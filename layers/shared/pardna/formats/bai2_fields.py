"""Fields of BAI2 records: amounts, funds types, summaries and the parts of a movement."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date

from pardna.money.model import MINOR_MAX


def integer(text: str) -> int:
    """A signed whole number; raises ValueError for anything else, and beyond what an amount may be."""
    text = text.strip()
    if not re.fullmatch(r"[+-]?[0-9]{1,24}", text):
        raise ValueError("not an integer")
    value = int(text)
    if abs(value) > MINOR_MAX:
        raise ValueError("out of range")
    return value


def summaries(fields: list[str]) -> Iterator[tuple[str, int | None]]:
    """(type, amount) of each summary or status in an account record."""
    at = 0
    while at < len(fields):
        code = fields[at]
        amount = fields[at + 1] if at + 1 < len(fields) else ""
        if code:
            yield code, integer(amount) if amount else None
        at += 3
        _, used = _funds(fields, at)
        at += used


def _funds(fields: list[str], at: int) -> tuple[date | None, int]:
    """The value date that the funds type at a place gives, and how many fields it takes."""
    kind = fields[at].strip().upper() if at < len(fields) else ""
    after = fields[at + 1] if at + 1 < len(fields) else ""
    if kind == "V":
        return day(after) if after else None, 3
    if kind == "S":
        return None, 4
    if kind == "D":
        pairs = integer(after) if after else 0
        if not 0 <= pairs <= 100:
            raise ValueError("too many availabilities")
        return None, 2 + 2 * pairs
    return None, 1


def detail(parts: list[str]) -> tuple[str, int, date | None, str, str, str]:
    """Type, amount, value date, bank's and customer's reference, and text of a movement.

    Text begins after five fields and the funds type's own; from there commas belong to it, and so
    does all that continues it. A continuation before that point continues the fields.
    """
    fields, texts = _split(parts[0]), list[str]()
    for part in parts[1:]:
        if texts or _has_text(fields):
            texts.append(part)
        else:
            fields += _split(part)
    value_day, used = _funds(fields, 2)
    amount = integer(fields[1]) if len(fields) > 1 and fields[1].strip() else 0
    at = 2 + used
    bank, customer = ([*fields[at : at + 2], "", ""])[:2]
    first = ",".join(fields[at + 2 :])
    text = "\n".join(t.rstrip().removesuffix("/").rstrip() for t in (first, *texts) if t.strip())
    return fields[0].strip(), amount, value_day, bank, customer, text


def _split(part: str) -> list[str]:
    return part.rstrip().removesuffix("/").split(",")


def _has_text(fields: list[str]) -> bool:
    """Whether the text of a movement has begun among these fields."""
    _, used = _funds(fields, 2)
    return len(fields) > 4 + used


def direction(code: str) -> int:
    """+1 for credits, -1 for debits, 0 for what is neither."""
    if not re.fullmatch(r"[0-9]{3}", code):
        return 0
    number = int(code)
    if 100 <= number < 400 or 930 <= number < 960:
        return 1
    return -1 if 400 <= number < 700 or number >= 960 else 0


def day(text: str) -> date | None:
    """YYMMDD, or YYYYMMDD as some banks write."""
    text = text.strip()
    try:
        if len(text) == 8:
            return date(int(text[:4]), int(text[4:6]), int(text[6:]))
        return date(2000 + int(text[:2]), int(text[2:4]), int(text[4:6]))
    except ValueError:
        return None
