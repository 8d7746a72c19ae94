"""Codes in plain words, and moments and amounts as people in Jamaica read them. Pure."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone

#: Jamaica keeps UTC-5 all year: no daylight saving, hence no time-zone table is needed.
JAMAICA = timezone(timedelta(hours=-5))

LEVELS = {
    1: "Level 1 · Identity",
    2: "Level 2 · Rule",
    3: "Level 3 · Settlement",
    4: "Level 4 · Probability",
}

LEVEL_MEANINGS = {
    1: "both sides carry the same reference and the same amount",
    2: "the reference agrees, and the difference is what a rule allows",
    3: "one payout: charges, fees, refunds and disputes add up to it exactly",
    4: "a proposal with a probability",
}

SIDES = {"internal": "our books", "psp": "card processor", "bank": "bank"}

PAIRS = {
    "internal~psp": "our books and the card processor",
    "internal~bank": "our books and the bank",
    "psp~bank": "the card processor and the bank",
}

BREAKS = {
    "MISSING_INTERNAL": "Our books have no record of it",
    "MISSING_PSP": "The card processor has not reported it",
    "MISSING_BANK": "The bank has not reported it",
    "AMOUNT_MISMATCH": "The same payment with another amount",
    "FEE_VARIANCE": "The fee is not the agreed one",
    "FX_VARIANCE": "The exchange rate does not explain the amount",
    "TIMING": "Not due yet",
    "DUPLICATE": "The same payment twice",
    "UNEXPECTED": "Money that nobody expected",
    "AMBIGUOUS": "Several candidates fit equally well",
    "DISPUTED": "The cardholder disputes the payment",
}


def word(code: str) -> str:
    """A code as a word: ``awaiting_approval`` -> ``Awaiting approval``."""
    text = code.replace("_", " ").strip().lower()
    return text[:1].upper() + text[1:]


def moment(at: datetime | None) -> str:
    """A moment in Jamaica's time: ``21 Nov 2026, 14:03``; a dash when unknown."""
    if at is None:
        return "–"
    local = at.astimezone(JAMAICA)
    return f"{day(local.date())}, {local:%H:%M}"


def moment_or_day(at: datetime | None, on: date | None) -> str:
    """The moment where it is known, else the day."""
    return moment(at) if at is not None else day(on)


def day(on: date | None) -> str:
    """A date: ``21 Nov 2026``; a dash when unknown. English whatever the machine's locale."""
    if on is None:
        return "–"
    return f"{on.day} {_MONTHS[on.month - 1]} {on.year}"


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
